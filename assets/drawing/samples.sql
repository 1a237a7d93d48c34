-- How many generations of a prompt each checkpoint has, at most.
with
    counts as (
        select checkpoint, count(*) as n_samples
        from generations
        join shown
            using (checkpoint, decoding, prompt_set)
        group by checkpoint, prompt_id
    )
select checkpoint, max(n_samples) as n_samples
from counts
group by checkpoint
order by checkpoint
