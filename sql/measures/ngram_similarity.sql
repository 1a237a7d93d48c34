-- Share of $ngram_similarity_length-grams of words that a checkpoint and its base have in common on one
-- prompt: Jaccard's similarity of the sets of n-grams of all their generations.
--
-- Prompts are paired by their text, and first decodings count. Sets of more generations have more in
-- common.
--
-- reads:     generations, prompts
-- beside:    base
-- item:      prompt
-- statistic: mean
-- format:    share
-- title:     $ngram_similarity_length-grams in common with the base
-- group:     surface
-- says:      {value} of a prompt's $ngram_similarity_length-grams are both the checkpoint's and its base's
-- empty:     where a checkpoint has no base, or no prompt in common with it
with
    texts as (
        select
            checkpoint,
            decoding,
            prompt_set,
            prompt_id,
            coalesce(prompt, prompt_set || '/' || prompt_id) as prompt,
            text
        from generations
        left join prompt_texts()
            using (prompt_set, prompt_id)
    ),
    ours as (
        select prompt_set as collection, prompt_id as item, prompt, text, true as is_ours
        from texts
        join pair
            using (checkpoint, decoding)
    ),
    base_texts as (
        select prompt, text
        from texts
        join pair
            on texts.checkpoint = pair.other and texts.decoding = other_decoding
    ),
    theirs as (
        select collection, item, prompt, text, false as is_ours
        from base_texts
        join (select distinct collection, item, prompt from ours)
            using (prompt)
    ),
    units as (
        select collection, item, is_ours, words(text) as units
        from (from (from ours semi join base_texts using (prompt)) union all by name from theirs)
    ),
    windows as (
        select
            collection,
            item,
            is_ours,
            unnest(units) as a,
            unnest(units[2:]) as b,
            unnest(units[3:]) as c,
            unnest(units[4:]) as d,
            unnest(units[5:]) as e
        from units
    ),
    ngrams as (
        select
            collection,
            item,
            bool_or(is_ours) as in_ours,
            bool_or(not is_ours) as in_theirs
        from windows
        where
            ($ngram_similarity_length < 2 or b is not null)
            and ($ngram_similarity_length < 3 or c is not null)
            and ($ngram_similarity_length < 4 or d is not null)
            and ($ngram_similarity_length < 5 or e is not null)
        group by
            collection,
            item,
            a,
            if($ngram_similarity_length < 2, '', b),
            if($ngram_similarity_length < 3, '', c),
            if($ngram_similarity_length < 4, '', d),
            if($ngram_similarity_length < 5, '', e)
    )
select
    checkpoint,
    decoding,
    other,
    collection,
    item,
    count(*) filter (where in_ours and in_theirs) as numerator,
    count(*) as denominator
from ngrams
cross join pair
group by checkpoint, decoding, other, collection, item
