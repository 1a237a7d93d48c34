-- The anchor spans that each generation passes, from START to END.
--
-- grain:     checkpoint, decoding, prompt_set, prompt_id, sample, step
-- reads:     alignments, anchor_spans
-- partition: checkpoint
-- columns:
--   step  INTEGER place in the generation's path, from 0
--   span  VARCHAR START, a span of anchor_spans, or END
--   start INTEGER [characters] where in the generation the span starts, from 0; null for START and
--                 END
with
    passed as (
        select
            checkpoint,
            decoding,
            prompt_set,
            prompt_id,
            unnest(samples) as sample,
            span,
            unnest(starts) as start,
            1 as part
        from anchor_spans
    ),
    ends as (
        select
            checkpoint,
            decoding,
            prompt_set,
            prompt_id,
            sample,
            unnest(['START', 'END']) as span,
            null::integer as start,
            unnest([0, 2]) as part
        from alignments
    ),
    steps as (
        from passed
        union all by name
        from ends
    )
select
    checkpoint,
    decoding,
    prompt_set,
    prompt_id,
    sample,
    (
        row_number() over (
            partition by checkpoint, decoding, prompt_set, prompt_id, sample
            order by part, start
        ) - 1
    )::integer as step,
    span,
    start
from steps
order by all
