-- Share of generations that are in an anchor span, along their alignment (paper: figure 14).
--
-- reads:     anchor_coverage
-- item:      prompt
-- statistic: mean
-- format:    share
-- title:     generations in an anchor span
-- group:     blueprint
-- leading:   yes
-- says:      {value} of a prompt's generations are in an anchor span
-- empty:     where no prompt has several generations
select
    checkpoint,
    decoding,
    prompt_set as collection,
    prompt_id as item,
    avg(in_anchor) as numerator,
    1 as denominator
from anchor_coverage
where n_samples > 1
group by all
