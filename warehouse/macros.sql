-- Vocabulary that measurements and ad-hoc queries share.

-- Words as Python's str.split() makes them: what stands between runs of Unicode whitespace.
create or replace macro words(text) as
    regexp_extract_all(
        text,
        '[^\t-\r\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]+'
    );

-- Nats in bits.
create or replace macro bits(nats) as
    nats / ln(2);

-- The logarithmic bucket of a token's place in a text, from 0: the first place in it, counted from 1.
-- Buckets are 1, 2 to 3, 4 to 7, 8 to 15, and so on.
create or replace macro position_bucket(position) as
    pow(2, floor(log2(position + 1)))::integer;

-- Which of 15 equal bins a probability is in, from 1; each has its upper end.
create or replace macro confidence_bin(probability) as
    greatest(1, least(15, ceil(15 * probability)))::integer;

-- What a token's rank with the base makes of it (Lin et al., 2024).
create or replace macro token_shift(base_rank) as
    case when base_rank = 1 then 'unshifted' when base_rank <= 3 then 'marginal' else 'shifted' end;
