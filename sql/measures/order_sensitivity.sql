-- Share of questions whose choice changes with the order of the options.
--
-- It grows with the number of orders that a study asks for. The condition `reasoned` is of choices
-- after the checkpoint's own reasoning, which is about each order anew, `-` of direct ones.
--
-- reads:     choices
-- item:      question
-- statistic: mean
-- format:    share
-- title:     questions whose choice changes with the order
-- group:     ability
-- leading:   yes
-- says:      the choice changes with the order of options in {value} of questions
-- empty:     where all questions are asked in one order
select
    checkpoint,
    if(condition = 'direct', '-', condition) as condition,
    choice_set as collection,
    question_id as item,
    (count(distinct option) > 1)::integer as numerator,
    1 as denominator
from choices
group by all
having count(*) > 1
