-- How probable a sentence's tokens are each time that a text has it; of greedy generations, too, where
-- there are some.
select
    checkpoint,
    label,
    if(summary.decoding = shown.decoding, 'its own text', 'its own text, greedy') as kind,
    level as position,
    value,
    low,
    high,
    n_items
from summary
join shown
    using (checkpoint)
where
    measure = 'self_reinforcement'
    and collection = '*'
    and summary.decoding in (shown.decoding, 'greedy')
order by place, kind, position
