-- The tokens of aligned checkpoints' own text that shift from what their bases find likely.
--
-- A token is shifted where its base, reading the same tokens, ranks it below the third place.
--
-- grain:     checkpoint, decoding, other, token_id
-- reads:     token_divergence
-- partition: checkpoint
-- empty:     where no checkpoint shares a tokenizer with its base
-- columns:
--   other      VARCHAR the base
--   token_id   INTEGER the token
--   token      VARCHAR its text
--   n_tokens   BIGINT [tokens] how often it came
--   n_shifted  BIGINT [tokens] how often of that it was shifted
--   n_marginal BIGINT [tokens] how often the base ranked it second or third
--   share      DOUBLE n_shifted, of all shifted tokens of the checkpoint at this decoding
--   kl         DOUBLE [nats] mean divergence where it came
with
    tokens as (
        select
            checkpoint,
            decoding,
            other,
            token_id,
            any_value(token) as token,
            count(*) as n_tokens,
            count(*) filter (token_shift(base_rank) = 'shifted') as n_shifted,
            count(*) filter (token_shift(base_rank) = 'marginal') as n_marginal,
            avg(kl::double) as kl
        from token_divergence
        group by all
    )
select
    *,
    n_shifted / sum(n_shifted) over (partition by checkpoint, decoding, other) as share
from tokens
where n_shifted > 0
order by checkpoint, decoding, other, n_shifted desc, token_id
