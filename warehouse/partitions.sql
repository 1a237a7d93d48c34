-- The rows of some partitions' files; a checkpoint's name stays text, even where it looks like a
-- number or a date.
from
    read_parquet(
        $files, hive_partitioning = true, hive_types_autocast = false, union_by_name = true
    )
