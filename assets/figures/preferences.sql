-- How likely each checkpoint finds chosen and rejected answers, and how that differs from its base
-- and from the stage before.
with
    measured as (
        select
            checkpoint,
            'value' as what,
            null as other,
            measure,
            condition,
            value,
            low,
            high,
            n_items as n
        from summary
        where collection = '*'
        union all
        select
            comparisons.checkpoint,
            if(base = other, 'change', 'step') as what,
            other,
            measure,
            condition,
            difference as value,
            difference_low as low,
            difference_high as high,
            n_items as n
        from comparisons
        join checkpoints
            on checkpoints.checkpoint = comparisons.checkpoint
        where collection = '*'
    )
select
    checkpoint,
    what,
    other,
    measure,
    condition,
    value,
    low,
    high,
    n
from measured
join shown
    using (checkpoint)
join (select measure from declared)
    using (measure)
order by place, what desc, measure, condition
