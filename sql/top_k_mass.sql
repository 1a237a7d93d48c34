-- How much probability the k most likely tokens hold together (paper: figures 3 and 16).
--
-- k is each of the study's `top_k`, 1 to 10, 20, 50 and 100 unless it says otherwise.
--
-- grain:     checkpoint, condition, decoding, corpus, k
-- reads:     text_statistics
-- partition: checkpoint
-- empty:     where a server tells no log-probabilities
-- columns:
--   mass DOUBLE mean over the tokens of all texts
with
    masses as (
        select
            checkpoint,
            condition,
            decoding,
            corpus,
            n_tokens,
            unnest($top_k) as k,
            unnest(mass) as mass
        from text_statistics
    )
select
    checkpoint,
    condition,
    decoding,
    corpus,
    k,
    sum(mass * n_tokens) / sum(n_tokens) as mass
from masses
where mass is not null
group by all
order by all
