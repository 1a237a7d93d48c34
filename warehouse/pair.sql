-- A checkpoint and its base, for the view `pair`: one row, or none without a base.
select
    $checkpoint::varchar as checkpoint,
    $decoding::varchar as decoding,
    $other::varchar as other,
    $other_decoding::varchar as other_decoding
where $other is not null
