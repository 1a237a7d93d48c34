-- Rows that repeat an earlier row's grain, and rows with a null in it, of the view `keys`: `prefix` is
-- all of the grain's columns but the last, and `gap` says whether one of them is null.
--
-- A run is rows that follow each other, with one prefix and a last value that grows. Within a run no
-- row repeats another, so rows repeat only where two runs have one prefix. Only rows of such prefixes
-- are counted by their keys. A text's or a prompt's rows are mostly written together and in order;
-- then there are none.
with
    neighbours as (
        select
            prefix,
            last_value,
            gap,
            lag(prefix) over () as prefix_before,
            lag(last_value) over () as last_before
        from keys
    ),
    suspects as (
        select prefix
        from neighbours
        where
            gap
            or prefix is distinct from prefix_before
            or last_value <= last_before
        group by prefix
        having count(*) > 1 or bool_or(gap)
    ),
    counted as (
        select count(*) as n_rows, any_value(gap) as gap
        from keys
        semi join suspects
            using (prefix)
        group by prefix, last_value
    )
select coalesce(sum(n_rows - 1 + if(gap, n_rows, 0)), 0)::bigint
from counted
