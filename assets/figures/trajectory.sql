-- Every measure at the level that it is quoted at, of every checkpoint; also those of it and its base.
select
    checkpoint,
    measure,
    value,
    low,
    high,
    n_items
from summary
join shown
    using (checkpoint)
join declared
    using (measure, level)
join checkpoints
    using (checkpoint)
where
    collection = '*'
    and condition = '-'
    and other in ('-', base)
    and summary.decoding in ('-', shown.decoding)
    and unit in ('-', $unit)
order by shown.place, declared.place
