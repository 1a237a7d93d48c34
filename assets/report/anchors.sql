-- The anchor spans that most of a prompt's generations are built on, of each prompt the first picked.
select
    checkpoint,
    prompt[:400] as prompt,
    text[:400] as anchor,
    n_holders / n_samples as share
from anchor_spans
join shown
    using (checkpoint, decoding, prompt_set)
join prompt_texts()
    using (prompt_set, prompt_id)
where pick = 1
qualify row_number() over (
    partition by checkpoint
    order by n_holders / n_samples desc, length desc, prompt_id
) <= $rows
order by checkpoint, share desc, length desc, prompt_id
