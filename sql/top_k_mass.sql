-- How much probability the k most likely tokens hold together (paper: figures 3 and 16).
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
            unnest([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 50, 100]) as k,
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
