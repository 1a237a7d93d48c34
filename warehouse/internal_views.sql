-- The views that DuckDB has by itself.
select view_name
from duckdb_views()
where internal
