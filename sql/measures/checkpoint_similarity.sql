-- How similar in sense a prompt's generations are to another checkpoint's: mean cosine similarity.
--
-- reads:     semantic_pairs
-- item:      prompt
-- statistic: mean
-- format:    signed
-- title:     similarity to another checkpoint's generations
-- group:     meaning
-- says:      generations have a cosine similarity of {value} to the other's
-- empty:     where the two have no prompt in common
select
    checkpoint,
    decoding,
    other,
    prompt_set as collection,
    prompt_id as item,
    similarity as numerator,
    1 as denominator
from semantic_pairs
