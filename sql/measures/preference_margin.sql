-- By how much more likely the chosen answer is than the rejected one, in nats.
--
-- The condition `per token` is the same of log-probabilities over each answer's tokens.
--
-- reads:      preference_scores
-- item:       pair
-- statistic:  mean
-- format:     signed
-- title:      margin of chosen answers
-- group:      ability
-- says:       chosen answers have a log-probability that is {value} nats over that of rejected ones
-- comparable: same tokenizer, where unit is token
select
    checkpoint,
    unnest(['-', 'per token']) as condition,
    unnest(['-', 'token']) as unit,
    preference_set as collection,
    pair_id as item,
    unnest([
        chosen_logprob - rejected_logprob,
        chosen_logprob / chosen_tokens - rejected_logprob / rejected_tokens
    ]) as numerator,
    1 as denominator
from preference_scores
