-- What every checkpoint makes of every document.
select
    checkpoint,
    corpus,
    category,
    item,
    n_tokens,
    n_bytes,
    nll
from text_statistics
join shown
    using (checkpoint)
where condition = 'gold'
order by place, corpus, item
