-- Probability that the k most likely tokens hold together (paper: figures 3 and 16).
--
-- It is of a checkpoint's own text, and under the condition `gold` of human text.
--
-- reads:     text_statistics
-- item:      prompt, document of gold
-- statistic: mean
-- format:    share
-- title:     mass of the most likely token
-- group:     concentration
-- leading:   yes
-- says:      {value} of the probability is with the {level} most likely tokens
-- level:     k
-- headline:  1
-- empty:     where a server tells no log-probabilities
with
    masses as (
        select
            *,
            unnest($top_k) as level,
            unnest(mass) as share
        from text_statistics
        where condition in ('own', 'gold')
    )
select
    checkpoint,
    if(condition = 'own', decoding, '-') as decoding,
    if(condition = 'own', '-', condition) as condition,
    level,
    corpus as collection,
    item,
    sum(share * n_tokens) / sum(n_tokens) as numerator,
    1 as denominator
from masses
where share is not null
group by all
