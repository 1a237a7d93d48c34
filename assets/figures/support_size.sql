-- The support, on average over a document, or over a prompt's generations.
select
    checkpoint,
    case
        when condition = 'gold' then 'human text'
        when text_statistics.decoding = 'greedy' then 'its own, greedy'
        else 'its own'
    end as written,
    corpus,
    item,
    sum(support * n_tokens) / sum(n_tokens) as support
from text_statistics
join shown
    using (checkpoint)
where condition in ('gold', 'own') and support is not null
group by all
order by any_value(place), written, corpus, item
