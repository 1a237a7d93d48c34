-- What probes got right of each text, by the prompt that it continues.
select
    checkpoint,
    generator,
    corpus,
    horizon,
    layer,
    probe,
    item,
    sum(n_tokens)::bigint as n_tokens,
    sum(n_right)::bigint as n_right,
    sum(n_frequent)::bigint as n_frequent,
    sum(n_bigram)::bigint as n_bigram
from probe_guesses
join shown
    using (checkpoint)
group by all
order by min(place), corpus, generator, horizon, item
