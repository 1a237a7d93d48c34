-- The prompts whose generations have lost most of their different words in a row to the base's: n-grams
-- of 3 words, or of as many as the study counts.
with
    longest as (
        select max(n) as n
        from ngram_diversity
        where n <= 3
    ),
    diversity as (
        select checkpoint, prompt, prompt_id, n, n_distinct / n_total as value
        from ngram_diversity
        join longest
            using (n)
        join shown
            using (checkpoint, decoding, prompt_set)
        join prompt_texts()
            using (prompt_set, prompt_id)
        where unit = 'word' and n_samples > 1 and n_total > 0
    )
select
    ours.checkpoint,
    ours.prompt[:400] as prompt,
    ours.value as diversity,
    theirs.value as base_diversity
from diversity as ours
join checkpoints
    using (checkpoint)
join diversity as theirs
    on theirs.checkpoint = base and theirs.prompt = ours.prompt
where ours.value < theirs.value
qualify row_number() over (
    partition by ours.checkpoint
    order by theirs.value - ours.value desc, ours.prompt_id
) <= $rows
order by ours.checkpoint, theirs.value - ours.value desc, ours.prompt_id
