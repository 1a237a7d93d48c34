-- By how much more questions are answered right after reasoning than directly.
--
-- It is over the same questions and orders both ways; questions without a right answer are left out.
--
-- reads:     choices
-- item:      question
-- statistic: mean
-- format:    signed
-- title:     accuracy that reasoning adds
-- group:     ability
-- says:      reasoning adds {value} to the share of questions answered right
-- empty:     where a study asks for one condition alone, or no question has a right answer
select
    direct.checkpoint,
    direct.choice_set as collection,
    direct.question_id as item,
    sum(reasoned.is_right::integer - direct.is_right::integer) as numerator,
    count(*) as denominator
from choices as direct
join choices as reasoned
    using (checkpoint, choice_set, question_id, ordering)
where direct.condition = 'direct' and reasoned.condition = 'reasoned' and direct.is_right is not null
group by all
