-- Every measure at the level that it is quoted at, of every checkpoint.
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
where
    collection = '*'
    and condition = '-'
    and other = '-'
    and summary.decoding in ('-', shown.decoding)
    and unit in ('-', $unit)
order by shown.place, declared.place
