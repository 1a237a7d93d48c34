-- Bits per byte of human text: what tokenizers of any kind can be compared by (paper: figure 2A).
--
-- reads:     text_statistics
-- item:      document
-- statistic: pooled
-- format:    bits
-- title:     bits per byte, human text
-- group:     prediction
-- leading:   yes
-- says:      {value} bits per byte on human text
-- empty:     where a study has no corpora, or a server runs the model
select
    checkpoint,
    corpus as collection,
    item,
    if(n_bytes > 0, bits(nll), null) as numerator,
    n_bytes as denominator
from text_statistics
where condition = 'gold'
