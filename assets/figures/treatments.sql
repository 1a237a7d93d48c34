-- Measures of each base at each of its decodings, and of the checkpoints that are aligned from it.
with
    -- Values of a sweep are of some prompts alone; those of decodings are compared.
    treated as (
        select distinct
            checkpoint,
            decoding
        from comparisons
        where
            checkpoint = other
            and checkpoint in (select base from checkpoints)
    ),
    listed as (
        select
            shown.checkpoint as base,
            shown.checkpoint,
            shown.decoding,
            shown.place,
            0 as kind
        from shown
        where shown.checkpoint in (select checkpoint from treated)
        union all
        select
            treated.checkpoint as base,
            treated.checkpoint,
            treated.decoding,
            shown.place,
            1 as kind
        from treated
        join shown
            on shown.checkpoint = treated.checkpoint
        union all
        select
            checkpoints.base,
            shown.checkpoint,
            shown.decoding,
            shown.place,
            2 as kind
        from shown
        join checkpoints
            on checkpoints.checkpoint = shown.checkpoint
        where checkpoints.base in (select checkpoint from treated)
    )
select
    listed.base,
    listed.checkpoint,
    listed.decoding,
    summary.measure,
    summary.value,
    summary.low,
    summary.high,
    summary.n_items as n
from listed
join summary
    on summary.checkpoint = listed.checkpoint
    and summary.decoding = listed.decoding
join declared
    on declared.measure = summary.measure
    and declared.level = summary.level
where
    summary.collection = '*'
    and summary.condition = '-'
    and summary.other = '-'
    -- Of a single generation, such as a greedy one, nothing is shared.
    and coalesce(summary.floor, 0) < 1
qualify row_number() over (
    partition by listed.base, listed.checkpoint, listed.decoding, summary.measure
    order by summary.unit <> $unit, summary.unit
) = 1
order by listed.base, declared.place, listed.kind, listed.place, listed.decoding
