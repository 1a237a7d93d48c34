-- How often each checkpoint's choice changes with the order of the options.
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
order by place, condition
