-- Every function of DuckDB, and whether a query may call it for a value: one whose value depends on
-- its arguments alone, or that stands here by name.
select
    function_name,
    bool_or(function_type in ('scalar', 'aggregate', 'window', 'macro'))
    and bool_and(coalesce(stability, 'CONSISTENT') = 'CONSISTENT')
    and not starts_with(function_name, '__')
    and function_name not in (
        -- It reads the files that the query in its argument names.
        'json_serialize_plan',
        -- They take the insides of an aggregate on trust.
        'combine', 'combine_aggr', 'finalize', 'to_aggregate_state',
        -- It waits.
        'pg_sleep'
    )
    or function_name in (
        'current_catalog', 'current_database', 'current_date', 'current_localtime',
        'current_localtimestamp', 'current_schema', 'error', 'gen_random_uuid', 'get_current_time',
        'get_current_timestamp', 'now', 'random', 'today', 'transaction_timestamp', 'uuid',
        'uuidv4', 'uuidv7'
    ) as may_be_called
from duckdb_functions()
where database_name = 'system'
group by function_name
