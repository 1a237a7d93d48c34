-- How many different n-grams a prompt's generations hold together, of how many (paper: table 4).
--
-- grain:     checkpoint, decoding, prompt_set, prompt_id, unit, n
-- reads:     generations
-- partition: checkpoint
-- columns:
--   n_samples  INTEGER [generations] generations of this prompt
--   n_total    BIGINT [n-grams] n-grams in all generations of the prompt
--   n_distinct BIGINT [n-grams] different ones among them
with
    prompts as (
        select checkpoint, decoding, prompt_set, prompt_id, unit, prompt, count(*) as n_samples
        from generation_units()
        group by all
    ),
    windows as materialized (
        select prompt, a, b, c, d, e
        from ngram_windows()
    ),
    ngrams as (
        select prompt, 1 as n, count(*) as occurrences
        from windows
        group by prompt, a
        union all
        select prompt, 2 as n, count(*) as occurrences
        from windows
        where b is not null
        group by prompt, a, b
        union all
        select prompt, 3 as n, count(*) as occurrences
        from windows
        where c is not null
        group by prompt, a, b, c
        union all
        select prompt, 4 as n, count(*) as occurrences
        from windows
        where d is not null
        group by prompt, a, b, c, d
        union all
        select prompt, 5 as n, count(*) as occurrences
        from windows
        where e is not null
        group by prompt, a, b, c, d, e
    ),
    totals as (
        select prompt, n, sum(occurrences) as n_total, count(*) as n_distinct
        from ngrams
        group by prompt, n
    )
select
    checkpoint,
    decoding,
    prompt_set,
    prompt_id,
    unit,
    n,
    n_samples,
    coalesce(n_total, 0) as n_total,
    coalesce(n_distinct, 0) as n_distinct
from prompts
cross join unnest([1, 2, 3, 4, 5]) as lengths(n)
left join totals
    using (prompt, n)
order by all
