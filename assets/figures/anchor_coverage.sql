-- Share of generations that lie in frequent spans, by prompt and hundredth of its kept columns.
select
    checkpoint,
    label,
    prompt_id,
    coalesce(prompt, prompt_id) as prompt,
    bin,
    n_samples,
    in_anchor
from anchor_coverage
join shown
    using (checkpoint, decoding, prompt_set)
left join prompt_texts()
    using (prompt_set, prompt_id)
order by place, prompt_id, bin
