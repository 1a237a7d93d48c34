-- Bits per byte of a checkpoint's own text, the generations of a prompt together (paper: figure 5).
--
-- reads:     text_statistics
-- item:      prompt
-- statistic: pooled
-- format:    bits
-- title:     bits per byte, own text
-- group:     concentration
-- leading:   yes
-- says:      {value} bits per byte on its own text
-- empty:     where a server tells no log-probabilities
with
    prompts as (
        select checkpoint, decoding, corpus, item, sum(nll) as nll, sum(n_bytes) as n_bytes
        from text_statistics
        where condition = 'own'
        group by all
    )
select
    checkpoint,
    decoding,
    corpus as collection,
    item,
    if(n_bytes > 0, bits(nll), null) as numerator,
    n_bytes as denominator
from prompts
