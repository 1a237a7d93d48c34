-- How well every checkpoint predicts every document before and after fine-tuning.
select
    checkpoint,
    corpus,
    category,
    document_id as item,
    n_tokens,
    n_bytes,
    nll_before,
    nll_after,
    steps
from readapted_texts
join shown
    using (checkpoint)
order by place, corpus, item
