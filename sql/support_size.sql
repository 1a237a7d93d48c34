-- How many tokens have a probability over 1e-8 (paper: figure 4).
--
-- grain:     checkpoint, condition, decoding, corpus
-- reads:     text_statistics
-- partition: checkpoint
-- columns:
--   mean_support DOUBLE [tokens] mean over the tokens of all texts
select
    checkpoint,
    condition,
    decoding,
    corpus,
    sum(support * n_tokens) / sum(n_tokens) as mean_support
from text_statistics
group by all
order by all
