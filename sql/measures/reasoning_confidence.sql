-- By how much the chosen option is more likely among the options after reasoning than directly.
--
-- It is over the same questions and orders. The condition `right both ways` is of those that are
-- answered right directly and after reasoning, `wrong both ways` of those that are answered wrong.
--
-- reads:     choices
-- item:      question
-- statistic: pooled
-- format:    signed
-- title:     confidence that reasoning adds
-- group:     ability
-- says:      reasoning adds {value} to the confidence in the chosen option
-- empty:     where a study asks for one condition alone
with
    both_ways as (
        select
            direct.checkpoint,
            direct.choice_set,
            direct.question_id,
            reasoned.confidence - direct.confidence as added,
            direct.is_right as right_before,
            reasoned.is_right as right_after
        from choices as direct
        join choices as reasoned
            using (checkpoint, choice_set, question_id, ordering)
        where direct.condition = 'direct' and reasoned.condition = 'reasoned'
    ),
    of_conditions as (
        select *, '-' as condition
        from both_ways
        union all
        select *, if(right_before, 'right both ways', 'wrong both ways') as condition
        from both_ways
        where right_before = right_after
    )
select
    checkpoint,
    condition,
    choice_set as collection,
    question_id as item,
    sum(added) as numerator,
    count(*) as denominator
from of_conditions
group by all
