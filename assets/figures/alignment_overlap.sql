-- Shares of generations and of pairs that agree, by prompt and hundredth of its kept columns.
select
    checkpoint,
    label,
    prompt_id,
    coalesce(prompt, prompt_id) as prompt,
    bin,
    n_samples,
    aligned_samples / n_samples as aligned,
    pairwise_match
from alignment_overlap
join shown
    using (checkpoint, decoding, prompt_set)
left join prompt_texts()
    using (prompt_set, prompt_id)
order by place, prompt_id, bin
