-- The anchor spans that a prompt's generations are built on (paper: section 4.3).
--
-- The frequent span that most generations have comes first, then the longest, then the one that
-- starts first. A generation no longer counts for a span that overlaps one already picked in it;
-- spans that are left with less than `span_share` (by default 20%) are dropped, and the order is
-- taken anew, until `spans` (by default 6) are picked.
--
-- grain:     checkpoint, decoding, prompt_set, prompt_id, span
-- reads:     frequent_spans
-- partition: checkpoint
-- empty:     where generations have nothing in common
-- columns:
--   span         VARCHAR   number from 1, in the order in which generations pass them
--   start_column INTEGER   column of its first character
--   text         VARCHAR   the span
--   length       INTEGER   [characters] how long it is
--   n_holders    INTEGER   [generations] those that count for it
--   n_samples    INTEGER   [generations] generations of this prompt
--   pick         INTEGER   when it was picked, from 1
--   samples      INTEGER[] numbers of those that count for it
--   starts       INTEGER[] [characters] where in each of them it starts, from 0
with recursive
    -- Within a prompt, a name is a place in the order of those that as many generations have.
    spans as materialized (
        select
            *,
            dense_rank() over (order by checkpoint, decoding, prompt_set, prompt_id) as prompt,
            row_number() over (
                order by
                    checkpoint,
                    decoding,
                    prompt_set,
                    prompt_id,
                    length desc,
                    start_column,
                    text
            ) as name
        from frequent_spans
    ),
    holders as (
        select
            prompt,
            name,
            n_samples,
            unnest(samples) as sample,
            unnest(starts) as start,
            start + length as stop
        from spans
    ),
    picks as (
        select *, 0 as pick, false as picked
        from holders
        union all
        (
            with
                counting as (
                    from picks
                    where not picked and pick < $spans
                ),
                counts as (
                    select prompt, name, count(*) as n_holders
                    from counting
                    group by prompt, name, n_samples
                    having
                        count(*) >= 2
                        and count(*) >= $span_share::decimal(7, 6) * n_samples
                ),
                best as (
                    select prompt, arg_max(name, (n_holders, -name)) as name
                    from counts
                    group by prompt
                ),
                taken as (
                    from counting
                    semi join best
                        using (prompt, name)
                ),
                free as (
                    from counting
                    semi join counts
                        using (prompt, name)
                    anti join taken
                        on counting.prompt = taken.prompt
                        and counting.sample = taken.sample
                        and counting.start < taken.stop
                        and taken.start < counting.stop
                )
            select * replace (pick + 1 as pick, true as picked)
            from taken
            union all
            select * replace (pick + 1 as pick)
            from free
        )
    ),
    picked_spans as (
        select
            name,
            pick,
            count(*)::integer as n_holders,
            list(sample order by sample) as samples,
            list(start order by sample) as starts
        from picks
        where picked
        group by name, pick
    )
select
    checkpoint,
    decoding,
    prompt_set,
    prompt_id,
    (row_number() over (partition by prompt order by start_column, pick))::varchar as span,
    start_column,
    text,
    length,
    picked_spans.n_holders,
    n_samples,
    pick,
    picked_spans.samples,
    picked_spans.starts
from picked_spans
join spans
    using (name)
order by all
