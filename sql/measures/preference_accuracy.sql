-- Share of pairs whose chosen answer is more likely than the rejected one; half of one where alike.
--
-- The condition `per token` compares log-probabilities over each answer's tokens.
--
-- reads:      preference_scores
-- item:       pair
-- statistic:  mean
-- format:     share
-- title:      chosen answer more likely
-- group:      ability
-- leading:    yes
-- says:       {value} of chosen answers are more likely than the rejected ones
-- comparable: same tokenizer, where unit is token
with
    margins as (
        select
            checkpoint,
            unnest(['-', 'per token']) as condition,
            unnest(['-', 'token']) as unit,
            preference_set,
            pair_id,
            unnest([
                chosen_logprob - rejected_logprob,
                chosen_logprob / chosen_tokens - rejected_logprob / rejected_tokens
            ]) as margin
        from preference_scores
    )
select
    checkpoint,
    condition,
    unit,
    preference_set as collection,
    pair_id as item,
    (sign(margin) + 1) / 2 as numerator,
    1 as denominator
from margins
