-- Vocabulary over the view `prompts`, loaded wherever there is one.

-- What each prompt is called: its text, and where that recurs in its set its text and its id.
create or replace macro prompt_texts() as table
    select
        prompt_set,
        prompt_id,
        case
            when count(*) over (partition by prompt_set, text) = 1 then text
            else text || ' (' || prompt_id || ')'
        end as prompt
    from prompts;
