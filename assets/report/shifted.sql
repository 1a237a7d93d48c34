-- The tokens of a checkpoint's own text that its base most often ranks below the third place; of greedy
-- text where there is some.
select
    checkpoint,
    token,
    n_shifted,
    n_tokens,
    share
from shifted_tokens
qualify
    decoding = coalesce(
        any_value(decoding) filter (decoding = 'greedy') over (partition by checkpoint),
        any_value(decoding) over (partition by checkpoint)
    )
    and row_number() over (
        partition by checkpoint, decoding
        order by n_shifted desc, token_id
    ) <= $rows
order by checkpoint, n_shifted desc, token_id
