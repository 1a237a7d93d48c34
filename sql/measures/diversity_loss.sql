-- What semantic diversity a checkpoint has lost from another one, and of what.
--
-- Of the prompts of which both have two right generations and more: the whole loss; under the
-- condition `narrowing` what of it is left among right generations; and under `fewer wrong` the rest,
-- which comes of wrong generations that went away. Without scores the whole loss alone, of all prompts.
--
-- reads:     semantic_pairs
-- item:      prompt
-- statistic: mean
-- format:    signed
-- title:     loss of semantic diversity
-- group:     quality
-- says:      {value} of semantic diversity is lost
-- empty:     where the two have no prompt in common
with
    losses as (
        select
            *,
            count(right_loss) over (partition by checkpoint, other) > 0 as is_scored
        from semantic_pairs
    ),
    parts as (
        select
            *,
            unnest(['-', 'narrowing', 'fewer wrong']) as condition,
            unnest([loss, right_loss, loss - right_loss]) as part
        from losses
    )
select
    checkpoint,
    decoding,
    other,
    condition,
    prompt_set as collection,
    prompt_id as item,
    if(is_scored and right_loss is null, null, part) as numerator,
    1 as denominator
from parts
where is_scored or condition = '-'
