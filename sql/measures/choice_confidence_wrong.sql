-- Probability of the chosen option among a question's options, where the choice is wrong.
--
-- It is over all orders of all questions in which the choice is wrong. The condition `reasoned` is of
-- choices after the checkpoint's own reasoning, `-` of direct ones.
--
-- reads:     choices
-- item:      question
-- statistic: pooled
-- format:    share
-- title:     confidence where wrong
-- group:     ability
-- says:      where the choice is wrong, the chosen option has {value} of the probability of all options
-- empty:     where no choice is wrong, or no question has a right answer
select
    checkpoint,
    if(condition = 'direct', '-', condition) as condition,
    choice_set as collection,
    question_id as item,
    sum(confidence) as numerator,
    count(*) as denominator
from choices
where not is_right
group by all
