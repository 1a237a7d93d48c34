-- How many tokens have a probability over the study's `support`, by default 1e-8 (paper: figure 4).
--
-- grain:     checkpoint, condition, decoding, corpus
-- reads:     text_statistics
-- partition: checkpoint
-- empty:     where a server runs the model
-- columns:
--   mean_support DOUBLE [tokens] mean over the tokens of all texts
select
    checkpoint,
    condition,
    decoding,
    corpus,
    sum(support * n_tokens) / sum(n_tokens) as mean_support
from text_statistics
where support is not null
group by all
order by all
