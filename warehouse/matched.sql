-- The generations of two checkpoints, cut to a common number of words a prompt: the smaller of the
-- two medians, with the whitespace before them. Of prompts that only one of them has there is
-- nothing. Tokens cannot be cut at words, so there are none.
with
    texts as (
        select
            sampled.*,
            coalesce(prompt, prompt_set || '/' || prompt_id) as prompt,
            spaced_words(text) as units
        from sampled
        left join prompt_texts()
            using (prompt_set, prompt_id)
        where
            (checkpoint = $checkpoint and decoding = $decoding)
            or (checkpoint = $other and decoding = $other_decoding)
    ),
    medians as (
        select prompt, checkpoint, median(len(units)) as n_words
        from texts
        group by prompt, checkpoint
    ),
    limits as (
        select prompt, floor(min(n_words))::bigint as n_words
        from medians
        group by prompt
        having count(*) = 2
    )
select
    texts.* exclude (prompt, units) replace (
        array_to_string(units[:n_words], '') as text,
        null::integer[] as token_ids,
        null::integer as n_tokens
    )
from texts
join limits
    using (prompt)
