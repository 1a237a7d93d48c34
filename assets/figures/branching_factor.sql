-- The branching factor of each checkpoint's own text by position, and how its entropy differs from its
-- base's.
with
    measured as (
        select
            checkpoint,
            summary.decoding,
            'value' as what,
            'its own text' as kind,
            level as position,
            value,
            low,
            high,
            n_items
        from summary
        where measure = 'branching_factor' and collection = '*'
        union all
        select
            comparisons.checkpoint,
            comparisons.decoding,
            'change' as what,
            if(condition = '-', 'its own text', 'human text') as kind,
            level as position,
            difference as value,
            difference_low as low,
            difference_high as high,
            n_items
        from comparisons
        join checkpoints
            on checkpoints.checkpoint = comparisons.checkpoint and base = comparisons.other
        where
            measure = 'entropy'
            and condition in ('-', 'gold')
            and collection = '*'
            and difference is not null
    )
select checkpoint, label, what, kind, position, value, low, high, n_items
from measured
join shown
    using (checkpoint)
where measured.decoding in ('-', shown.decoding)
order by place, what, kind, position
