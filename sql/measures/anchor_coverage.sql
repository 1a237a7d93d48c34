-- Share of generations that are in an anchor span, along their alignment (paper: figure 14).
--
-- reads:     anchor_coverage
-- item:      prompt
-- statistic: mean
-- format:    share
-- title:     generations in an anchor span
-- group:     blueprint
-- says:      {value} of a prompt's generations are in an anchor span
select
    checkpoint,
    decoding,
    prompt_set as collection,
    prompt_id as item,
    avg(in_anchor) as numerator,
    1 as denominator
from anchor_coverage
group by all
