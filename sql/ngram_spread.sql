-- How many different n-grams are held by exactly so many of a prompt's generations (paper: figures
-- 7B and 15B). Every number of generations has a row, also where no n-gram is held by so many.
--
-- n is the study's `ngram_spread_length`, 10 unless it says otherwise.
--
-- grain:     checkpoint, decoding, prompt_set, prompt_id, unit, n, shared_by
-- reads:     generations
-- partition: checkpoint
-- blocks:    prompts
-- columns:
--   shared_by INTEGER [generations] how many generations hold the n-gram
--   n_ngrams  BIGINT  [n-grams] different n-grams that so many hold
with
    prompts as (
        select checkpoint, decoding, prompt_set, prompt_id, unit, prompt, count(*) as n_samples
        from counted_generations()
        group by all
    ),
    -- Up to ten units stand in a row beside each other.
    windows as (
        select
            prompt,
            series,
            a,
            if($ngram_spread_length >= 2, b, 0) as b,
            if($ngram_spread_length >= 3, c, 0) as c,
            if($ngram_spread_length >= 4, d, 0) as d,
            if($ngram_spread_length >= 5, e, 0) as e,
            if($ngram_spread_length >= 6, f, 0) as f,
            if($ngram_spread_length >= 7, g, 0) as g,
            if($ngram_spread_length >= 8, h, 0) as h,
            if($ngram_spread_length >= 9, i, 0) as i,
            if($ngram_spread_length >= 10, j, 0) as j
        from ngram_windows()
        where $ngram_spread_length <= 10
    ),
    short_ngrams as (
        select prompt, count(distinct series) as shared_by
        from windows
        where
            b is not null
            and c is not null
            and d is not null
            and e is not null
            and f is not null
            and g is not null
            and h is not null
            and i is not null
            and j is not null
        group by prompt, a, b, c, d, e, f, g, h, i, j
    ),
    -- Longer n-grams either recur or stand at one place alone.
    recurring as (
        select prompt, count(distinct place >> 32) as shared_by, count(*) as n_places
        from recurring_ngrams([$ngram_spread_length], across := false)
        where $ngram_spread_length > 10
        group by prompt, name
    ),
    recurring_places as (
        select prompt, sum(n_places) as n_places
        from recurring
        group by prompt
    ),
    long_places as (
        select
            prompt,
            sum(greatest(n_units_of(token_ids, text) - $ngram_spread_length + 1, 0)) as n_places
        from counted_generations()
        where $ngram_spread_length > 10
        group by prompt
    ),
    counts as (
        select prompt, shared_by, count(*) as n_ngrams
        from short_ngrams
        group by prompt, shared_by
        union all
        select prompt, shared_by, count(*) as n_ngrams
        from recurring
        group by prompt, shared_by
        union all
        select
            prompt,
            1 as shared_by,
            long_places.n_places - coalesce(recurring_places.n_places, 0) as n_ngrams
        from long_places
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
