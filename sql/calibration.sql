-- How often the likeliest token comes, by how likely checkpoints take it to be: on human text, in 15
-- equal bins of its probability.
--
-- Bin b holds probabilities over (b - 1) / 15, up to b / 15.
--
-- grain:     checkpoint, corpus, bin
-- reads:     token_distributions
-- partition: checkpoint
-- empty:     where a study has no corpora, or a server runs the model
-- columns:
--   bin        INTEGER from 1, the least likely, to 15
--   n_tokens   BIGINT [tokens] tokens of human text whose likeliest candidate is as likely
--   share      DOUBLE their share of the corpus's tokens
--   accuracy   DOUBLE share of them that are the likeliest candidate
--   confidence DOUBLE mean probability of the likeliest candidate
with
    predicted as (
        select
            checkpoint,
            corpus,
            rank = 1 as is_right,
            exp(top_logprobs[1]::double) as confidence
        from token_distributions
        where condition = 'gold' and top_logprobs is not null
    ),
    binned as (
        select *, confidence_bin(confidence) as bin
        from predicted
    )
select
    checkpoint,
    corpus,
    bin,
    count(*) as n_tokens,
    count(*) / sum(count(*)) over (partition by checkpoint, corpus) as share,
    avg(is_right::integer) as accuracy,
    avg(confidence) as confidence
from binned
group by checkpoint, corpus, bin
order by all
