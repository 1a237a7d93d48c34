-- Perplexity of a checkpoint's own text, the generations of a prompt together (paper: figure 5).
--
-- reads:      text_statistics
-- item:       prompt
-- statistic:  exp_pooled
-- format:     perplexity
-- title:      perplexity, own text
-- group:      concentration
-- says:       a perplexity of {value} on its own text
-- comparable: same tokenizer, where unit is token
-- empty:      where a server tells no log-probabilities
with
    prompts as (
        select
            checkpoint,
            decoding,
            corpus,
            item,
            sum(nll) as nll,
            sum(n_tokens) as n_tokens,
            sum(n_words) as n_words
        from text_statistics
        where condition = 'own'
        group by all
    ),
    counted as (
        select
            *,
            unnest(['token', 'word']) as unit,
            unnest([n_tokens, n_words]) as n_units
        from prompts
    )
select
    checkpoint,
    decoding,
    unit,
    corpus as collection,
    item,
    if(n_units > 0, nll, null) as numerator,
    n_units as denominator
from counted
