-- The mass of the most likely tokens, on average over every text.
select
    checkpoint,
    case
        when condition = 'gold' then 'human text'
        when text_statistics.decoding = 'greedy' then 'its own, greedy'
        else 'its own'
    end as written,
    corpus,
    item,
    n_tokens,
    mass
from text_statistics
join shown
    using (checkpoint)
where condition in ('gold', 'own') and mass[1] is not null
order by place, written, corpus, item, text_id
