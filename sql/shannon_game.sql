-- How well checkpoints guess the last words of passages (paper: table 1).
--
-- grain:     checkpoint
-- reads:     shannon_guesses
-- partition: checkpoint
-- columns:
--   exact_match DOUBLE share of passages whose last word was the first guess, token by token
--   f1          DOUBLE overlap of its tokens with the greedy continuation's, mean over passages
--   guesses     DOUBLE wrong guesses before the right token, mean over passages
--   median      DOUBLE and in the middle of them
--   perplexity  DOUBLE exp of the last words' mean negative log-likelihood
--   n_passages  BIGINT [passages] how many there are
select
    checkpoint,
    avg(exact::integer) as exact_match,
    avg(f1) as f1,
    avg(guesses) as guesses,
    median(guesses) as median,
    exp(-avg(logprob)) as perplexity,
    count(*) as n_passages
from shannon_guesses
group by all
order by all
