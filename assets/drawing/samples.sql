-- Of how many prompts each checkpoint has generations, and how many it has of one, at the decoding that
-- it is compared at.
with
    counts as (
        select checkpoint, count(*) as n_samples
        from generations
        join shown
            using (checkpoint, decoding, prompt_set)
        group by checkpoint, prompt_id
    )
select
    checkpoint,
    count(*) as n_prompts,
    min(n_samples) as fewest,
    max(n_samples) as most
from counts
group by checkpoint
order by checkpoint
