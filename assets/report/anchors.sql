-- The anchor spans that most of a prompt's generations are built on, of each prompt the first picked,
-- and of three generations that hold one what stands before and after it.
with
    spans as (
        select
            anchor_spans.*,
            prompt,
            row_number() over (
                partition by checkpoint
                order by n_holders / n_samples desc, length desc, prompt_id
            ) as nth
        from anchor_spans
        join shown
            using (checkpoint, decoding, prompt_set)
        join prompt_texts()
            using (prompt_set, prompt_id)
        where pick = 1
        qualify nth <= $rows
    ),
    holders as (
        select
            checkpoint,
            decoding,
            prompt_set,
            prompt_id,
            nth,
            text as anchor,
            length,
            unnest(samples[:3]) as sample,
            unnest(starts[:3]) as start
        from spans
    ),
    in_texts as (
        select
            checkpoint,
            nth,
            list(
                {
                    'sample': sample,
                    'before': if(start > 120, '…', '') || text[greatest(1, start - 119):start],
                    'marked': anchor,
                    'after': text[start + length + 1:start + length + 120]
                        || if(len(text) > start + length + 120, '…', '')
                }
                order by sample
            ) as held
        from holders
        join generations
            using (checkpoint, decoding, prompt_set, prompt_id, sample)
        group by checkpoint, nth
    )
select
    checkpoint,
    prompt[:400] as prompt,
    text[:400] as anchor,
    n_holders / n_samples as share,
    held
from spans
join in_texts
    using (checkpoint, nth)
order by checkpoint, nth
