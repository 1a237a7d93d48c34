-- Share of a generation's sentences that repeat the one before (after Xu et al., 2022).
--
-- `sentences()` says what a sentence is; line breaks end one, too. It is the mean over a prompt's
-- generations; those without a sentence are left out, and so is a prompt of such alone.
--
-- reads:     generations
-- item:      prompt
-- statistic: mean
-- format:    share
-- title:     sentences that repeat the one before
-- group:     surface
-- says:      {value} of a generation's sentences repeat the one before
-- empty:     where all generations are empty
with
    split as (
        select checkpoint, decoding, prompt_set, prompt_id, sentences(text) as listed
        from generations
    ),
    counted as (
        select
            * exclude (listed),
            len(listed) as n_sentences,
            len(
                list_filter(listed, lambda sentence, place: sentence = listed[place - 1])
            ) as n_repeating
        from split
    )
select
    checkpoint,
    decoding,
    prompt_set as collection,
    prompt_id as item,
    sum(n_repeating / n_sentences) filter (where n_sentences > 0) as numerator,
    count(*) filter (where n_sentences > 0) as denominator
from counted
group by checkpoint, decoding, prompt_set, prompt_id
