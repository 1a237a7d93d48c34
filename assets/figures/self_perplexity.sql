-- How well each checkpoint predicts its own text, by what it continues.
with
    categories as (
        select corpus as collection, any_value(category) as category
        from documents
        group by corpus
    )
select
    checkpoint,
    label,
    coalesce(category, 'prompts') as category,
    collection as corpus,
    value,
    low,
    high,
    n_items as n
from summary
join shown
    using (checkpoint, decoding)
left join categories
    using (collection)
where
    measure = if($unit = 'token', 'self_perplexity', 'self_bits_per_byte')
    and unit in ('token', '-')
    and collection <> '*'
order by category, corpus, place
