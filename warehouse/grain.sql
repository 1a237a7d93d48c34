-- Rows that repeat an earlier row's grain, and rows with a null in it.
select
    count(*) - count(distinct key) + count(*) filter (where gap)
from
    keys
