-- The likeliest token's probability and how often it comes, in bins, as means over corpora.
with
    corpora as (
        select checkpoint, count(distinct corpus) as n_corpora
        from calibration
        group by checkpoint
    ),
    bins as (
        select
            checkpoint,
            bin,
            avg(confidence) as confidence,
            sum(share) / any_value(n_corpora) as share,
            sum(n_tokens)::bigint as n_tokens
        from calibration
        join corpora
            using (checkpoint)
        group by checkpoint, bin
    ),
    errors as (
        select checkpoint, level as bin, condition, value, low, high, n_items
        from summary
        where measure = 'calibration_error' and collection = '*'
    )
select
    checkpoint,
    label,
    bin,
    confidence,
    share,
    n_tokens,
    coalesce(confidence, 0) + value as value,
    coalesce(confidence, 0) + low as low,
    coalesce(confidence, 0) + high as high,
    n_items
from errors
join shown
    using (checkpoint)
left join bins
    using (checkpoint, bin)
order by place, bin
