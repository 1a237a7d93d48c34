-- The statements that say in a catalog what a view and its columns hold; COMMENT takes no parameters.
with
    columns as (
        select unnest($names) as name, unnest($meanings) as meaning
    ),
    subjects as (
        select concat('view ', $view) as subject, $description as comment
        union all
        select concat('column ', $view, '."', name, '"'), meaning
        from columns
    )
select concat('comment on ', subject, ' is ''', replace(comment, '''', ''''''), '''')
from subjects
