-- Share of each prompt's generations that hold its most common n-gram.
select
    checkpoint,
    label,
    prompt_id,
    coalesce(prompt, prompt_id) as prompt,
    n,
    n_samples,
    max_shared / n_samples as share
from ngram_sharing
join shown
    using (checkpoint, decoding, prompt_set)
left join prompt_texts()
    using (prompt_set, prompt_id)
where unit = $unit
order by place, n, prompt_id
