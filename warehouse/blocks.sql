-- The prompts of the view `all_generations`, in the order of the grain, in blocks of at most
-- $characters and one prompt more.
create temp table prompts_in_blocks as
with
    prompts as (
        select checkpoint, decoding, prompt_set, prompt_id, sum(length(text) + 1) as characters
        from all_generations
        group by all
    )
select
    checkpoint,
    decoding,
    prompt_set,
    prompt_id,
    (
        coalesce(
            sum(characters) over (
                order by checkpoint, decoding, prompt_set, prompt_id
                rows between unbounded preceding and 1 preceding
            ),
            0
        ) // $characters
    )::bigint as block
from prompts
