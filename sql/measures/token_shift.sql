-- Share of an aligned checkpoint's own tokens that its base ranks below the third place, reading the
-- same tokens: shifted ones (Lin et al., 2024).
--
-- The condition `marginal` is those at the second and third place, and `unshifted` those at the first.
-- Level 0 is the whole text; the others are its positions in logarithmic buckets, named by their first
-- position, from 1. It is of the generations that `divergence:` in the study asks for; Lin et al. take
-- greedy ones.
--
-- reads:     token_divergence
-- item:      prompt
-- statistic: pooled
-- format:    share
-- title:     tokens shifted from the base
-- group:     prediction
-- says:      {value} of its own tokens are not among the 3 that its base finds likeliest;
--            of marginal: {value} of its own tokens are second or third with its base;
--            of unshifted: {value} of its own tokens are first with its base
-- level:     position
-- headline:  0
-- empty:     where it and its base share no tokenizer
with
    levels as (
        select
            *,
            unnest([0, position_bucket(position)]) as level,
            token_shift(base_rank) as shift
        from token_divergence
    ),
    counted as (
        select
            checkpoint,
            decoding,
            other,
            level,
            corpus,
            item,
            count(*) filter (shift = 'unshifted') as unshifted,
            count(*) filter (shift = 'marginal') as marginal,
            count(*) filter (shift = 'shifted') as shifted,
            count(*) as n_tokens
        from levels
        group by all
    )
select
    checkpoint,
    decoding,
    other,
    unnest(['-', 'marginal', 'unshifted']) as condition,
    level,
    corpus as collection,
    item,
    unnest([shifted, marginal, unshifted]) as numerator,
    n_tokens as denominator
from counted
