-- The mean score of a prompt's generations.
--
-- Of the study's first score; of others under the condition of their name.
--
-- reads:     scores
-- item:      prompt
-- statistic: mean
-- format:    signed
-- title:     mean score
-- group:     quality
-- leading:   yes
-- says:      generations have a mean score of {value}
select
    checkpoint,
    decoding,
    if(is_first, '-', name) as condition,
    prompt_set as collection,
    prompt_id as item,
    sum(value) as numerator,
    count(*) as denominator
from scores
group by all
