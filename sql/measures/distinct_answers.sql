-- Different answers among a prompt's generations (after NoveltyBench; Zhang et al., 2025).
--
-- A generation joins the first earlier answer whose first generation is so similar to it: by the
-- cosine of their embeddings, or by the study's `answer_classifier`, at least $same_answer.
--
-- reads:     answers
-- item:      prompt
-- statistic: mean
-- format:    number
-- title:     different answers
-- group:     meaning
-- leading:   yes
-- says:      a prompt has {value} different answers
-- floor:     1
select
    checkpoint,
    decoding,
    prompt_set as collection,
    prompt_id as item,
    count(distinct answer) as numerator,
    1 as denominator
from answers
group by all
