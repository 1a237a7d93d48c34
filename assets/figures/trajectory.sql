-- What figures make of checkpoints, by measure and document or prompt.
with
    -- A prompt is told by its text: sets of generations made elsewhere have ids of their own.
    texts as (
        select prompt_set as collection, prompt_id as id, prompt
        from prompt_texts()
    ),
    scored as (
        select
            checkpoint,
            condition,
            corpus as collection,
            item as id,
            sum(nll) as nll,
            sum(if($unit = 'token', n_tokens, n_words)) as n_units,
            sum(n_bytes) as n_bytes,
            sum(mass[1] * n_tokens) / sum(n_tokens) as top_1_mass,
            sum(support * n_tokens) / sum(n_tokens) as support
        from text_statistics
        join shown
            using (checkpoint)
        where
            condition = 'gold'
            or (condition = 'own' and text_statistics.decoding = shown.decoding)
        group by checkpoint, condition, corpus, item
    ),
    measured as (
        select
            checkpoint,
            unnest(['perplexity', 'bits_per_byte']) as measure,
            collection,
            id,
            nll as numerator,
            unnest([n_units, n_bytes]) as denominator,
            null as n_samples
        from scored
        where condition = 'gold'
        union all
        select
            checkpoint,
            unnest(['top_1_mass', 'support']) as measure,
            collection,
            id,
            unnest([top_1_mass, support]) as numerator,
            1 as denominator,
            null as n_samples
        from scored
        where condition = 'own'
        union all
        select
            checkpoint,
            'ngram_sharing' as measure,
            prompt_set as collection,
            prompt_id as id,
            max_shared / n_samples as numerator,
            1 as denominator,
            n_samples
        from ngram_sharing
        join shown
            using (checkpoint, decoding, prompt_set)
        where unit = $unit and n = 10
        union all
        select
            checkpoint,
            'overlap' as measure,
            prompt_set as collection,
            prompt_id as id,
            avg(aligned_samples / n_samples) as numerator,
            1 as denominator,
            any_value(n_samples) as n_samples
        from alignment_overlap
        join shown
            using (checkpoint, decoding, prompt_set)
        group by checkpoint, prompt_set, prompt_id
        union all
        select
            checkpoint,
            'anchor_coverage' as measure,
            prompt_set as collection,
            prompt_id as id,
            avg(in_anchor) as numerator,
            1 as denominator,
            any_value(n_samples) as n_samples
        from anchor_coverage
        join shown
            using (checkpoint, decoding, prompt_set)
        group by checkpoint, prompt_set, prompt_id
    )
select
    checkpoint,
    measure,
    coalesce(prompt, collection || '/' || id) as item,
    numerator::double as numerator,
    denominator::double as denominator,
    n_samples
from measured
join shown
    using (checkpoint)
left join texts
    using (collection, id)
where denominator > 0 and numerator is not null
order by place, measure, collection, id
