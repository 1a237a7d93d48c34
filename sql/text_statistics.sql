-- What checkpoints make of a text as a whole; null where that takes what a server does not tell.
--
-- grain:     checkpoint, condition, decoding, corpus, text_id
-- reads:     scored_texts, token_distributions
-- partition: checkpoint
-- empty:     where a server tells no log-probabilities
-- columns:
--   category VARCHAR kind of corpus; prompts for a set of prompts
--   item     VARCHAR the document, or the prompt that was continued
--   n_bytes  INTEGER [bytes] length of the text in UTF-8
--   n_words  INTEGER [words] words as str.split() makes them
--   n_tokens BIGINT [tokens] tokens that were predicted
--   nll      DOUBLE [nats] negative log-likelihood of the text
--   entropy  DOUBLE [nats] mean over its tokens
--   support  DOUBLE [tokens] mean over its tokens
--   mass     DOUBLE[] top_mass, for each k of the study's `top_k` the mean over its tokens
with
    texts as (
        select
            checkpoint,
            condition,
            decoding,
            corpus,
            text_id,
            count(*) as n_tokens,
            -sum(logprob::double) as nll,
            avg(entropy::double) as entropy,
            avg(support) as support,
            -- A study has at most 20 values of k; beyond its last one they are null.
            [
                avg(top_mass[1]::double),
                avg(top_mass[2]::double),
                avg(top_mass[3]::double),
                avg(top_mass[4]::double),
                avg(top_mass[5]::double),
                avg(top_mass[6]::double),
                avg(top_mass[7]::double),
                avg(top_mass[8]::double),
                avg(top_mass[9]::double),
                avg(top_mass[10]::double),
                avg(top_mass[11]::double),
                avg(top_mass[12]::double),
                avg(top_mass[13]::double),
                avg(top_mass[14]::double),
                avg(top_mass[15]::double),
                avg(top_mass[16]::double),
                avg(top_mass[17]::double),
                avg(top_mass[18]::double),
                avg(top_mass[19]::double),
                avg(top_mass[20]::double)
            ][:len($top_k)] as mass
        from token_distributions
        group by all
    )
select
    checkpoint,
    condition,
    decoding,
    corpus,
    text_id,
    category,
    item,
    n_bytes,
    n_words,
    n_tokens,
    nll,
    entropy,
    support,
    mass
from texts
join scored_texts
    using (checkpoint, condition, decoding, corpus, text_id)
order by all
