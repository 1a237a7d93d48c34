-- Share of generations that agree with at least $aligned_with others, along their alignment (paper:
-- figure 13).
--
-- reads:     alignment_overlap
-- item:      prompt
-- statistic: mean
-- format:    share
-- title:     generations that agree with $aligned_with others
-- group:     blueprint
-- says:      {value} of a prompt's generations agree with at least $aligned_with others where they
--            stand
-- empty:     where no prompt has several generations
select
    checkpoint,
    decoding,
    prompt_set as collection,
    prompt_id as item,
    avg(aligned_samples / n_samples) as numerator,
    1 as denominator
from alignment_overlap
where n_samples > 1
group by all
