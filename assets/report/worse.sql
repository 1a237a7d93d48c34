-- The documents that a checkpoint predicts worse than its base, those that it lost most of first.
with
    read as (
        select checkpoint, corpus, text_id, bits(nll) / n_bytes as bits_per_byte
        from text_statistics
        where condition = 'gold' and n_bytes > 0
    )
select
    ours.checkpoint,
    ours.corpus,
    documents.text[:400] as document,
    ours.bits_per_byte,
    theirs.bits_per_byte as base_bits_per_byte
from read as ours
join checkpoints
    using (checkpoint)
join read as theirs
    on theirs.checkpoint = base and theirs.corpus = ours.corpus and theirs.text_id = ours.text_id
join documents
    on documents.corpus = ours.corpus and document_id = ours.text_id
where ours.bits_per_byte > theirs.bits_per_byte
qualify row_number() over (
    partition by ours.checkpoint
    order by ours.bits_per_byte - theirs.bits_per_byte desc, ours.corpus, ours.text_id
) <= $rows
order by ours.checkpoint, ours.bits_per_byte - theirs.bits_per_byte desc, ours.corpus, ours.text_id
