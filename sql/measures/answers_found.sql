-- Different answers that so many of a prompt's generations have, on average over all choices of them.
--
-- Rarefaction: an answer of s of n generations is among k of them with a probability of
-- 1 - C(n - s, k) / C(n, k). Answers are told apart as for `distinct_answers`.
--
-- reads:     answers
-- item:      prompt
-- statistic: mean
-- format:    number
-- title:     different answers among so many generations
-- group:     meaning
-- says:      {level} generations of a prompt have {value} different answers
-- level:     k
-- floor:     1
-- empty:     where no prompt has as many generations
with
    sizes as (
        select checkpoint, decoding, prompt_set, prompt_id, answer, count(*) as size
        from answers
        group by all
    ),
    prompts as (
        select checkpoint, decoding, prompt_set, prompt_id, list(size) as sizes, sum(size) as n
        from sizes
        group by all
    )
select
    checkpoint,
    decoding,
    k as level,
    prompt_set as collection,
    prompt_id as item,
    list_sum(list_transform(sizes, lambda size: share_of_draws(n, size, k))) as numerator,
    1 as denominator
from prompts
cross join (select unnest($draws) as k)
where k <= n
