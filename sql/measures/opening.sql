-- Share of a prompt's generations that begin with its most common first $opening_words words.
--
-- A prompt is left out where no generation has so many words.
--
-- reads:     generations
-- item:      prompt
-- statistic: mean
-- format:    share
-- title:     generations with the most common opening
-- group:     surface
-- leading:   yes
-- says:      {value} of a prompt's generations begin with its most common first $opening_words words
-- floor:     1 / denominator
-- empty:     where no generation has so many words, or no prompt several generations
with
    openings as (
        select
            checkpoint,
            decoding,
            prompt_set,
            prompt_id,
            words(text)[:$opening_words] as opening,
            count(*) as n_generations
        from generations
        group by all
    )
select
    checkpoint,
    decoding,
    prompt_set as collection,
    prompt_id as item,
    max(n_generations) filter (where len(opening) = $opening_words) as numerator,
    sum(n_generations) as denominator
from openings
group by checkpoint, decoding, prompt_set, prompt_id
having sum(n_generations) > 1
