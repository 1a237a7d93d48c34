-- The phrases that are surely more frequent than in the base, the surest first, and how many they are
-- of those that recur. A checkpoint without any has one row, which has no phrase.
with
    listed as (
        select
            *,
            p_adjusted < 0.05 and log_odds > 0 as is_sure,
            count(*) over (partition by checkpoint) as n_listed,
            count(*) filter (where p_adjusted < 0.05 and log_odds > 0)
                over (partition by checkpoint) as n_phrases,
            row_number() over (
                partition by checkpoint
                order by p_adjusted < 0.05 and log_odds > 0 desc, z desc, phrase
            ) as nth
        from stock_phrases
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
