create or replace temp table prompts_of_block as
select checkpoint, decoding, prompt_set, prompt_id
from prompts_in_blocks
where block = $block
