-- Which semantic anchor each anchor span is a wording of.
--
-- A span is of the semantic anchor whose sentences it lies in for most of the generations that count
-- for it, and for half of them at least. Two spans of one semantic anchor say it in other words, or
-- are parts of one sentence, where the same generations have both.
--
-- grain:     checkpoint, decoding, prompt_set, prompt_id, span
-- reads:     anchor_spans, semantic_anchors
-- partition: checkpoint
-- empty:     where no span lies in a semantic anchor
-- columns:
--   span      VARCHAR as in anchor_spans
--   anchor    INTEGER as in semantic_anchors
--   n_inside  INTEGER [generations] those in which the span lies in a sentence of the anchor
--   n_holders INTEGER [generations] those that count for the span
with
    sentences as (
        select
            checkpoint,
            decoding,
            prompt_set,
            prompt_id,
            anchor,
            unnest(samples) as sample,
            unnest(starts) as sentence_start,
            unnest(lengths) as sentence_length
        from semantic_anchors
    ),
    passages as (
        select
            checkpoint,
            decoding,
            prompt_set,
            prompt_id,
            span,
            n_holders,
            unnest(samples) as sample,
            unnest(starts) as start,
            length
        from anchor_spans
    ),
    lying as (
        select
            checkpoint,
            decoding,
            prompt_set,
            prompt_id,
            span,
            n_holders,
            anchor,
            count(distinct sample)::integer as n_inside
        from passages
        join sentences
            using (checkpoint, decoding, prompt_set, prompt_id, sample)
        where
            start < sentence_start + sentence_length
            and sentence_start < start + length
        group by all
    )
select
    checkpoint,
    decoding,
    prompt_set,
    prompt_id,
    span,
    arg_max(anchor, (n_inside, -anchor)) as anchor,
    max(n_inside) as n_inside,
    n_holders
from lying
where 2 * n_inside >= n_holders
group by checkpoint, decoding, prompt_set, prompt_id, span, n_holders
order by all
