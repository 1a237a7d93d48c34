-- Different 10-grams of each prompt by the share of its generations that hold them, in twentieths.
with
    counts as (
        select
            *,
            max(shared_by) over (
                partition by checkpoint, decoding, prompt_set, prompt_id
            ) as n_samples
        from ngram_spread
        where unit = $unit and n = 10
    )
select
    checkpoint,
    label,
    prompt_id,
    n_samples,
    ceil(20 * shared_by / n_samples)::integer as twentieth,
    sum(n_ngrams)::bigint as n_ngrams
from counts
join shown
    using (checkpoint, decoding, prompt_set)
group by all
order by any_value(place), twentieth, prompt_id
