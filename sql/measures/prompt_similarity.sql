-- How similar in sense a prompt's generations are to those of other prompts: mean cosine similarity.
--
-- reads:     semantic_diversity
-- item:      prompt
-- statistic: mean
-- format:    signed
-- title:     similarity to other prompts' generations
-- group:     meaning
-- says:      generations have a cosine similarity of {value} to those of other prompts
-- empty:     where there is one prompt
select
    checkpoint,
    decoding,
    prompt_set as collection,
    prompt_id as item,
    other_prompts as numerator,
    1 as denominator
from semantic_diversity
where among = '-'
