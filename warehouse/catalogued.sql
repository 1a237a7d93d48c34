-- The rows of a table's files wherever the lake is: of that a catalog knows `lake_folder()` alone.
from
    read_parquet(
        [lake_folder() || '/' || $pattern],
        hive_partitioning = true, hive_types_autocast = false, union_by_name = true
    )
