-- Share of a prompt's generations that end in a loop: their last words are some words, however many,
-- $loop_times times in a row.
--
-- The last round may be cut off anywhere: for some p, the last $loop_times times p words have a period
-- of p words.
--
-- reads:     generations
-- item:      prompt
-- statistic: mean
-- format:    share
-- title:     generations that end in a loop
-- group:     surface
-- says:      {value} of a prompt's generations end in a loop
with
    split as (
        select checkpoint, decoding, prompt_set, prompt_id, words(text) as listed
        from generations
    ),
    -- The distances at which the last word stands once more.
    periods as (
        select
            * exclude (listed),
            listed,
            list_filter(
                range(1, len(listed) // $loop_times + 1),
                lambda period: listed[len(listed) - period] = listed[len(listed)]
            ) as candidates
        from split
    ),
    looked_at as (
        select
            checkpoint,
            decoding,
            prompt_set,
            prompt_id,
            len(
                list_filter(
                    candidates,
                    lambda period: listed[len(listed) - ($loop_times - 1) * period + 1:]
                    = listed[len(listed) - $loop_times * period + 1:len(listed) - period]
                )
            ) > 0 as loops
        from periods
    )
select
    checkpoint,
    decoding,
    prompt_set as collection,
    prompt_id as item,
    count(*) filter (where loops) as numerator,
    count(*) as denominator
from looked_at
group by checkpoint, decoding, prompt_set, prompt_id
