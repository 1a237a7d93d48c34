-- Each prompt's semantic anchors and anchor spans, and how many generations hold each where.
--
-- `held` counts the generations that hold it in each fortieth of their texts, `middle` is the median
-- place at which it begins. A checkpoint without any has a row without a text.
with
    answering as (
        select
            checkpoint,
            decoding,
            prompt_set,
            prompt_id,
            sample,
            length(text) as n_characters
        from generations
        join shown
            using (checkpoint, decoding, prompt_set)
    ),
    answered as (
        select checkpoint, decoding, prompt_set, prompt_id, count(*)::integer as n_samples
        from answering
        group by checkpoint, decoding, prompt_set, prompt_id
    ),
    passages as (
        select
            * exclude (samples, starts, lengths),
            unnest(samples) as sample,
            unnest(starts) as start,
            unnest(lengths) as length
        from semantic_anchors
        union all by name
        select
            checkpoint,
            decoding,
            prompt_set,
            prompt_id,
            anchor,
            span,
            text,
            anchor_spans.n_holders,
            unnest(samples) as sample,
            unnest(starts) as start,
            length
        from anchor_spans
        left join span_meanings
            using (checkpoint, decoding, prompt_set, prompt_id, span)
    ),
    drawn as (
        select
            checkpoint,
            decoding,
            prompt_set,
            prompt_id,
            anchor,
            span,
            text,
            n_holders,
            n_wordings,
            median(start / n_characters) as middle,
            list(
                {
                    'sample': sample,
                    'first': 40 * start // n_characters,
                    'last': 40 * (start + length - 1) // n_characters
                }
            ) as places
        from passages
        join answering
            using (checkpoint, decoding, prompt_set, prompt_id, sample)
        group by all
    )
select
    checkpoint,
    label,
    prompt_id,
    coalesce(prompt, prompt_id) as prompt,
    n_samples,
    anchor,
    span,
    text,
    n_holders,
    n_wordings,
    middle,
    list_transform(
        range(40),
        lambda part: list_unique(
            list_transform(
                list_filter(places, lambda p: p.first <= part and part <= p.last),
                lambda p: p.sample
            )
        )
    ) as held
from answered
join shown
    using (checkpoint, decoding, prompt_set)
left join drawn
    using (checkpoint, decoding, prompt_set, prompt_id)
left join prompt_texts()
    using (prompt_set, prompt_id)
order by place, prompt_id, anchor, span nulls first
