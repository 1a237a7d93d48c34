-- Share of a prompt's generations that hold its most common n-gram.
select
    checkpoint,
    label,
    level as n,
    value,
    low,
    high,
    floor,
    n_items
from summary
join shown
    using (checkpoint, decoding)
where measure = 'ngram_sharing' and unit = $unit and collection = '*'
order by place, n
