-- Anchor spans that a prompt's generations are built on (paper: section 4.3).
--
-- reads:     anchor_paths
-- item:      prompt
-- statistic: mean
-- format:    number
-- title:     anchor spans a prompt
-- group:     blueprint
-- says:      a prompt has {value} anchor spans
-- empty:     where no prompt has several generations
select
    checkpoint,
    decoding,
    prompt_set as collection,
    prompt_id as item,
    count(distinct span) filter (where span not in ('START', 'END')) as numerator,
    1 as denominator
from anchor_paths
group by checkpoint, decoding, prompt_set, prompt_id
having count(distinct sample) > 1
