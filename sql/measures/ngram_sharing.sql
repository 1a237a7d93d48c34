-- Share of a prompt's generations that hold its most common n-gram (paper: figures 7A and 15A).
--
-- A prompt is left out where no prompt has several generations, or none is as long as the n-gram.
--
-- reads:      ngram_sharing
-- item:       prompt
-- statistic:  mean
-- format:     share
-- title:      generations with the most common n-gram
-- group:      surface
-- leading:    yes
-- says:       {value} of a prompt's generations hold its most common {level}-gram
-- level:      n
-- headline:   10
-- floor:      1 / denominator
-- comparable: same tokenizer, where unit is token
-- empty:      where no generation is as long as the n-gram
select
    checkpoint,
    decoding,
    unit,
    n as level,
    prompt_set as collection,
    prompt_id as item,
    nullif(max_shared, 0) as numerator,
    n_samples as denominator
from ngram_sharing
where n_samples > 1
