-- How well checkpoints predict a corpus, or generations (paper: figures 2A and 5).
--
-- grain:     checkpoint, condition, decoding, corpus
-- reads:     text_statistics
-- partition: checkpoint
-- empty:     where a server tells no log-probabilities
-- columns:
--   n_tokens         BIGINT [tokens] tokens that were predicted
--   n_bytes          BIGINT [bytes] length of the texts in UTF-8
--   n_words          BIGINT [words] words of the texts, as str.split() makes them
--   nll              DOUBLE [nats] negative log-likelihood of all texts
--   token_perplexity DOUBLE exp(nll / n_tokens); comparable where the tokenizer is the same
--   word_perplexity  DOUBLE exp(nll / n_words); null where that is beyond a double
--   byte_perplexity  DOUBLE exp(nll / n_bytes); null where that is beyond a double
--   bits_per_byte    DOUBLE [bits] nll / (n_bytes ln 2); null where the texts are empty
with
    totals as (
        select
            checkpoint,
            condition,
            decoding,
            corpus,
            sum(n_tokens)::bigint as n_tokens,
            sum(n_bytes)::bigint as n_bytes,
            sum(n_words)::bigint as n_words,
            sum(nll) as nll
        from text_statistics
        group by all
    )
select
    *,
    exp(nll / n_tokens) as token_perplexity,
    case when nll < 709 * n_words then exp(nll / n_words) end as word_perplexity,
    case when nll < 709 * n_bytes then exp(nll / n_bytes) end as byte_perplexity,
    nll / (nullif(n_bytes, 0) * ln(2)) as bits_per_byte
from totals
order by all
