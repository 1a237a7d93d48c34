-- How sure checkpoints are of the tokens of their own and of human text, by position.
--
-- Positions are in logarithmic buckets, each named by its first place, counted from 1: 1, 2 to 3, 4 to
-- 7, 8 to 15, and so on.
--
-- grain:     checkpoint, condition, decoding, corpus, item, bucket
-- reads:     scored_texts, token_distributions
-- partition: checkpoint
-- empty:     where a server tells no log-probabilities
-- columns:
--   item     VARCHAR the document, or the prompt that was continued
--   bucket   INTEGER [tokens] first position of the bucket, from 1
--   n_tokens BIGINT [tokens] tokens there, of all texts of the item
--   entropy  DOUBLE [nats] sum over them; null where a server runs the model
with
    texts as (
        select
            checkpoint,
            condition,
            decoding,
            corpus,
            text_id,
            position_bucket(position) as bucket,
            count(*) as n_tokens,
            sum(entropy::double) as entropy
        from token_distributions
        where condition in ('own', 'gold')
        group by all
    )
select
    checkpoint,
    condition,
    decoding,
    corpus,
    item,
    bucket,
    sum(n_tokens)::bigint as n_tokens,
    sum(entropy) as entropy
from texts
join scored_texts
    using (checkpoint, condition, decoding, corpus, text_id)
group by all
order by all
