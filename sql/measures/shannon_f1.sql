-- Overlap of the greedy last word with the right one (paper: table 1).
--
-- reads:     shannon_guesses
-- item:      passage
-- statistic: mean
-- format:    share
-- title:     F1 of the greedy last word
-- group:     ability
-- says:      the greedy last word has {value} of the right one's tokens (F1)
select
    checkpoint,
    'passages' as collection,
    passage_id as item,
    f1 as numerator,
    1 as denominator
from shannon_guesses
