-- How sure each checkpoint is of the options that it chooses, and how often they are right.
select
    checkpoint,
    measure,
    condition,
    value,
    low,
    high,
    n_items as n
from summary
join shown
    using (checkpoint)
join (select measure from declared)
    using (measure)
where collection = '*'
order by place, measure, condition
