-- KL divergence of the base from an aligned checkpoint, over the whole vocabulary and over the aligned
-- one's own text, both reading the same tokens (Qi et al., 2025).
--
-- Level 0 is the whole text; the others are its positions in logarithmic buckets, named by their first
-- position, from 1. It is of the generations that `divergence:` in the study asks for.
--
-- reads:     token_divergence
-- item:      prompt
-- statistic: pooled
-- format:    number
-- title:     KL from the base
-- group:     prediction
-- leading:   yes
-- says:      a KL divergence of {value} nats a token from its base, on its own text
-- level:     position
-- headline:  0
-- empty:     where it and its base share no tokenizer
with
    levels as (
        select *, unnest([0, position_bucket(position)]) as level
        from token_divergence
    )
select
    checkpoint,
    decoding,
    other,
    level,
    corpus as collection,
    item,
    sum(kl::double) as numerator,
    count(*) as denominator
from levels
group by all
