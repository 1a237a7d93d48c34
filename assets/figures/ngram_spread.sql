-- Different 10-grams of a prompt by the share of its generations that hold them, in twentieths.
select
    checkpoint,
    label,
    level as twentieth,
    value,
    low,
    high,
    n_items
from summary
join shown
    using (checkpoint, decoding)
where measure = 'ngram_spread' and unit = $unit and collection = '*'
order by place, twentieth
