-- How many different generations those of a prompt are worth (Vendi score; Friedman and Dieng, 2023).
--
-- Of those generations alone that are right by a score, it is under the condition `right by NAME`.
--
-- reads:     semantic_diversity
-- item:      prompt
-- statistic: mean
-- format:    number
-- title:     Vendi score
-- group:     meaning
-- says:      a prompt's generations are worth {value} different ones (Vendi score)
-- floor:     1
select
    checkpoint,
    decoding,
    if(among = '-', '-', 'right by ' || among) as condition,
    prompt_set as collection,
    prompt_id as item,
    vendi as numerator,
    1 as denominator
from semantic_diversity
