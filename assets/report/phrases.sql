-- The phrases that are surely more frequent than in the base; the figure of stock phrases has more.
select
    checkpoint,
    phrase,
    n_prompts,
    n_holders / n_generations as share,
    other_n_holders / other_n_generations as base_share
from stock_phrases
join shown
    using (checkpoint, decoding, prompt_set)
where surely_more(log_odds, p_adjusted)
qualify row_number() over (partition by checkpoint order by z desc, phrase) <= 40 * $rows
order by checkpoint, z desc, phrase
