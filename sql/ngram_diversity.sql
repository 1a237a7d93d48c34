-- How many different n-grams a prompt's generations hold together, of how many (paper: table 4).
--
-- n is each of the study's `ngram_diversity_lengths`, 1 to 5 unless it says otherwise.
--
-- grain:     checkpoint, decoding, prompt_set, prompt_id, unit, n
-- reads:     generations
-- partition: checkpoint
-- blocks:    prompts
-- columns:
--   n_samples  INTEGER [generations] generations of this prompt
--   n_total    BIGINT [n-grams] n-grams in all generations of the prompt
--   n_distinct BIGINT [n-grams] different ones among them
with
    prompts as (
        select checkpoint, decoding, prompt_set, prompt_id, unit, prompt, count(*) as n_samples
        from counted_generations()
        group by all
    ),
    windows as materialized (
        select prompt, a, b, c, d, e
        from ngram_windows()
    ),
    ngrams as (
        select prompt, 1 as n, count(*) as n_places
        from windows
        where list_contains($ngram_diversity_lengths, 1)
        group by prompt, a
        union all
        select prompt, 2 as n, count(*) as n_places
        from windows
        where list_contains($ngram_diversity_lengths, 2) and b is not null
        group by prompt, a, b
        union all
        select prompt, 3 as n, count(*) as n_places
        from windows
        where list_contains($ngram_diversity_lengths, 3) and c is not null
        group by prompt, a, b, c
        union all
        select prompt, 4 as n, count(*) as n_places
        from windows
        where list_contains($ngram_diversity_lengths, 4) and d is not null
        group by prompt, a, b, c, d
        union all
        select prompt, 5 as n, count(*) as n_places
        from windows
        where list_contains($ngram_diversity_lengths, 5) and e is not null
        group by prompt, a, b, c, d, e
    ),
    short_totals as (
        select prompt, n, sum(n_places) as n_total, count(*) as n_distinct
        from ngrams
        group by prompt, n
    ),
    -- Of longer ones those that recur, and how many stand at one place alone.
    recurring as (
        select prompt, n, count(*) as n_places
        from recurring_ngrams(
            list_filter($ngram_diversity_lengths, lambda length: length > 5), across := false
        )
        where list_max($ngram_diversity_lengths) > 5
        group by prompt, n, name
    ),
    recurring_totals as (
        select prompt, n, sum(n_places) as n_places, count(*) as n_distinct
        from recurring
        group by prompt, n
    ),
    long_places as (
        select prompt, n, sum(greatest(n_units_of(token_ids, text) - n + 1, 0)) as n_total
        from counted_generations()
        cross join unnest($ngram_diversity_lengths) as lengths(n)
        where n > 5 and list_max($ngram_diversity_lengths) > 5
        group by prompt, n
    ),
    long_totals as (
        select
            prompt,
            n,
            n_total,
            n_total - coalesce(n_places, 0) + coalesce(n_distinct, 0) as n_distinct
        from long_places
        left join recurring_totals
            using (prompt, n)
    ),
    totals as (
        from short_totals
        union all by name
        from long_totals
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
    coalesce(n_distinct, 0)::bigint as n_distinct
from prompts
cross join unnest($ngram_diversity_lengths) as lengths(n)
left join totals
    using (prompt, n)
order by all
