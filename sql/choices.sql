-- The option that checkpoints choose of each question: the likeliest one.
--
-- Confidence is the probability of the chosen option among the options alone: their probabilities
-- are divided by their sum. Of options that are equally likely the one is chosen that the question
-- lists first, in whatever order they are shown.
--
-- grain:     checkpoint, choice_set, question_id, ordering, condition
-- reads:     choice_scores
-- partition: checkpoint
-- columns:
--   option     INTEGER the chosen option, by its place in the question, from 0
--   place      INTEGER its place in the order that was shown, from 0
--   n_options  BIGINT  [options] how many there are to choose from
--   confidence DOUBLE  probability of the chosen option among them
--   is_right   BOOLEAN whether it is the right one; null where none is
with
    likely as (
        select
            *,
            max(logprob) over (
                partition by checkpoint, choice_set, question_id, ordering, condition
            ) as highest
        from choice_scores
    )
select
    checkpoint,
    choice_set,
    question_id,
    ordering,
    condition,
    arg_max(option, (logprob, -option)) as option,
    arg_max(place, (logprob, -option)) as place,
    count(*) as n_options,
    1 / sum(exp(logprob - highest)) as confidence,
    arg_max(is_right, (logprob, -option)) as is_right
from likely
group by checkpoint, choice_set, question_id, ordering, condition
order by all
