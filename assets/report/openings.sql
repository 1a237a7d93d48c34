-- How a checkpoint's generations begin most often, over all of its prompts, and how often its base's do.
with
    begun as (
        select
            checkpoint,
            prompt_id,
            array_to_string(words(text)[:$opening_words], ' ') as opening,
            count(*) over (partition by checkpoint) as n_generations
        from generations
        join shown
            using (checkpoint, decoding, prompt_set)
    ),
    counted as (
        select
            checkpoint,
            opening,
            count(*) as n,
            count(distinct prompt_id) as n_prompts,
            count(*) / any_value(n_generations) as share
        from begun
        where opening <> ''
        group by all
    )
select
    ours.checkpoint,
    ours.opening,
    ours.n_prompts,
    ours.share,
    if(base in (select checkpoint from begun), coalesce(theirs.share, 0), null) as base_share
from counted as ours
join checkpoints
    using (checkpoint)
left join counted as theirs
    on theirs.checkpoint = base and theirs.opening = ours.opening
where ours.n > 1
qualify row_number() over (partition by ours.checkpoint order by ours.n desc, ours.opening) <= $rows
order by ours.checkpoint, ours.n desc, ours.opening
