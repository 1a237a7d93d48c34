-- Perplexity of human text (paper: figure 2A).
--
-- reads:      text_statistics
-- item:       document
-- statistic:  exp_pooled
-- format:     perplexity
-- title:      perplexity, human text
-- group:      prediction
-- says:       a perplexity of {value} on human text
-- comparable: same tokenizer, where unit is token
-- empty:      where a study has no corpora, or a server runs the model
with
    counted as (
        select
            *,
            unnest(['token', 'word']) as unit,
            unnest([n_tokens, n_words]) as n_units
        from text_statistics
        where condition = 'gold'
    )
select
    checkpoint,
    unit,
    corpus as collection,
    item,
    if(n_units > 0, nll, null) as numerator,
    n_units as denominator
from counted
