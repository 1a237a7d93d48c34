-- The sentences of the generations that answer a set of prompts, where each begins, and its vector.
with
    answering as (
        select
            prompt_id,
            sample,
            count(*) over (partition by prompt_id) as n_samples,
            sentence_pieces(text) as pieces
        from generations
        where decoding = $decoding and prompt_set = $prompt_set
    ),
    pieces as (
        select
            prompt_id,
            sample,
            n_samples,
            unnest(pieces) as piece,
            generate_subscripts(pieces, 1) as place
        from answering
    ),
    placed as (
        select
            *,
            sum(length(piece)) over (
                partition by prompt_id, sample
                order by place
            ) - length(piece) as before,
            sentence_in(piece) as text
        from pieces
    )
select
    prompt_id,
    sample,
    n_samples,
    (before + position(text in piece) - 1)::integer as start,
    text,
    embedding
from placed
join embeddings
    using (text)
order by prompt_id, sample, start
