-- The phrases that stand out most against the base, and how many there are; the interval of each is
-- over 0.
select
    checkpoint,
    label,
    n,
    phrase,
    other,
    n_prompts,
    n_holders / n_generations as share,
    other_n_holders / other_n_generations as other_share,
    log_odds,
    log_odds_low as low,
    log_odds_high as high,
    count(*) over (partition by checkpoint) as n_phrases
from stock_phrases
join shown
    using (checkpoint, decoding, prompt_set)
where log_odds_low > 0
qualify row_number() over (partition by checkpoint order by z desc, phrase) <= 300
order by place, z desc, phrase
