-- How well each corpus is predicted before and after fine-tuning, and how that differs from the base.
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
            condition,
            collection as corpus,
            value,
            low,
            high,
            n_items as n
        from summary
        where
            measure = if($unit = 'token', 'readapted_perplexity', 'readapted_bits_per_byte')
            and collection <> '*'
        union all
        select
            comparisons.checkpoint,
            'change' as what,
            condition,
            collection as corpus,
            ratio - 1 as value,
            ratio_low - 1 as low,
            ratio_high - 1 as high,
            n_items as n
        from comparisons
        join checkpoints
            on checkpoints.checkpoint = comparisons.checkpoint and base = comparisons.other
        where
            measure = if($unit = 'token', 'readapted_perplexity', 'readapted_bits_per_byte')
            and collection <> '*'
            and ratio is not null
    )
select
    checkpoint,
    label,
    what,
    if(condition = 'before', 'as they come', 'after fine-tuning') as panel,
    coalesce(category, '-') as category,
    corpus,
    value,
    low,
    high,
    n,
    steps
from measured
join shown
    using (checkpoint)
join (select checkpoint, corpus, steps from readaptation)
    using (checkpoint, corpus)
left join categories
    using (corpus)
order by place, corpus, what, panel desc
