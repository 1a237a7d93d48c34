-- Expected calibration error (ECE) of choices: the sum over 15 equal bins of the chosen option's
-- confidence of share x |accuracy - confidence|.
--
-- A question counts with the sign that its set's gap has in each bin, so that questions add up to
-- ECE. With few questions ECE is too large, as it is never below 0. The condition `reasoned` is of
-- choices after the checkpoint's own reasoning, `-` of direct ones.
--
-- reads:     choices
-- item:      question
-- statistic: pooled
-- format:    signed
-- title:     calibration error of choices
-- group:     ability
-- says:      a calibration error of {value} in choices
-- empty:     where no question has a right answer
with
    binned as (
        select
            checkpoint,
            if(condition = 'direct', '-', condition) as condition,
            choice_set,
            question_id,
            confidence_bin(confidence) as bin,
            count(*) as n_choices,
            sum(is_right::integer - confidence) as gap
        from choices
        where is_right is not null
        group by all
    ),
    signed as (
        select
            *,
            sign(sum(gap) over (partition by checkpoint, condition, choice_set, bin)) as direction
        from binned
    )
select
    checkpoint,
    condition,
    choice_set as collection,
    question_id as item,
    sum(direction * gap) as numerator,
    sum(n_choices) as denominator
from signed
group by all
