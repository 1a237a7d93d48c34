-- How every checkpoint guesses last words, by measure.
select
    checkpoint,
    measure,
    value,
    low,
    high,
    n_items,
    median
from summary
join shown
    using (checkpoint)
join (select checkpoint, median from shannon_game)
    using (checkpoint)
where measure like 'shannon\_%' escape '\' and collection = '*'
order by place, measure
