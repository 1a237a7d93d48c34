-- Different $ngram_spread_length-grams that more than half of a prompt's generations hold (paper:
-- figure 7B).
--
-- reads:      ngram_spread
-- item:       prompt
-- statistic:  mean
-- format:     number
-- title:      $ngram_spread_length-grams that most generations hold
-- group:      surface
-- says:       {value} different $ngram_spread_length-grams of a prompt are held by more than half of
--             its generations
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
    prompt_set as collection,
    prompt_id as item,
    coalesce(sum(n_ngrams) filter (where 2 * shared_by > n_samples), 0) as numerator,
    1 as denominator
from counts
where n_samples > 1
group by checkpoint, decoding, unit, prompt_set, prompt_id
