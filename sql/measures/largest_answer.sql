-- Share of a prompt's generations that give its most common answer.
--
-- Answers are told apart as for `distinct_answers`.
--
-- reads:     answers
-- item:      prompt
-- statistic: mean
-- format:    share
-- title:     generations with the most common answer
-- group:     meaning
-- says:      {value} of a prompt's generations give its most common answer
-- floor:     1 / denominator
-- empty:     where no prompt has several generations
with
    sizes as (
        select checkpoint, decoding, prompt_set, prompt_id, answer, count(*) as size
        from answers
        group by all
    )
select
    checkpoint,
    decoding,
    prompt_set as collection,
    prompt_id as item,
    max(size) as numerator,
    sum(size) as denominator
from sizes
group by all
having sum(size) > 1
