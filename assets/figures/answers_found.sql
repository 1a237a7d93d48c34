-- Different answers among so many generations of a prompt.
select
    checkpoint,
    label,
    level as k,
    value,
    low,
    high,
    n_items
from summary
join shown
    using (checkpoint, decoding)
where measure = 'answers_found' and collection = '*' and condition = '-'
order by place, k
