-- Wrong guesses before the right one, a token of a last word (paper: table 1).
--
-- reads:     shannon_guesses
-- item:      passage
-- statistic: mean
-- format:    number
-- title:     wrong guesses of a last word
-- group:     ability
-- says:      {value} wrong guesses stand before a last word
select
    checkpoint,
    'passages' as collection,
    passage_id as item,
    guesses as numerator,
    1 as denominator
from shannon_guesses
