-- How many generations go from one anchor span directly to another (paper: figures 1 and 8 to 12).
--
-- grain:     checkpoint, decoding, prompt_set, prompt_id, source, target
-- reads:     anchor_paths
-- partition: checkpoint
-- columns:
--   source    VARCHAR START, or a span of anchor_spans
--   target    VARCHAR the next one that they pass, or END
--   n_holders INTEGER [generations] those that go this way
with
    steps as (
        select
            checkpoint,
            decoding,
            prompt_set,
            prompt_id,
            span as source,
            lead(span) over (
                partition by checkpoint, decoding, prompt_set, prompt_id, sample
                order by step
            ) as target
        from anchor_paths
    )
select
    checkpoint,
    decoding,
    prompt_set,
    prompt_id,
    source,
    target,
    count(*)::integer as n_holders
from steps
where target is not null
group by all
order by all
