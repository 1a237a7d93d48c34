-- Each prompt's generations in a plane, with how diverse they are.
select
    checkpoint,
    label,
    prompt_id,
    coalesce(prompt, prompt_id) as prompt,
    sample,
    round(x, 3) as x,
    round(y, 3) as y,
    x_share,
    y_share,
    left(text, 160) as text,
    1 - mean_cosine as diversity
from meaning_map
join shown
    using (checkpoint, prompt_set)
join generations
    using (checkpoint, decoding, prompt_set, prompt_id, sample)
join semantic_diversity
    using (checkpoint, decoding, prompt_set, prompt_id)
left join prompt_texts()
    using (prompt_set, prompt_id)
where among = '-'
order by place, prompt_id, sample
