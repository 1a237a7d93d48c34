-- Branching factor: the exponential of the mean entropy of a checkpoint's next tokens over its own text
-- (Yang and Holtzman, 2025).
--
-- Level 0 is the whole text; the others are its positions in logarithmic buckets, named by their first
-- position, from 1.
--
-- reads:      position_statistics
-- item:       prompt
-- statistic:  exp_pooled
-- format:     perplexity
-- title:      branching factor
-- group:      concentration
-- says:       a branching factor of {value} on its own text
-- level:      position
-- headline:   0
-- comparable: same tokenizer
-- empty:      where a server runs the model
with
    levels as (
        select *, unnest([0, bucket]) as level
        from position_statistics
        where condition = 'own' and entropy is not null
    )
select
    checkpoint,
    decoding,
    level,
    corpus as collection,
    item,
    sum(entropy) as numerator,
    sum(n_tokens) as denominator
from levels
group by all
