-- Vocabulary that measurements and ad-hoc queries share.

-- Unicode whitespace as Python's str.split() knows it, to stand between the brackets of a pattern.
create or replace macro whitespace() as
    '\t-\r\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}';

-- Words as Python's str.split() makes them: what stands between runs of Unicode whitespace.
create or replace macro words(text) as
    regexp_extract_all(text, '[^' || whitespace() || ']+');

-- The same words, each with the whitespace before it: joined, they are the text up to its last word.
create or replace macro spaced_words(text) as
    regexp_extract_all(text, '[' || whitespace() || ']*[^' || whitespace() || ']+');

-- Nats in bits.
create or replace macro bits(nats) as
    nats / ln(2);

-- How many different ones are to be expected among n draws of so many that are equally likely.
create or replace macro expected_distinct(n_kinds, n_draws) as
    n_kinds * (1 - pow((n_kinds - 1) / n_kinds, n_draws));

-- Log-odds of a kind with y of n things, less those of the same kind with y2 of n2, and the standard
-- deviation of that (Monroe et al., 2008). The Dirichlet prior is of so many things, divided as both
-- together are. Where all things are of the kind on both sides, the log-odds are alike.
create or replace macro log_odds_against(y, n, y2, n2, prior) as {
    'prior_places': prior * (y + y2) / (n + n2),
    'log_odds': if(
        y + y2 = n + n2,
        0,
        ln(y + prior * (y + y2) / (n + n2))
        - ln(n + prior - y - prior * (y + y2) / (n + n2))
        - ln(y2 + prior * (y + y2) / (n + n2))
        + ln(n2 + prior - y2 - prior * (y + y2) / (n + n2))
    ),
    'deviation': sqrt(
        1 / (y + prior * (y + y2) / (n + n2)) + 1 / (y2 + prior * (y + y2) / (n + n2))
    )
};

-- The variance of a count that prompts share, each prompt being one draw, from sums over the prompts:
-- of what a prompt counts, squared; of that times its total; and of its total, squared. `rate` is the
-- whole count by the whole total. 0 where there is one prompt, which says nothing of others.
create or replace macro between_prompts(squares, products, squared_totals, rate, prompts) as
    if(
        prompts > 1,
        greatest(
            0,
            coalesce(squares, 0) - 2 * rate * coalesce(products, 0) + rate ^ 2 * squared_totals
        ) * prompts / (prompts - 1),
        0
    );

-- How likely the normal distribution gives a value at least that far from 0, in standard deviations:
-- erfc(|z| / sqrt(2)) by the Chebyshev polynomial of Press et al., Numerical Recipes (1992), section
-- 6.2, with a relative error under 1.2e-7.
create or replace macro chebyshev_erfc(x, t) as
    t * exp(
        -x * x - 1.26551223
        + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806 + t * (0.27886807
        + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))))
    );
create or replace macro two_sided_p(z) as
    chebyshev_erfc(abs(z) / sqrt(2), 1 / (1 + abs(z) / sqrt(2) / 2));

-- Whether a difference is surely over 0.
create or replace macro surely_more(difference, p) as p < 0.05 and difference > 0;

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
