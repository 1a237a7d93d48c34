-- Share of different n-grams at each value of top_p, over the prompts that have all the values.
with
    nucleus as (
        select
            *,
            cast(regexp_extract(decoding, '^top_p=([0-9.e-]+)$', 1) as double) as top_p
        from ngram_diversity
        where unit = $unit and regexp_matches(decoding, '^top_p=([0-9.e-]+)$')
    ),
    completed as (
        select
            *,
            count(distinct decoding) over (
                partition by checkpoint, prompt_set, prompt_id
            ) as n_values,
            count(distinct decoding) over (partition by checkpoint) as most_values
        from nucleus
    )
select
    checkpoint,
    prompt_id,
    n_samples,
    n,
    top_p,
    n_distinct / n_total as diversity
from completed
join shown
    using (checkpoint, prompt_set)
where n_values = most_values and n_total > 0
order by place, n, top_p, prompt_id
