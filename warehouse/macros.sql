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
