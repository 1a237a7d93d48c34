-- How many generations hold their prompt's most common n-gram (paper: figures 7A and 15A).
--
-- grain:     checkpoint, decoding, prompt_set, prompt_id, unit, n
-- reads:     generations
-- partition: checkpoint
-- columns:
--   n_samples  INTEGER [generations] generations of this prompt
--   max_shared INTEGER [generations] those that hold the most common n-gram; 0 where none is long
--                      enough
--   ngram      VARCHAR that n-gram, its units joined by spaces; of several the one that comes first
with
    prompts as (
        select checkpoint, decoding, prompt_set, prompt_id, unit, prompt, count(*) as n_samples
        from generation_units()
        group by all
    ),
    windows as materialized (
        select prompt, series, place, a, b, c, d, e
        from ngram_windows()
        where e is not null
    ),
    -- Every part of an n-gram that two generations hold is held by two as well. So longer n-grams
    -- are made of the places of shared shorter ones, each named by the first place it is held at.
    shared_5 as materialized (
        select prompt, a, b, c, d, e, min(place) as name
        from windows
        group by prompt, a, b, c, d, e
        having min(series) < max(series)
    ),
    places_5 as materialized (
        select prompt, series, place, name
        from windows
        join shared_5
            using (prompt, a, b, c, d, e)
    ),
    places_10 as materialized (
        select
            one.prompt,
            one.series,
            one.place,
            min(one.place) over (partition by one.name, two.name) as name
        from places_5 as one
        join places_5 as two
            on two.place = one.place + 5
    ),
    places_25 as materialized (
        select
            one.prompt,
            one.series,
            one.place,
            min(one.place) over (partition by one.name, two.name, three.name) as name
        from places_10 as one
        join places_10 as two
            on two.place = one.place + 10
        join places_10 as three
            on three.place = one.place + 15
    ),
    places_50 as (
        select
            one.prompt,
            one.series,
            one.place,
            min(one.place) over (partition by one.name, two.name) as name
        from places_25 as one
        join places_25 as two
            on two.place = one.place + 25
    ),
    places as (
        select *, 5 as n
        from places_5
        union all
        select *, 10 as n
        from places_10
        union all
        select *, 25 as n
        from places_25
        union all
        select *, 50 as n
        from places_50
    ),
    shared as (
        select prompt, n, name, count(distinct series) as shared_by
        from places
        group by prompt, n, name
    ),
    -- Where no two generations share one, the first n-gram there is has one holder.
    single as (
        select prompt, n, (min(series)::bigint << 32) + 1 as name, 1 as shared_by
        from generation_units()
        cross join unnest([5, 10, 25, 50]) as lengths(n)
        where len(units) >= n
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
                units[(name & 4294967295):(name & 4294967295) + n - 1], ' '
            ) as ngram
        from most_common
        join generation_units() as holder
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
cross join unnest([5, 10, 25, 50]) as lengths(n)
left join spelled
    using (prompt, n)
order by all
