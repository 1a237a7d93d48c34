-- What files of a lake say of themselves: a row for each file and key.
select
    file_name,
    decode(key) as key,
    decode(value) as value
from parquet_kv_metadata($files)
where starts_with(decode(key), 'anchorlake.')
