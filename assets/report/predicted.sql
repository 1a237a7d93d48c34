-- How many bits a byte of each corpus takes a checkpoint, against its base; the corpora lost most first.
select
    comparisons.*,
    ours.label,
    theirs.label as other_label
from comparisons
join checkpoints
    on checkpoints.checkpoint = comparisons.checkpoint and base = other
join shown as ours
    on ours.checkpoint = comparisons.checkpoint
join shown as theirs
    on theirs.checkpoint = other
where measure = 'bits_per_byte' and condition = '-' and collection <> '*'
order by comparisons.checkpoint, difference desc, collection
