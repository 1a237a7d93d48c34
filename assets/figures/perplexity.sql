-- How well each corpus is predicted, and how that differs from the base.
with
    categories as (
        select corpus, any_value(category) as category
        from documents
        group by corpus
    ),
    measured as (
        select
            checkpoint,
            'value' as what,
            collection as corpus,
            value,
            low,
            high,
            n_items as n
        from summary
        where
            measure = if($unit = 'token', 'perplexity', 'bits_per_byte')
            and unit in ('token', '-')
            and collection <> '*'
        union all
        select
            comparisons.checkpoint,
            'change' as what,
            collection as corpus,
            ratio - 1 as value,
            ratio_low - 1 as low,
            ratio_high - 1 as high,
            n_items as n
        from comparisons
        join checkpoints
            on checkpoints.checkpoint = comparisons.checkpoint and base = comparisons.other
        where
            measure = if($unit = 'token', 'perplexity', 'bits_per_byte')
            and unit in ('token', '-')
            and condition = '-'
            and collection <> '*'
            and ratio is not null
    )
select
    checkpoint,
    label,
    what,
    coalesce(category, '-') as category,
    corpus,
    value,
    low,
    high,
    n
from measured
join shown
    using (checkpoint)
left join categories
    using (corpus)
order by place, corpus, what
