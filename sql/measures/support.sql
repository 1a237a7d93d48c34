-- Tokens with a probability over $support (paper: figure 4).
--
-- It is of a checkpoint's own text, and under the condition `gold` of human text.
--
-- reads:     text_statistics
-- item:      prompt, document of gold
-- statistic: mean
-- format:    count
-- title:     tokens with a probability over $support
-- group:     concentration
-- says:      {value} tokens have a probability over $support
-- empty:     where a server runs the model
select
    checkpoint,
    if(condition = 'own', decoding, '-') as decoding,
    if(condition = 'own', '-', condition) as condition,
    corpus as collection,
    item,
    sum(support * n_tokens) / sum(n_tokens) as numerator,
    1 as denominator
from text_statistics
where condition in ('own', 'gold') and support is not null
group by all
