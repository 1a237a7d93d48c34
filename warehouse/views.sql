-- The views that a connection has.
select view_name
from duckdb_views()
where not internal
