-- Share of each prompt's generations that hold its most common n-gram.
select
    checkpoint,
    label,
    prompt_id,
    n,
    max_shared / n_samples as share
from ngram_sharing
join shown
    using (checkpoint, decoding, prompt_set)
where unit = $unit
order by place, n, prompt_id
