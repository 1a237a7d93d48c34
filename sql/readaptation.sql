-- How well checkpoints predict a corpus before and after fine-tuning on it (paper: figure 2B).
--
-- grain:     checkpoint, corpus
-- reads:     readapted_texts
-- partition: checkpoint
-- columns:
--   category             VARCHAR kind of corpus
--   steps                INTEGER [steps] of fine-tuning, at which the validation part was best
--   n_documents          BIGINT [documents] that were scored
--   n_tokens             BIGINT [tokens] tokens of these
--   n_bytes              BIGINT [bytes] length of these in UTF-8
--   perplexity_before    DOUBLE exp(nll / n_tokens), before
--   perplexity_after     DOUBLE and after; comparable where the tokenizer is the same
--   bits_per_byte_before DOUBLE [bits] nll / (n_bytes ln 2), before
--   bits_per_byte_after  DOUBLE [bits] and after
with
    totals as (
        select
            checkpoint,
            corpus,
            any_value(category) as category,
            any_value(steps) as steps,
            count(*) as n_documents,
            sum(n_tokens)::bigint as n_tokens,
            sum(n_bytes)::bigint as n_bytes,
            sum(nll_before) as nll_before,
            sum(nll_after) as nll_after
        from readapted_texts
        group by all
    )
select
    checkpoint,
    corpus,
    category,
    steps,
    n_documents,
    n_tokens,
    n_bytes,
    exp(nll_before / n_tokens) as perplexity_before,
    exp(nll_after / n_tokens) as perplexity_after,
    nll_before / (n_bytes * ln(2)) as bits_per_byte_before,
    nll_after / (n_bytes * ln(2)) as bits_per_byte_after
from totals
order by all
