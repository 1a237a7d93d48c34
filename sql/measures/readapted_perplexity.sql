-- Perplexity of human text after fine-tuning on such text (paper: figure 2B).
--
-- The condition `before` is the same documents before it.
--
-- reads:      readapted_texts
-- item:       document
-- statistic:  exp_pooled
-- format:     perplexity
-- title:      perplexity after fine-tuning
-- group:      prediction
-- says:       a perplexity of {value} on human text after fine-tuning
-- comparable: same tokenizer
select
    checkpoint,
    unnest(['-', 'before']) as condition,
    corpus as collection,
    document_id as item,
    unnest([nll_after, nll_before]) as numerator,
    n_tokens as denominator
from readapted_texts
where n_tokens > 0
