-- The support, over prompts or documents.
select
    checkpoint,
    case
        when condition = 'gold' then 'human text'
        when summary.decoding = 'greedy' then 'its own, greedy'
        else 'its own'
    end as written,
    value,
    low,
    high,
    n_items
from summary
join shown
    using (checkpoint)
where
    measure = 'support'
    and collection = '*'
    and (condition = 'gold' or summary.decoding in (shown.decoding, 'greedy'))
order by place, written
