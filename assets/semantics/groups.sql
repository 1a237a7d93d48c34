-- The vectors of the generations that answer a set of prompts, each prompt's together.
select
    decoding,
    prompt_id,
    sample,
    text,
    embedding
from generations
join embeddings
    using (checkpoint, text)
where prompt_set = $prompt_set
order by decoding, prompt_id, sample
