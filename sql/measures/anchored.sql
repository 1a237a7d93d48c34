-- Share of a prompt's generations that pass an anchor span (paper: figures 1 and 8 to 12).
--
-- reads:     anchor_paths
-- item:      prompt
-- statistic: mean
-- format:    share
-- title:     generations that pass an anchor span
-- group:     blueprint
-- says:      {value} of a prompt's generations pass an anchor span
-- empty:     where no prompt has several generations
select
    checkpoint,
    decoding,
    prompt_set as collection,
    prompt_id as item,
    count(distinct sample) filter (where span not in ('START', 'END')) as numerator,
    count(distinct sample) as denominator
from anchor_paths
group by checkpoint, decoding, prompt_set, prompt_id
having count(distinct sample) > 1
