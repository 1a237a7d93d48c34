-- Different n-grams of a prompt's generations, of those to expect of as many drawn evenly from a
-- vocabulary of $distinct_vocabulary (Liu et al., 2022).
--
-- Of C n-grams, V (1 - ((V - 1) / V)^C) different ones are to be expected where V are equally
-- likely. So texts of different lengths can be compared. The same V stands for every n, as in the
-- published measure; it is a vocabulary of words, which is why n = 1 is quoted. It may be over 1.
--
-- reads:      ngram_diversity
-- item:       prompt
-- statistic:  mean
-- format:     number
-- title:      different words, expectation-adjusted
-- group:      surface
-- says:       {value} of the different {level}-grams to expect stand in a prompt's generations
-- level:      n
-- headline:   1
-- empty:      where no generation is as long as the n-gram
select
    checkpoint,
    decoding,
    n as level,
    prompt_set as collection,
    prompt_id as item,
    if(n_total > 0, n_distinct, null) as numerator,
    expected_distinct($distinct_vocabulary, n_total) as denominator
from ngram_diversity
where unit = 'word' and n_samples > 1
