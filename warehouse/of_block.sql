-- What a query sees of the generations: those of one block.
create temp table prompts_of_block as
select checkpoint, decoding, prompt_set, prompt_id
from prompts_in_blocks
where false;
create view generations as
select all_generations.*
from all_generations
semi join prompts_of_block
    using (checkpoint, decoding, prompt_set, prompt_id);
