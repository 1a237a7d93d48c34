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
-- log_odds is ln((y + a) / (C + prior - y - a)), less the same of the base. Its variance is the larger
-- of two: 1 / (y + a) + 1 / (y' + a), which takes n-grams for independent of each other; and what the
-- prompts of both say, each prompt being one draw, so that answers which repeat each other count for
-- no more. z is log_odds by its deviation, p_adjusted its two-sided p-value by the normal
-- distribution, adjusted after Holm for all phrases of the checkpoint that are listed.
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
--   p_adjusted      DOUBLE  how likely so large a z is by chance, among all phrases that are listed
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
    totals_by_prompt as materialized (
        select
            collection,
            is_ours,
            prompt,
            n,
            count(*) as n_generations,
            sum(greatest(len(units) - n + 1, 0))::bigint as n_total
        from generations_compared
        cross join unnest($phrase_lengths) as lengths(n)
        group by collection, is_ours, prompt, n
    ),
    totals as (
        select
            collection,
            n,
            sum(n_generations) filter (where is_ours) as n_generations,
            coalesce(sum(n_generations) filter (where not is_ours), 0) as other_n_generations,
            count(*) filter (where is_ours) as n_prompts,
            count(*) filter (where not is_ours) as other_n_prompts,
            sum(n_total) filter (where is_ours) as n_total,
            coalesce(sum(n_total) filter (where not is_ours), 0) as other_n_total,
            sum(n_total::double ^ 2) filter (where is_ours) as squared_totals,
            sum(n_total::double ^ 2) filter (where not is_ours) as other_squared_totals
        from totals_by_prompt
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
        select collection, n, a, b, c, d, is_ours, prompt, generation, count(*) as n_places
        from ngrams
        semi join recurring
            using (collection, n, a, b, c, d)
        group by all
    ),
    by_prompt as (
        select
            collection,
            n,
            a,
            b,
            c,
            d,
            is_ours,
            prompt,
            count(*) as n_holders,
            sum(n_places) as n_places
        from by_generation
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
            sum(n_holders) filter (where is_ours) as n_holders,
            sum(n_places) filter (where is_ours) as n_places,
            coalesce(sum(n_holders) filter (where not is_ours), 0) as other_n_holders,
            coalesce(sum(n_places) filter (where not is_ours), 0) as other_n_places,
            sum(n_places::double ^ 2) filter (where is_ours) as squared_places,
            sum(n_places::double * n_total) filter (where is_ours) as products,
            sum(n_places::double ^ 2) filter (where not is_ours) as other_squared_places,
            sum(n_places::double * n_total) filter (where not is_ours) as other_products
        from by_prompt
        join totals_by_prompt
            using (collection, is_ours, prompt, n)
        group by all
    ),
    spelled as (
        select
            collection,
            n,
            array_to_string(units[first_place[2]:first_place[2] + n - 1], ' ') as phrase,
            recurring.n_prompts as n_holding_prompts,
            n_holders,
            n_places,
            other_n_holders,
            other_n_places,
            squared_places,
            products,
            other_squared_places,
            other_products
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
    ),
    judged as (
        select
            *,
            between_prompts(
                squared_places, products, squared_totals, n_places / n_total, n_prompts
            ) / (n_places + estimate.prior_places) ^ 2 as spread,
            between_prompts(
                other_squared_places,
                other_products,
                other_squared_totals,
                other_n_places / other_n_total,
                other_n_prompts
            ) / (other_n_places + estimate.prior_places) ^ 2 as other_spread,
            estimate.log_odds as log_odds,
            greatest(estimate.deviation, sqrt(spread + other_spread)) as deviation,
            two_sided_p(log_odds / deviation) as p
        from estimated
    ),
    -- Holm: the least p counts as often as there are phrases, the next one time less, and so on.
    counted as (
        select
            *,
            p * (count(*) over () + 1 - row_number() over in_order) as p_of_family,
            row_number() over in_order as nth
        from judged
        window in_order as (order by p, collection, n, phrase)
    )
select
    checkpoint,
    decoding,
    collection as prompt_set,
    n,
    phrase,
    other,
    other_decoding,
    n_holding_prompts as n_prompts,
    n_holders,
    n_generations,
    n_places,
    n_total,
    other_n_holders,
    other_n_generations,
    other_n_places,
    other_n_total,
    log_odds,
    log_odds - 1.96 * deviation as log_odds_low,
    log_odds + 1.96 * deviation as log_odds_high,
    log_odds / deviation as z,
    least(1, max(p_of_family) over (order by nth)) as p_adjusted
from counted
cross join pair
order by all
