-- Entropy of a checkpoint's next tokens, by position.
--
-- It is of a checkpoint's own text, and under the condition `gold` of human text. Level 0 is the whole
-- text; the others are its positions in logarithmic buckets, named by their first position, from 1.
--
-- reads:      position_statistics
-- item:       prompt, document of gold
-- statistic:  pooled
-- format:     bits
-- title:      entropy of the next token
-- group:      concentration
-- leading:    yes
-- says:       an entropy of {value} bits a token
-- level:      position
-- headline:   0
-- comparable: same tokenizer
-- empty:      where a server runs the model
with
    levels as (
        select *, unnest([0, bucket]) as level
        from position_statistics
        where entropy is not null
    )
select
    checkpoint,
    if(condition = 'own', decoding, '-') as decoding,
    if(condition = 'own', '-', condition) as condition,
    level,
    corpus as collection,
    item,
    bits(sum(entropy)) as numerator,
    sum(n_tokens) as denominator
from levels
group by all
