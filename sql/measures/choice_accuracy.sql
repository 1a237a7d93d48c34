-- Share of questions whose right option is chosen, the mean over the orders of the options.
--
-- The condition `reasoned` is of choices after the checkpoint's own reasoning, `-` of direct ones.
-- Questions without a right answer are left out.
--
-- reads:     choices
-- item:      question
-- statistic: mean
-- format:    share
-- title:     questions answered right
-- group:     ability
-- leading:   yes
-- says:      {value} of questions are answered right
-- empty:     where no question has a right answer
select
    checkpoint,
    if(condition = 'direct', '-', condition) as condition,
    choice_set as collection,
    question_id as item,
    sum(is_right::integer) as numerator,
    count(*) as denominator
from choices
where is_right is not null
group by all
