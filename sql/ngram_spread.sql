-- How many different n-grams are held by exactly so many of a prompt's generations (paper: figures
-- 7B and 15B). Every number of generations has a row, also where no n-gram is held by so many.
--
-- n is the study's `ngram_spread_length`, 10 unless it says otherwise.
--
-- grain:     checkpoint, decoding, prompt_set, prompt_id, unit, n, shared_by
-- reads:     generations
-- partition: checkpoint
-- columns:
--   shared_by INTEGER [generations] how many generations hold the n-gram
--   n_ngrams  BIGINT  [n-grams] different n-grams that so many hold
with
    prompts as (
        select
            checkpoint,
            decoding,
            prompt_set,
            prompt_id,
            unit,
            prompt,
            count(*) as n_samples,
            sum(
                greatest(n_units_of(token_ids, text) - $ngram_spread_length + 1, 0)
            ) as n_places
        from counted_generations()
        group by all
    ),
    recurring as (
        select prompt, count(distinct place >> 32) as shared_by, count(*) as n_places
        from recurring_ngrams([$ngram_spread_length], across := false)
        group by prompt, name
    ),
    recurring_places as (
        select prompt, sum(n_places) as n_places
        from recurring
        group by prompt
    ),
    counts as (
        select prompt, shared_by, count(*) as n_ngrams
        from recurring
        group by prompt, shared_by
        union all
        -- What stands at one place alone.
        select
            prompt,
            1 as shared_by,
            prompts.n_places - coalesce(recurring_places.n_places, 0) as n_ngrams
        from prompts
        left join recurring_places
            using (prompt)
    ),
    spread as (
        select prompt, shared_by, sum(n_ngrams)::bigint as n_ngrams
        from counts
        group by prompt, shared_by
    )
select
    checkpoint,
    decoding,
    prompt_set,
    prompt_id,
    unit,
    $ngram_spread_length as n,
    shared_by,
    coalesce(n_ngrams, 0) as n_ngrams
from prompts
cross join unnest(range(1, n_samples + 1)) as numbers(shared_by)
left join spread
    using (prompt, shared_by)
order by all
