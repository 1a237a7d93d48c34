-- The phrases that are surely more frequent than in the base, the surest first, and how many they are
-- of those that recur. A checkpoint without any has one row, which has no phrase.
with
    judged as (
        select *, surely_more(log_odds, p_adjusted) as is_sure
        from stock_phrases
    ),
    listed as (
        select
            *,
            count(*) over (partition by checkpoint) as n_listed,
            count(*) filter (where is_sure) over (partition by checkpoint) as n_phrases,
            row_number() over (
                partition by checkpoint
                order by is_sure desc, z desc, phrase
            ) as nth
        from judged
    )
select
    checkpoint,
    label,
    n,
    if(is_sure, phrase, null) as phrase,
    other,
    n_prompts,
    n_holders / n_generations as share,
    other_n_holders / other_n_generations as other_share,
    log_odds,
    log_odds_low as low,
    log_odds_high as high,
    n_phrases,
    n_listed
from listed
join shown
    using (checkpoint, decoding, prompt_set)
where nth = 1 or (is_sure and nth <= 300)
order by place, nth
