-- How an aligned checkpoint's own tokens shift from its base's, and how far the two are apart, by
-- position; and the tokens that shift most. Of greedy generations where there are some.
with
    decodings as (
        select
            checkpoint,
            coalesce(any_value(decoding) filter (decoding = 'greedy'), any_value(decoding)) as decoding
        from shifted_tokens
        group by checkpoint
    ),
    measured as (
        select
            checkpoint,
            decoding,
            other,
            measure as what,
            if(condition = '-', 'shifted', condition) as kind,
            level as position,
            value,
            low,
            high,
            n_items
        from summary
        join decodings
            using (checkpoint, decoding)
        where
            measure in ('token_shift', 'kl')
            and condition in ('-', 'marginal')
            and collection = '*'
    ),
    most as (
        select
            checkpoint,
            decoding,
            other,
            token,
            n_tokens,
            n_shifted,
            share,
            row_number() over (
                partition by checkpoint, decoding
                order by n_shifted desc, token_id
            ) as nth
        from shifted_tokens
        join decodings
            using (checkpoint, decoding)
    )
select
    checkpoint,
    measured.decoding,
    other,
    what,
    kind,
    position,
    value,
    low,
    high,
    n_items,
    null as token,
    null as n_tokens,
    null as n_shifted,
    place,
    0 as nth
from measured
join shown
    using (checkpoint)
union all
select
    checkpoint,
    most.decoding,
    other,
    'token' as what,
    '-' as kind,
    0 as position,
    share as value,
    null as low,
    null as high,
    null as n_items,
    token,
    n_tokens,
    n_shifted,
    place,
    nth
from most
join shown
    using (checkpoint)
where nth <= 10
order by place, what, kind, position, nth
