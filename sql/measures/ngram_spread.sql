-- Different $ngram_spread_length-grams of a prompt that so many twentieths of its generations hold
-- (paper: figures 7B and 15B).
--
-- reads:      ngram_spread
-- item:       prompt
-- statistic:  mean
-- format:     number
-- title:      $ngram_spread_length-grams by the share of generations that hold them
-- group:      surface
-- says:       {value} different $ngram_spread_length-grams of a prompt are held by {level}
--             twentieths of its generations
-- level:      twentieth
-- comparable: same tokenizer, where unit is token
-- empty:      where no prompt has several generations
with
    counts as (
        select
            *,
            max(shared_by) over (
                partition by checkpoint, decoding, prompt_set, prompt_id, unit
            ) as n_samples
        from ngram_spread
    )
select
    checkpoint,
    decoding,
    unit,
    ceil(20 * shared_by / n_samples)::integer as level,
    prompt_set as collection,
    prompt_id as item,
    sum(n_ngrams) as numerator,
    1 as denominator
from counts
where n_samples > 1
group by all
