-- Share of pairs of generations that agree, along their alignment (paper: figure 1, below).
--
-- reads:     alignment_overlap
-- item:      prompt
-- statistic: mean
-- format:    share
-- title:     pairs of generations that agree
-- group:     blueprint
-- says:      {value} of the pairs of a prompt's generations agree where they stand
-- empty:     where no prompt has several generations
select
    checkpoint,
    decoding,
    prompt_set as collection,
    prompt_id as item,
    avg(pairwise_match) as numerator,
    1 as denominator
from alignment_overlap
where n_samples > 1
group by all
