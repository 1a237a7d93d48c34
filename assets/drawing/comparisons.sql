-- The comparisons that figures tell of: over all collections, at the level that a measure is quoted
-- at, of checkpoints with others, in the units that the two share. A value has the interval that it
-- has in `summary`, where it is over the same items.
with
    quoted as (
        select
            comparisons.*,
            ours.low as value_low,
            ours.high as value_high,
            theirs.low as other_value_low,
            theirs.high as other_value_high,
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
        left join summary as ours
            on ours.checkpoint = comparisons.checkpoint
            and ours.decoding = comparisons.decoding
            and ours.other = '-'
            and ours.measure = comparisons.measure
            and ours.condition = comparisons.condition
            and ours.unit = comparisons.unit
            and ours.level = comparisons.level
            and ours.collection = '*'
            and ours.n_items = comparisons.n_items
        left join summary as theirs
            on theirs.checkpoint = comparisons.other
            and theirs.decoding = comparisons.other_decoding
            and theirs.other = '-'
            and theirs.measure = comparisons.measure
            and theirs.condition = comparisons.condition
            and theirs.unit = comparisons.unit
            and theirs.level = comparisons.level
            and theirs.collection = '*'
            and theirs.n_items = comparisons.n_items
        where comparisons.collection = '*' and comparisons.checkpoint <> comparisons.other
    )
select * exclude (nth_unit)
from quoted
where nth_unit = 1
order by place, other_place, measure_place, condition, decoding
