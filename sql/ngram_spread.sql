-- How many different 10-grams are held by exactly so many of a prompt's generations (paper: figures
-- 7B and 15B). Every number of generations has a row, also where no n-gram is held by so many.
--
-- grain:     checkpoint, decoding, prompt_set, prompt_id, unit, n, shared_by
-- reads:     generations
-- partition: checkpoint
-- columns:
--   shared_by INTEGER [generations] how many generations hold the n-gram
--   n_ngrams  BIGINT  [n-grams] different n-grams that so many hold
with
    prompts as (
        select checkpoint, decoding, prompt_set, prompt_id, unit, prompt, count(*) as n_samples
        from generation_units()
        group by all
    ),
    ngrams as (
        select prompt, count(distinct series) as shared_by
        from ngram_windows()
        where j is not null
        group by prompt, a, b, c, d, e, f, g, h, i, j
    ),
    spread as (
        select prompt, shared_by, count(*) as n_ngrams
        from ngrams
        group by prompt, shared_by
    )
select
    checkpoint,
    decoding,
    prompt_set,
    prompt_id,
    unit,
    10 as n,
    shared_by,
    coalesce(n_ngrams, 0) as n_ngrams
from prompts
cross join unnest(range(1, n_samples + 1)) as numbers(shared_by)
left join spread
    using (prompt, shared_by)
order by all
