-- The comparisons that figures tell of: over all collections, at the level that a measure is quoted
-- at, of checkpoints with others, in the units that the two share.
with
    quoted as (
        select
            comparisons.*,
            one.place,
            other.place as other_place,
            declared.place as measure_place,
            case
                when comparisons.decoding = '-' then comparisons.checkpoint
                else comparisons.checkpoint || ' (' || comparisons.decoding || ')'
            end as label,
            case
                when comparisons.other_decoding = '-' then comparisons.other
                else comparisons.other || ' (' || comparisons.other_decoding || ')'
            end as other_label,
            row_number() over (
                partition by
                    comparisons.checkpoint,
                    comparisons.decoding,
                    comparisons.other,
                    comparisons.other_decoding,
                    comparisons.measure,
                    comparisons.condition
                order by comparisons.unit
            ) as nth_unit
        from comparisons
        join shown as one
            on one.checkpoint = comparisons.checkpoint
        join shown as other
            on other.checkpoint = comparisons.other
        join declared
            on declared.measure = comparisons.measure
            and declared.level = comparisons.level
        where comparisons.collection = '*' and comparisons.checkpoint <> comparisons.other
    )
select * exclude (nth_unit)
from quoted
where nth_unit = 1
order by place, other_place, measure_place, condition, decoding
