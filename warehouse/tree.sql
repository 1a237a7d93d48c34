-- What DuckDB makes of a query, as JSON.
select json_serialize_sql($query::varchar)
