-- Vocabulary over the views `alignments` and `generations`, loaded wherever there are both.

-- The prompts that were aligned, numbered, and how many generations each has.
create or replace macro aligned_prompts() as table
    select
        checkpoint,
        decoding,
        prompt_set,
        prompt_id,
        (
            row_number() over (order by checkpoint, decoding, prompt_set, prompt_id)
        )::integer as prompt,
        count(*)::integer as n_samples
    from alignments
    group by checkpoint, decoding, prompt_set, prompt_id;

-- Every character of every generation, and the column that it stands in. `place` counts the
-- characters of a generation from 0.
create or replace macro aligned_characters() as table
    select
        prompt,
        sample,
        unnest(range(len(columns)))::integer as place,
        unnest(columns) as position,
        unnest(string_split(text, '')) as character
    from alignments
    join generations
        using (checkpoint, decoding, prompt_set, prompt_id, sample)
    join aligned_prompts()
        using (checkpoint, decoding, prompt_set, prompt_id)
    where len(columns) > 0;

-- How many generations have a character in a column.
create or replace macro column_characters() as table
    select prompt, position, character, count(*)::integer as holders
    from aligned_characters()
    group by prompt, position, character;

-- Kept columns, where one character stands in at least `kept_by` generations, cut into 100 equal
-- bins: a row for each bin that a column lies in. Of a bin's `bin_length` hundredths of a column it
-- fills `overlap`. `aligned_samples` are the generations whose character there at least
-- `aligned_with` others share.
create or replace macro kept_columns(kept_by := 5, aligned_with := 5) as table
    with
        counted as (
            select
                prompt,
                position,
                max(holders) as most_holders,
                sum(holders::bigint * (holders - 1) // 2) as matching_pairs,
                coalesce(sum(holders) filter (where holders - 1 >= aligned_with), 0) as aligned_samples
            from column_characters()
            group by prompt, position
        ),
        kept as (
            from counted
            where most_holders >= kept_by
        ),
        -- A bin is as many hundredths of a column long as there are columns.
        numbered as (
            select
                *,
                100 * (row_number() over (partition by prompt order by position) - 1) as start,
                count(*) over (partition by prompt) as bin_length
            from kept
        ),
        binned as (
            select *, unnest(range(start // bin_length, (start + 99) // bin_length + 1)) as bin
            from numbered
        )
    select
        prompt,
        position,
        matching_pairs,
        aligned_samples,
        bin::integer as bin,
        bin_length,
        least(start + 100, (bin + 1) * bin_length) - greatest(start, bin * bin_length) as overlap
    from binned;
