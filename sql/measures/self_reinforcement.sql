-- Probability of a sentence's tokens the first time that a text has it, the second, and so on, in a
-- checkpoint's own text (after Xu et al., 2022).
--
-- It is of sentences that a text has more than once, and up to $repetitions times; level 1 is the first
-- time. A sentence's probability is the mean over its tokens, without those of whitespace alone. Of those
-- that come often the first times are in it too, so that a later level is of fewer sentences.
--
-- reads:     token_texts, token_distributions
-- item:      prompt
-- statistic: mean
-- format:    share
-- title:     probability of a sentence that repeats
-- group:     concentration
-- says:      the tokens of a sentence have a probability of {value} when a text has it for time {level}
-- level:     repetition
-- headline:  2
-- empty:     where no generation has a sentence twice
with
    split as (
        select
            row_number() over () as nth_text,
            *,
            sentence_pieces(array_to_string(pieces, '')) as parts,
            list_transform(parts, lambda part: sentence_in(part)) as listed
        from token_texts
    ),
    repeating as materialized (
        select *
        from split
        where len(list_distinct(listed)) < list_count(listed)
    ),
    -- Characters that are no whitespace tell where each ends, as pieces differ in whitespace.
    numbered as (
        select
            nth_text,
            unnest(parts) as part,
            unnest(listed) as sentence,
            generate_subscripts(parts, 1) as nth
        from repeating
    ),
    placed as (
        select
            nth_text,
            nth,
            sentence,
            sum(len(regexp_replace(part, '[' || whitespace() || ']+', '', 'g'))) over so_far as until,
            row_number() over (partition by nth_text, sentence order by nth) as repetition,
            count(*) over (partition by nth_text, sentence) as n_times
        from numbered
        where regexp_matches(part, '[^' || whitespace() || ']')
        window so_far as (partition by nth_text order by nth)
    ),
    pieces as (
        select
            nth_text,
            checkpoint,
            decoding,
            prompt_set,
            prompt_id,
            prompt_id || '/' || sample as text_id,
            generate_subscripts(pieces, 1) - 1 as position,
            unnest(pieces) as piece
        from repeating
    ),
    sized as (
        select *, len(regexp_replace(piece, '[' || whitespace() || ']+', '', 'g')) as n_characters
        from pieces
    ),
    tokens as (
        select
            *,
            sum(n_characters) over (partition by nth_text order by position) - n_characters as place
        from sized
    ),
    -- A token is of the sentence that its first character is of.
    scored as (
        select
            tokens.checkpoint,
            tokens.decoding,
            prompt_set,
            prompt_id,
            tokens.nth_text,
            placed.nth,
            placed.repetition,
            avg(exp(logprob::double)) as probability
        from tokens
        asof join placed
            on tokens.nth_text = placed.nth_text and tokens.place < placed.until
        join token_distributions as distributions
            on distributions.checkpoint = tokens.checkpoint
            and distributions.condition = 'own'
            and distributions.decoding = tokens.decoding
            and distributions.corpus = tokens.prompt_set
            and distributions.text_id = tokens.text_id
            and distributions.position = tokens.position
        where
            placed.sentence is not null
            and n_times > 1
            and placed.repetition <= $repetitions
            and (n_characters > 0 or piece = '')
        group by all
    )
select
    checkpoint,
    decoding,
    repetition as level,
    prompt_set as collection,
    prompt_id as item,
    sum(probability) as numerator,
    count(*) as denominator
from scored
group by all
