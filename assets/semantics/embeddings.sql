-- The generations that answer a set of prompts, with the sentences of those at the first decoding.
select
    text,
    if(decoding = $first_decoding, sentences(text), []) as sentences
from generations
where prompt_set = $prompt_set
