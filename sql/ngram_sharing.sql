-- How many generations hold their prompt's most common n-gram (paper: figures 7A and 15A).
--
-- n is each of the study's `ngram_lengths`, 5, 10, 25 and 50 unless it says otherwise.
--
-- grain:     checkpoint, decoding, prompt_set, prompt_id, unit, n
-- reads:     generations
-- partition: checkpoint
-- blocks:    prompts
-- columns:
--   n_samples  INTEGER [generations] generations of this prompt
--   max_shared INTEGER [generations] those that hold the most common n-gram; 0 where none is long
--                      enough
--   ngram      VARCHAR that n-gram, its units joined by spaces; of several the one that comes first
with
    prompts as (
        select checkpoint, decoding, prompt_set, prompt_id, unit, prompt, count(*) as n_samples
        from counted_generations()
        group by all
    ),
    shared as (
        select prompt, n, name, count(distinct place >> 32) as shared_by
        from recurring_ngrams($ngram_lengths, across := true)
        group by prompt, n, name
    ),
    -- Where no two generations share one, the first n-gram there is has one holder.
    single as (
        select prompt, n, (min(series)::bigint << 32) + 1 as name, 1 as shared_by
        from counted_generations()
        cross join unnest($ngram_lengths) as lengths(n)
        where n_units_of(token_ids, text) >= n
        group by prompt, n
    ),
    held as (
        from shared
        union all by name
        from single
    ),
    most_common as (
        select
            prompt,
            n,
            max(shared_by) as max_shared,
            arg_max(name, (shared_by, -name)) as name
        from held
        group by prompt, n
    ),
    spelled as (
        select
            most_common.prompt,
            n,
            max_shared,
            array_to_string(
                units_of(token_ids, text)[(name & 4294967295):(name & 4294967295) + n - 1], ' '
            ) as ngram
        from most_common
        join counted_generations() as holder
            on holder.series = name >> 32
    )
select
    checkpoint,
    decoding,
    prompt_set,
    prompt_id,
    unit,
    n,
    n_samples,
    coalesce(max_shared, 0) as max_shared,
    ngram
from prompts
cross join unnest($ngram_lengths) as lengths(n)
left join spelled
    using (prompt, n)
order by all
