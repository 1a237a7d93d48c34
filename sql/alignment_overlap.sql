-- How much of a prompt's generations agrees, along their alignment (paper: figures 1 and 13).
--
-- grain:     checkpoint, decoding, prompt_set, prompt_id, bin
-- reads:     generations, alignments
-- partition: checkpoint
-- columns:
--   bin             INTEGER hundredth of the kept columns, from 0; a column is kept where one
--                           character stands in at least `kept_by` generations, by default 5
--   n_samples       INTEGER [generations] generations of this prompt
--   pairwise_match  DOUBLE  pairs of generations with the same character, of all pairs; averaged
--                           over the bin's columns; 0 where none is kept or there is no pair
--   aligned_samples DOUBLE  [generations] those whose character at least `aligned_with` others share,
--                           by default 5; averaged alike
with
    bins as (
        select
            prompt,
            bin,
            sum(overlap * matching_pairs) / bin_length as matching_pairs,
            sum(overlap * aligned_samples) / bin_length as aligned_samples
        from kept_columns(kept_by := $kept_by, aligned_with := $aligned_with)
        group by prompt, bin, bin_length
    )
select
    checkpoint,
    decoding,
    prompt_set,
    prompt_id,
    bin::integer as bin,
    n_samples,
    coalesce(
        matching_pairs / nullif(n_samples::bigint * (n_samples - 1) / 2, 0), 0
    ) as pairwise_match,
    coalesce(aligned_samples, 0) as aligned_samples
from aligned_prompts()
cross join range(100) as hundredths(bin)
left join bins
    using (prompt, bin)
order by all
