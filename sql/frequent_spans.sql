-- Texts that many of a prompt's generations have at one place of their alignment.
--
-- A window is `span_characters` (by default 30) consecutive characters of a generation. Generations
-- share it when its text and the column of its first character are the same; it is frequent when at
-- least `span_share` (by default 20%) of them do, and at least two. Frequent windows that follow
-- each other in the same generations make one span.
--
-- grain:     checkpoint, decoding, prompt_set, prompt_id, start_column, text
-- reads:     generations, alignments
-- partition: checkpoint
-- empty:     where generations have nothing in common
-- columns:
--   start_column INTEGER   column of its first character
--   text         VARCHAR   the span
--   length       INTEGER   [characters] how long it is
--   n_holders    INTEGER   [generations] those that have it
--   n_samples    INTEGER   [generations] generations of this prompt
--   samples      INTEGER[] numbers of those that have it
--   starts       INTEGER[] [characters] where in each of them it starts, from 0
with
    prompts as (
        from aligned_prompts()
    ),
    -- Where a window is frequent, so is its first character.
    frequent_characters as (
        select prompt, position, character
        from column_characters()
        join prompts
            using (prompt)
        where holders >= 2 and holders >= $span_share::decimal(7, 6) * n_samples
    ),
    texts as (
        select prompt, n_samples, sample, text
        from alignments
        join generations
            using (checkpoint, decoding, prompt_set, prompt_id, sample)
        join prompts
            using (checkpoint, decoding, prompt_set, prompt_id)
    ),
    windows as materialized (
        select
            prompt,
            n_samples,
            sample,
            place,
            position,
            substring(text, place + 1, $span_characters) as window_text
        from aligned_characters()
        join frequent_characters
            using (prompt, position, character)
        join texts
            using (prompt, sample)
        where place + $span_characters <= length(text)
    ),
    frequent_windows as materialized (
        select
            prompt,
            position,
            window_text,
            count(*) as holders,
            min(sample) as first_sample,
            row_number() over () as name
        from windows
        group by prompt, position, window_text, n_samples
        having holders >= 2 and holders >= $span_share::decimal(7, 6) * n_samples
    ),
    places as materialized (
        select prompt, sample, place, position, name, holders, first_sample
        from windows
        join frequent_windows
            using (prompt, position, window_text)
    ),
    neighbours as (
        select
            prompt,
            name,
            holders,
            lag(name) over before as previous,
            lag(holders) over before as previous_holders,
            lag(place) over before as previous_place,
            place
        from places
        window before as (partition by prompt, sample order by place)
    ),
    -- A window that comes directly after another in all generations that have either.
    continuing as (
        select name
        from neighbours
        where previous_place = place - 1 and previous_holders = holders
        group by name, previous, holders
        having count(*) = holders
    ),
    -- One of the generations that have a span tells how far it goes.
    chained as (
        select
            prompt,
            sample,
            place,
            position,
            name,
            count(*) filter (where continuing.name is null) over (
                partition by prompt, sample
                order by place
            ) as chain
        from places
        left join continuing
            using (name)
        where sample = first_sample
    ),
    spans as (
        select
            prompt,
            sample,
            min(place) as start,
            min(position) as start_column,
            (count(*) + $span_characters - 1)::integer as length,
            arg_min(name, place) as name
        from chained
        group by prompt, sample, chain
    ),
    held as (
        select name, list(sample order by sample) as samples, list(place order by sample) as starts
        from places
        where name in (select name from spans)
        group by name
    )
select
    checkpoint,
    decoding,
    prompt_set,
    prompt_id,
    start_column,
    substring(text, start + 1, length) as text,
    length,
    len(samples)::integer as n_holders,
    prompts.n_samples,
    samples,
    starts
from spans
join held
    using (name)
join texts
    using (prompt, sample)
join prompts
    using (prompt)
order by all
