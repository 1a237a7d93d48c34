-- Share of passages whose last word is the first guess, token by token (paper: table 1).
--
-- reads:     shannon_guesses
-- item:      passage
-- statistic: mean
-- format:    share
-- title:     last words guessed at once
-- group:     ability
-- says:      {value} of last words are guessed at once
select
    checkpoint,
    'passages' as collection,
    passage_id as item,
    exact::integer as numerator,
    1 as denominator
from shannon_guesses
