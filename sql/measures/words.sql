-- Words of a generation, an empty one's being 0.
--
-- reads:     generations
-- item:      prompt
-- statistic: mean
-- format:    count
-- title:     words a generation
-- group:     surface
-- says:      generations have {value} words
select
    checkpoint,
    decoding,
    prompt_set as collection,
    prompt_id as item,
    sum(len(words(text))) as numerator,
    count(*) as denominator
from generations
group by checkpoint, decoding, prompt_set, prompt_id
