-- N-grams of words that recur across different prompts of a checkpoint, against its base: log-odds
-- with an informative Dirichlet prior (Monroe et al., 2008).
--
-- n is each of the study's `phrase_lengths`, 3, 4 and 5 unless it says otherwise. An n-gram is listed
-- where generations of at least `phrase_share` (by default 10%) of a set's prompts hold it, and of two.
-- Both checkpoints' first decodings count. The base's generations are those of the same set of prompts;
-- where it has none of that set, all it has.
--
-- Say that y of the set's C n-grams are the phrase, and y' of the base's C'. The prior is
-- `phrase_prior` (by default 1000) n-grams; a = prior (y + y') / (C + C') of them are the phrase.
-- log_odds is ln((y + a) / (C + prior - y - a)), less the same of the base, and has a variance of
-- 1 / (y + a) + 1 / (y' + a). It takes n-grams for independent of each other. Those of one generation
-- are not, so the interval is too narrow; z is what phrases are ordered by.
--
-- grain:     checkpoint, decoding, prompt_set, n, phrase
-- reads:     generations
-- beside:    base
-- partition: checkpoint
-- empty:     where a checkpoint has no base, or nothing recurs
-- columns:
--   n               INTEGER  words of the phrase
--   phrase          VARCHAR  the n-gram, its words joined by spaces
--   other           VARCHAR  the base
--   other_decoding  VARCHAR  the base's decoding
--   n_prompts       INTEGER [prompts] those whose generations hold it
--   n_holders       INTEGER [generations] those that hold it
--   n_generations       INTEGER [generations] all of the set
--   n_places        BIGINT [n-grams] times that it stands in them
--   n_total         BIGINT [n-grams] n-grams of n words in all of them
--   other_n_holders INTEGER [generations] those of the base that hold it
--   other_n_generations INTEGER [generations] all of the base that are counted
--   other_n_places  BIGINT [n-grams] times that it stands in them
--   other_n_total   BIGINT [n-grams] n-grams of n words in all of them
--   log_odds        DOUBLE  of the phrase, less those in the base
--   log_odds_low    DOUBLE  from there, with 95% confidence
--   log_odds_high   DOUBLE  to there
--   z               DOUBLE  log_odds by its standard deviation
with
    ours as (
        select prompt_set, prompt_set as collection, prompt_id, sample, text, true as is_ours
        from generations
        join pair
            using (checkpoint, decoding)
    ),
    base_texts as (
        select prompt_set, prompt_id, sample, text
        from generations
        join pair
            on generations.checkpoint = pair.other and generations.decoding = other_decoding
    ),
    sets as (
        select distinct collection, collection in (select prompt_set from base_texts) as is_shared
        from ours
    ),
    theirs as (
        select prompt_set, collection, prompt_id, sample, text, false as is_ours
        from base_texts
        join sets
            on prompt_set = collection or not is_shared
    ),
    generations_compared as materialized (
        select
            collection,
            is_ours,
            (dense_rank() over (order by collection, is_ours, prompt_set, prompt_id))::integer
                as prompt,
            (
                row_number() over (order by collection, is_ours, prompt_set, prompt_id, sample)
            )::integer as generation,
            words(text) as units
        from (from ours union all by name from theirs)
    ),
    totals as (
        select
            collection,
            n,
            count(*) filter (where is_ours) as n_generations,
            count(*) filter (where not is_ours) as other_n_generations,
            count(distinct prompt) filter (where is_ours) as n_prompts,
            sum(greatest(len(units) - n + 1, 0)) filter (where is_ours) as n_total,
            coalesce(
                sum(greatest(len(units) - n + 1, 0)) filter (where not is_ours), 0
            ) as other_n_total
        from generations_compared
        cross join unnest($phrase_lengths) as lengths(n)
        group by collection, n
    ),
    -- How many prompts must hold a phrase.
    needed as (
        select
            collection,
            greatest(2, ceil(round($phrase_share * n_prompts, 6)))::integer as least_prompts
        from totals
        group by all
    ),
    -- Every two words that follow each other.
    pairs as (
        select
            collection,
            is_ours,
            prompt,
            generation,
            generate_subscripts(units, 1) as place,
            unnest(units) as word,
            unnest(units[2:]) as next_word
        from generations_compared
    ),
    pairs_by_prompt as (
        select collection, word, next_word
        from pairs
        where is_ours and next_word is not null
        group by collection, word, next_word, prompt
    ),
    -- A phrase is made of pairs that recur as it does.
    recurring_pairs as materialized (
        select collection, word, next_word, (row_number() over ())::integer as pair_code
        from pairs_by_prompt
        join needed
            using (collection)
        group by collection, word, next_word
        having count(*) >= any_value(least_prompts)
    ),
    -- A pair's code, and those of the pairs after it as far as they are recurring ones without a gap.
    coded as (
        select collection, is_ours, prompt, generation, place, pair_code
        from pairs
        join recurring_pairs
            using (collection, word, next_word)
    ),
    windows as materialized (
        select
            collection,
            is_ours,
            prompt,
            generation,
            place,
            pair_code as a,
            if(lead(place, 1) over following = place + 1, lead(pair_code, 1) over following, null)
                as b,
            if(lead(place, 2) over following = place + 2, lead(pair_code, 2) over following, null)
                as c,
            if(lead(place, 3) over following = place + 3, lead(pair_code, 3) over following, null)
                as d
        from coded
        window following as (partition by generation order by place)
    ),
    ngrams as (
        select
            collection,
            is_ours,
            prompt,
            generation,
            place,
            n,
            a,
            if(n > 2, b, 0) as b,
            if(n > 3, c, 0) as c,
            if(n > 4, d, 0) as d
        from windows
        cross join unnest($phrase_lengths) as lengths(n)
        where (n < 3 or b is not null) and (n < 4 or c is not null) and (n < 5 or d is not null)
    ),
    ngrams_by_prompt as (
        select collection, n, a, b, c, d, prompt, min((generation, place)) as first_place
        from ngrams
        where is_ours
        group by all
    ),
    recurring as materialized (
        select
            collection,
            n,
            a,
            b,
            c,
            d,
            count(*) as n_prompts,
            min(first_place) as first_place
        from ngrams_by_prompt
        join needed
            using (collection)
        group by collection, n, a, b, c, d
        having count(*) >= any_value(least_prompts)
    ),
    by_generation as (
        select collection, n, a, b, c, d, is_ours, generation, count(*) as n_places
        from ngrams
        semi join recurring
            using (collection, n, a, b, c, d)
        group by all
    ),
    counts as (
        select
            collection,
            n,
            a,
            b,
            c,
            d,
            count(*) filter (where is_ours) as n_holders,
            sum(n_places) filter (where is_ours) as n_places,
            count(*) filter (where not is_ours) as other_n_holders,
            coalesce(sum(n_places) filter (where not is_ours), 0) as other_n_places
        from by_generation
        group by all
    ),
    spelled as (
        select
            collection,
            n,
            array_to_string(units[first_place[2]:first_place[2] + n - 1], ' ') as phrase,
            n_prompts,
            n_holders,
            n_places,
            other_n_holders,
            other_n_places
        from recurring
        join counts
            using (collection, n, a, b, c, d)
        join generations_compared
            on generations_compared.generation = first_place[1]
    ),
    estimated as (
        select
            *,
            log_odds_against(
                n_places, n_total, other_n_places, other_n_total, $phrase_prior
            ) as estimate
        from spelled
        join totals
            using (collection, n)
        where other_n_total > 0
    )
select
    checkpoint,
    decoding,
    collection as prompt_set,
    n,
    phrase,
    other,
    other_decoding,
    n_prompts,
    n_holders,
    n_generations,
    n_places,
    n_total,
    other_n_holders,
    other_n_generations,
    other_n_places,
    other_n_total,
    estimate.log_odds,
    estimate.log_odds - 1.96 * estimate.deviation as log_odds_low,
    estimate.log_odds + 1.96 * estimate.deviation as log_odds_high,
    estimate.log_odds / estimate.deviation as z
from estimated
cross join pair
order by all
