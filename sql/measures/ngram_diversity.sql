-- Different n-grams of a prompt's generations, of all of them (paper: table 4).
--
-- A prompt is left out where no prompt has several generations, or none is as long as the n-gram.
--
-- reads:      ngram_diversity
-- item:       prompt
-- statistic:  mean
-- format:     share
-- title:      different n-grams
-- group:      surface
-- leading:    yes
-- says:       {value} of a prompt's {level}-grams are different ones
-- level:      n
-- headline:   3
-- comparable: same tokenizer, where unit is token
-- empty:      where no generation is as long as the n-gram
select
    checkpoint,
    decoding,
    unit,
    n as level,
    prompt_set as collection,
    prompt_id as item,
    if(n_total > 0, n_distinct, null) as numerator,
    n_total as denominator
from ngram_diversity
where n_samples > 1
