-- How every checkpoint guesses every passage's last word.
select
    checkpoint,
    passage_id,
    exact,
    f1,
    guesses,
    logprob
from shannon_guesses
join shown
    using (checkpoint)
order by place, passage_id
