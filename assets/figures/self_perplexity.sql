-- What every checkpoint makes of its own generations, those of a prompt together.
select
    checkpoint,
    corpus,
    category,
    item,
    sum(n_tokens)::bigint as n_tokens,
    sum(n_bytes)::bigint as n_bytes,
    sum(nll) as nll
from text_statistics
join shown
    using (checkpoint, decoding)
where condition = 'own'
group by all
order by any_value(place), corpus, item
