-- Share of the tokens to come that a probe reads from hidden states (paper: figure 6).
--
-- It is of a checkpoint's own text, and under the condition `partner` of another checkpoint's.
--
-- reads:     probe_guesses
-- item:      prompt
-- statistic: pooled
-- format:    share
-- title:     tokens ahead that a probe reads
-- group:     ability
-- says:      {value} of the tokens {level} ahead are read from hidden states
-- level:     horizon
-- headline:  1
-- empty:     where generations end before the token that is read
select
    checkpoint,
    decoding,
    if(generator = checkpoint, '-', generator) as other,
    if(generator = checkpoint, '-', 'partner') as condition,
    horizon as level,
    corpus as collection,
    item,
    sum(n_right) as numerator,
    sum(n_tokens) as denominator
from probe_guesses
group by all
having sum(n_tokens) > 0
