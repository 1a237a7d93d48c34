-- Probability of the chosen option among a question's options, the mean over their orders.
--
-- The condition `reasoned` is of choices after the checkpoint's own reasoning, `-` of direct ones.
--
-- reads:     choices
-- item:      question
-- statistic: mean
-- format:    share
-- title:     confidence in the chosen option
-- group:     ability
-- says:      the chosen option has {value} of the probability of all options
select
    checkpoint,
    if(condition = 'direct', '-', condition) as condition,
    choice_set as collection,
    question_id as item,
    sum(confidence) as numerator,
    count(*) as denominator
from choices
group by all
