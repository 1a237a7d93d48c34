-- How much of a prompt's generations lies in frequent spans, along their alignment (paper: figure 14).
--
-- grain:     checkpoint, decoding, prompt_set, prompt_id, bin
-- reads:     generations, alignments, frequent_spans
-- partition: checkpoint
-- columns:
--   bin       INTEGER hundredth of the kept columns, from 0, as in alignment_overlap
--   n_samples INTEGER [generations] generations of this prompt
--   in_anchor DOUBLE  share of them whose character lies in any frequent span, picked or not; averaged
--                     over the bin's columns; 0 where none is kept
with
    prompts as (
        from aligned_prompts()
    ),
    spans as (
        select
            prompt,
            unnest(samples) as sample,
            unnest(starts) as start,
            start + length as stop
        from frequent_spans
        join prompts
            using (checkpoint, decoding, prompt_set, prompt_id)
    ),
    -- Spans overlap; each character counts once.
    reached as (
        select
            *,
            max(stop) over (
                partition by prompt, sample
                order by start, stop
                rows between unbounded preceding and 1 preceding
            ) as reach
        from spans
    ),
    covered as (
        select
            prompt,
            sample,
            unnest(range(greatest(start, coalesce(reach, 0)), stop))::integer as place
        from reached
        where stop > coalesce(reach, 0)
    ),
    columns_covered as (
        select prompt, position, count(*) as holders
        from aligned_characters()
        semi join covered
            using (prompt, sample, place)
        group by prompt, position
    ),
    bins as (
        select prompt, bin, sum(overlap * holders) / bin_length as holders
        from kept_columns(kept_by := $kept_by)
        join columns_covered
            using (prompt, position)
        group by prompt, bin, bin_length
    )
select
    checkpoint,
    decoding,
    prompt_set,
    prompt_id,
    bin::integer as bin,
    n_samples,
    coalesce(holders / n_samples, 0) as in_anchor
from prompts
cross join range(100) as hundredths(bin)
left join bins
    using (prompt, bin)
order by all
