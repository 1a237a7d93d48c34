-- Vocabulary over the view `generations`, loaded wherever there is one.

-- Each generation's units in a list, once for every unit that it can be counted in: its tokens,
-- where they are known, and its words. `prompt` numbers the (checkpoint, decoding, prompt_set,
-- prompt_id, unit), and `series` the generations in that unit, in the order of the grain.
create or replace macro generation_units() as table
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
        token_ids::varchar[] as units
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
        words(text) as units
    from numbered;

-- Every place in a generation, with the unit that stands there (a) and the nine after it (b to j),
-- null beyond the end: n-grams never cross two generations. Units are numbers that are equal where
-- the units are. Places are consecutive within a series, and grow with it; `place >> 32` is the
-- series, and `place & 4294967295` counts from 1.
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
