-- What probes read right, of each checkpoint's own text and of others'.
select
    checkpoint,
    generator,
    corpus,
    horizon,
    layer,
    probe,
    accuracy as value,
    low,
    high,
    frequent,
    bigram,
    n_test,
    n_prompts
from probe_accuracy
join shown
    using (checkpoint)
order by place, corpus, generator, horizon
