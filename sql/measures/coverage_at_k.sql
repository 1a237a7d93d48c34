-- Probability that one of k generations of a prompt is right (pass@k, unbiased; Chen et al., 2021).
--
-- With c of n generations right it is 1 - C(n - c, k) / C(n, k). Of the study's first score; of
-- others under the condition of their name.
--
-- reads:     scores
-- item:      prompt
-- statistic: mean
-- format:    share
-- title:     prompts with a right generation among k
-- group:     quality
-- leading:   yes
-- says:      {level} generations of a prompt hold a right one with a probability of {value}
-- level:     k
-- headline:  10
-- empty:     where the study does not say what is right, or no prompt has as many generations
with
    prompts as (
        select
            checkpoint,
            decoding,
            if(is_first, '-', name) as condition,
            prompt_set,
            prompt_id,
            count(*) as n,
            count(*) filter (where is_right) as n_right
        from scores
        where is_right is not null
        group by all
    )
select
    checkpoint,
    decoding,
    condition,
    k as level,
    prompt_set as collection,
    prompt_id as item,
    share_of_draws(n, n_right, k) as numerator,
    1 as denominator
from prompts
cross join (select unnest($draws) as k)
where k <= n
