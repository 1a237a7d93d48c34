-- How far apart the generations of a prompt are in sense: 1 - mean cosine similarity of all pairs.
--
-- Of those generations alone that are right by a score, it is under the condition `right by NAME`.
--
-- reads:     semantic_diversity
-- item:      prompt
-- statistic: mean
-- format:    number
-- title:     semantic diversity
-- group:     meaning
-- leading:   yes
-- says:      pairs of a prompt's generations have a semantic distance of {value}
-- empty:     where no prompt has several generations
select
    checkpoint,
    decoding,
    if(among = '-', '-', 'right by ' || among) as condition,
    prompt_set as collection,
    prompt_id as item,
    greatest(1 - mean_cosine, 0) as numerator,
    1 as denominator
from semantic_diversity
