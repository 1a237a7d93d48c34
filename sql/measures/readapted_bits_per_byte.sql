-- Bits per byte of human text after fine-tuning on such text (paper: figure 2B).
--
-- The condition `before` is the same documents before it.
--
-- reads:     readapted_texts
-- item:      document
-- statistic: pooled
-- format:    bits
-- title:     bits per byte after fine-tuning
-- group:     prediction
-- says:      {value} bits per byte on human text after fine-tuning
select
    checkpoint,
    unnest(['-', 'before']) as condition,
    corpus as collection,
    document_id as item,
    unnest([bits(nll_after), bits(nll_before)]) as numerator,
    n_bytes as denominator
from readapted_texts
where n_bytes > 0
