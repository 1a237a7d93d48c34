-- Log-probability of the answer that was chosen, given its prompt, in nats.
--
-- The condition `per token` is the same over the answer's tokens.
--
-- reads:      preference_scores
-- item:       pair
-- statistic:  mean
-- format:     signed
-- title:      log-probability of chosen answers
-- group:      ability
-- says:       chosen answers have a log-probability of {value} nats
-- comparable: same tokenizer, where unit is token
select
    checkpoint,
    unnest(['-', 'per token']) as condition,
    unnest(['-', 'token']) as unit,
    preference_set as collection,
    pair_id as item,
    chosen_logprob as numerator,
    unnest([1, chosen_tokens]) as denominator
from preference_scores
