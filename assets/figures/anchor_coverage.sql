-- Share of generations that lie in frequent spans, by prompt and hundredth of its kept columns.
select
    checkpoint,
    label,
    prompt_id,
    bin,
    in_anchor
from anchor_coverage
join shown
    using (checkpoint, decoding)
order by place, prompt_id, bin
