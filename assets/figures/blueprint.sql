-- Each prompt's anchor spans in the order in which generations pass them, and the flows between them.
with
    spans as (
        select
            checkpoint,
            decoding,
            prompt_set,
            prompt_id,
            list(
                {'span': span, 'text': text, 'n_holders': n_holders}
                order by span
            ) as spans,
            len(list_distinct(flatten(list(samples)))) as anchored
        from anchor_spans
        group by checkpoint, decoding, prompt_set, prompt_id
    ),
    flows as (
        select
            checkpoint,
            decoding,
            prompt_set,
            prompt_id,
            sum(n_holders) filter (where source = 'START') as n_samples,
            list(
                {'source': source, 'target': target, 'n_holders': n_holders}
                order by source, target
            ) as flows
        from blueprint_flows
        group by checkpoint, decoding, prompt_set, prompt_id
    )
select
    checkpoint,
    label,
    prompt_id,
    coalesce(prompt, prompt_id) as prompt,
    n_samples::integer as n_samples,
    coalesce(anchored, 0)::integer as anchored,
    coalesce(spans, []) as spans,
    flows
from flows
join shown
    using (checkpoint, decoding, prompt_set)
left join spans
    using (checkpoint, decoding, prompt_set, prompt_id)
left join prompt_texts()
    using (prompt_set, prompt_id)
order by place, prompt_id
