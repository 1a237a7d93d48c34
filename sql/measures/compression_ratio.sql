-- Bytes of a prompt's generations, of what they compress to (Shaib et al., 2024): the more, the more
-- they repeat themselves and each other.
--
-- The generations, in order, are joined by line breaks, and compressed together by zlib at level 9:
-- DEFLATE, as gzip's. It finds what recurs within 32,768 bytes, and more of it in more text; matched
-- comparisons are of as many words. A prompt is left out where all its generations are empty, or it
-- has no several, as of a single one little recurs.
--
-- reads:     generations
-- item:      prompt
-- statistic: mean
-- format:    number
-- title:     compression ratio
-- group:     surface
-- says:      a prompt's generations are {value} times as large as what they compress to
-- empty:     where all generations are empty, or no prompt has several
with
    prompts as (
        select
            checkpoint,
            decoding,
            prompt_set,
            prompt_id,
            string_agg(text, chr(10) order by sample) as texts,
            bool_or(text <> '') as has_text
        from generations
        group by all
        having count(*) > 1
    )
select
    checkpoint,
    decoding,
    prompt_set as collection,
    prompt_id as item,
    if(has_text, strlen(texts), null) as numerator,
    compressed_bytes(texts) as denominator
from prompts
