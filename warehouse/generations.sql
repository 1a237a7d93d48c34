-- Vocabulary over the view `generations`, loaded wherever there is one.

-- Each generation once for every unit that it can be counted in: its tokens, where they are known,
-- and its words. `prompt` numbers the (checkpoint, decoding, prompt_set, prompt_id, unit), and
-- `series` the generations in that unit, in the order of the grain.
create or replace macro counted_generations() as table
    with
        numbered as (
            select
                *,
                dense_rank() over (order by checkpoint, decoding, prompt_set, prompt_id) as nth_prompt,
                row_number() over (
                    order by checkpoint, decoding, prompt_set, prompt_id, sample
                ) as nth_generation
            from generations
        )
    select
        checkpoint,
        decoding,
        prompt_set,
        prompt_id,
        sample,
        'token' as unit,
        (2 * nth_prompt)::integer as prompt,
        (2 * nth_generation)::integer as series,
        token_ids,
        null as text
    from numbered
    where token_ids is not null
    union all
    select
        checkpoint,
        decoding,
        prompt_set,
        prompt_id,
        sample,
        'word' as unit,
        (2 * nth_prompt + 1)::integer as prompt,
        (2 * nth_generation + 1)::integer as series,
        null as token_ids,
        text
    from numbered;

-- The units of a row of `counted_generations()`, in a list.
create or replace macro units_of(token_ids, text) as
    if(token_ids is null, words(text), token_ids::varchar[]);

-- How many they are.
create or replace macro n_units_of(token_ids, text) as
    if(token_ids is null, len(words(text)), len(token_ids));

-- The same generations with their units.
create or replace macro generation_units() as table
    select
        checkpoint,
        decoding,
        prompt_set,
        prompt_id,
        sample,
        unit,
        prompt,
        series,
        units_of(token_ids, text) as units
    from counted_generations();

-- Every place in a generation, with the unit that stands there (a) and the nine after it (b to j),
-- null beyond the end: n-grams never cross two generations. Units are numbers from 1 that are equal
-- where the units are. Places are consecutive within a series, and grow with it; `place >> 32` is
-- the series, and `place & 4294967295` counts from 1.
create or replace macro ngram_windows() as table
    with
        units as (
            select
                prompt,
                series,
                (series::bigint << 32) + generate_subscripts(units, 1) as place,
                unnest(units) as value
            from generation_units()
        ),
        distinct_values as (
            select distinct value
            from units
        ),
        codes as (
            select value, (row_number() over ())::integer as a
            from distinct_values
        )
    select
        prompt,
        series,
        place,
        a,
        lead(a, 1) over following as b,
        lead(a, 2) over following as c,
        lead(a, 3) over following as d,
        lead(a, 4) over following as e,
        lead(a, 5) over following as f,
        lead(a, 6) over following as g,
        lead(a, 7) over following as h,
        lead(a, 8) over following as i,
        lead(a, 9) over following as j
    from units
    join codes
        using (value)
    window following as (partition by series order by place);

-- The places of n-grams that recur, for each n in `lengths`. An n-gram is named by the first place
-- that it stands at. What stands at one place alone is left out as far as that is cheap, and so is,
-- if `across`, what stands in one generation alone.
--
-- Every part of an n-gram that recurs recurs as well. So n-grams are put together out of the places
-- of shorter ones: of two up to twice as long, of three up to three times. Each step takes time in
-- proportion to the places that recur. There is one for each length, and more where a length is
-- over three times the one before it.
create or replace macro recurring_ngrams(lengths, across) as table
    with recursive
        -- As many units of each window as the shortest n-gram has.
        windows as materialized (
            select
                prompt,
                series,
                place,
                a,
                if(list_min(lengths::integer[]) >= 2, b, 0) as b,
                if(list_min(lengths::integer[]) >= 3, c, 0) as c,
                if(list_min(lengths::integer[]) >= 4, d, 0) as d,
                if(list_min(lengths::integer[]) >= 5, e, 0) as e
            from ngram_windows()
        ),
        distinct_windows as (
            select
                prompt,
                a,
                b,
                c,
                d,
                e,
                min(place) as name,
                max(place) as last_place
            from windows
            where b is not null and c is not null and d is not null and e is not null
            group by prompt, a, b, c, d, e
        ),
        shortest as materialized (
            select prompt, a, b, c, d, e, name
            from distinct_windows
            where if(across::boolean, name >> 32 < last_place >> 32, name < last_place)
        ),
        places as (
            select prompt, place, name, least(5, list_min(lengths::integer[])) as n
            from windows
            join shortest
                using (prompt, a, b, c, d, e)
            union all
            select
                head.prompt,
                head.place,
                min(head.place) over (partition by head.name, middle.name, tail.name) as name,
                head.longer as n
            from (
                select
                    *,
                    least(
                        3 * n,
                        list_min(list_filter(lengths::integer[], lambda length: length > n))
                    ) as longer
                from places
                where n < list_max(lengths::integer[])
            ) as head
            join places as middle
                on middle.place = head.place + least(head.n, head.longer - head.n)
            join places as tail
                on tail.place = head.place + head.longer - head.n
        )
    from places
    where list_contains(lengths::integer[], n);
