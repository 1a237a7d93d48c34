-- Perplexity of passages' last words (paper: table 1).
--
-- reads:     shannon_guesses
-- item:      passage
-- statistic: exp_pooled
-- format:    perplexity
-- title:     perplexity of last words
-- group:     ability
-- says:      a perplexity of {value} on last words
select
    checkpoint,
    'passages' as collection,
    passage_id as item,
    -logprob as numerator,
    1 as denominator
from shannon_guesses
