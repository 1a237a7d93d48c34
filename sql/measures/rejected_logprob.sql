-- Log-probability of the answer that was rejected, given its prompt, in nats.
--
-- The condition `per token` is the same over the answer's tokens.
--
-- reads:      preference_scores
-- item:       pair
-- statistic:  mean
-- format:     signed
-- title:      log-probability of rejected answers
-- group:      ability
-- says:       rejected answers have a log-probability of {value} nats
-- comparable: same tokenizer, where unit is token
select
    checkpoint,
    unnest(['-', 'per token']) as condition,
    unnest(['-', 'token']) as unit,
    preference_set as collection,
    pair_id as item,
    rejected_logprob as numerator,
    unnest([1, rejected_tokens]) as denominator
from preference_scores
