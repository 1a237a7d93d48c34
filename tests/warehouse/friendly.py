"""Queries that must go on working, of a lake with the generations of a few prompts.

`FILE` stands for a CSV file with a column `a` that the query may read.
"""

FRIENDLY = [
    # How a query may begin.
    "select count(*) from generations",
    "from generations",
    "from generations select prompt_id where sample = 0 limit 1",
    "FROM Generations SELECT Prompt_ID",
    "table generations",
    "values (1, 'a'), (2, 'b')",
    "(select 1)",
    "select 1; -- with a comment behind",
    "/* with a comment before */ select 1",
    "with x as (select 1 as a) from x",
    'with "my own" as (select 1 as a) from "my own"',
    "with x as materialized (from generations), y as (from x) select count(*) from y",
    "with generations as (select 1 as a) from generations",
    "with recursive t (i) as (select 1 union all select i + 1 from t where i < 5) from t",
    "with recursive t (i) using key (i) as (select 1 union select i + 1 from t where i < 5) from t",
    "describe generations",
    "describe select prompt_id from generations",
    "desc generations",
    "describe",
    "show generations",
    "show tables",
    "show all tables",
    "show databases",
    "summarize generations",
    "summarize select sample from generations",
    "from (describe generations)",
    "from (summarize generations)",
    "from (show tables)",
    "explain select count(*) from generations",
    "explain analyze select count(*) from generations",
    "EXPLAIN (ANALYZE) from generations",
    "explain (format json) select 1",
    "explain (analyze, format json) (select 1)",
    "/* with a comment */ explain select 1 -- and one behind",
    "explain describe generations",
    "pivot generations on prompt_id in ('a', 'b') using count(*)",
    "pivot generations on prompt_id in ('a') using count(*), max(sample) group by checkpoint",
    "from generations pivot (count(*) for prompt_id in ('a', 'b') group by checkpoint)",
    "unpivot (select 1 as x, 2 as y) on x, y",
    "unpivot (select 1 as x, 2 as y) on columns(*) into name n value v",
    # Parts of a query.
    "select distinct on (prompt_id) prompt_id, text from generations order by prompt_id, sample",
    "from generations qualify row_number() over (partition by prompt_id order by sample) = 1",
    "select *, sum(sample) over w from generations window w as (order by sample rows 1 preceding)",
    "select lag(text) over (order by sample), first_value(text ignore nulls) over (order by text), "
    "ntile(2) over (), percent_rank() over (order by sample) from generations",
    "select sum(sample) over (order by sample range between unbounded preceding and current row "
    "exclude ties) from generations",
    "select prompt_id, count(*) from generations group by all having count(*) > 0 order by all",
    "select prompt_id, sample, count(*), grouping(prompt_id) from generations "
    "group by grouping sets ((prompt_id), (sample), ())",
    "select prompt_id, sample, count(*) from generations group by rollup (prompt_id, sample)",
    "select prompt_id, sample, count(*) from generations group by cube (prompt_id, sample)",
    "select count(*) filter (sample = 0), count(distinct text), "
    "string_agg(text, ',' order by text desc) from generations",
    "from generations using sample 100%",
    "from generations using sample reservoir(1 rows) repeatable (42)",
    "from generations tablesample bernoulli(100%)",
    "select text from generations limit 50% offset 0",
    "select text from generations order by text collate nocase desc nulls first",
    "select * exclude (text) replace (1 as sample) rename (prompt_id as id) from generations",
    "select columns('.*_id') from generations",
    "select columns(lambda c: c like 'prompt%') from generations",
    "select max(columns(* exclude (token_ids, logprobs))) from generations",
    "select n: sample, t: text from generations",
    "from generations as g, lateral (select g.sample + 1 as next) as l",
    "from generations g asof join (select 0 as s) h on g.sample >= h.s",
    "from generations g positional join (from range(2)) r",
    "from generations g semi join (select 'a' as prompt_id) using (prompt_id)",
    "from generations g anti join (select 'z' as prompt_id) using (prompt_id)",
    "from generations g full join prompts p using (prompt_set, prompt_id)",
    "from generations natural join (select 'a' as prompt_id)",
    "from generations g cross join (values (1), (2)) v (i)",
    "select 1 union select 2 union all select 3 except select 3",
    "select 1 as a union all by name select 2 as b",
    "select 1 intersect all select 1",
    "select exists (from generations), (select max(sample) from generations), "
    "1 in (from range(3)), 1 = any([1, 2]), 3 > all (select 0), (1, 'a') in ((1, 'a'))",
    # Expressions.
    "select case sample when 0 then 'first' else 'later' end, if(sample = 0, 1, 2), "
    "coalesce(null, text), nullif(sample, 0), ifnull(null, 1), greatest(1, 2) from generations",
    "select sample between 0 and 1, sample not in (1, 2), text is null, not sample = 0, "
    "sample is distinct from 1 from generations",
    "select text like 'a%', text ilike 'A%', text ~ 'a', text similar to 'a.*', text glob 'a*', "
    "text not like 'x', text ^@ 'o' from generations",
    "select cast('1' as int), try_cast('x' as int), '1'::decimal(5, 2), date '2020-01-01', "
    "interval 1 day, timestamp '2020-01-01', try(1 / 0), 0x1f, 1_000, e'\\n', $$x$$, 'ff'::blob",
    "select 5 // 2, 5 % 2, 2 ** 3, ~1, -(-1), @(-1), 5!, 6 & 3, 6 | 1, 1 << 2, 'a' || 'b'",
    "select list_transform([1, 2], lambda x: x + 1), list_filter([1, 2], lambda x, i: i > 1), "
    "list_reduce([1, 2], lambda a, b: a + b), [x * 2 for x in [1, 2] if x > 1]",
    "select {'a': 1}.a, [1, 2, 3][1:2], [1, 2][-1], map {'a': 1}['a'], struct_pack(a := 1), "
    "row(1, 2), array_value(1, 2)::int[2], union_value(k := 1), [1] @> [1], [1, 2] && [2]",
    "select list_aggregate([1, 2], 'sum'), list_sort([2, 1]), list_distinct([1, 1]), "
    "array_to_string(['a'], ','), flatten([[1], [2]]), list_zip([1], [2]), len([1]), range(3)",
    "select unnest([1, 2]), unnest({'a': 1, 'b': 2}), unnest([{'a': 1}], recursive := true), "
    "generate_subscripts([1, 2], 1)",
    "from unnest([1, 2]) t (i)",
    "from generations, unnest(words(text)) as w (word)",
    "from range(3)",
    "from generate_series(date '2020-01-01', date '2020-01-03', interval 1 day)",
    """select '{"a": [1]}'::json -> 'a' ->> 0, json_extract('{"a": 1}', '$.a'), json_keys('{}'), """
    "json_group_array(sample), json_object('a', 1), to_json({'a': 1}), json_valid('{}') "
    "from generations",
    """from json_each('{"a": 1}')""",
    """from json_tree('{"a": 1}')""",
    "select upper(text), text.lower(), regexp_extract(text, '(o)', 1), string_split(text, ' '), "
    "regexp_replace(text, 'o', '0', 'g'), length(text), substring(text, 1, 2), text[1], "
    "trim(text), position('n' in text), split_part(text, 'n', 1), md5(text), "
    "hamming(text, text), format('{} {}', 1, 'a'), printf('%d', 1), strip_accents(text), "
    "overlay(text placing 'x' from 1) from generations",
    "select epoch(now()), date_trunc('day', now()), strftime(now(), '%Y'), today(), current_date, "
    "current_timestamp, extract(year from now()), now() at time zone 'UTC', "
    "date_diff('day', date '2020-01-01', date '2020-01-02'), age(date '2020-01-01')",
    "select quantile_cont(sample, 0.5), median(sample), mode(text), arg_max(text, sample), "
    "approx_quantile(sample, 0.5), approx_count_distinct(text), entropy(text), histogram(sample), "
    "stddev(sample), corr(sample, sample), list(text order by sample), any_value(text), "
    "bool_and(sample >= 0), kurtosis(sample), max(sample, 2), min_by(text, 1) from generations",
    "select random() < 2, uuid() is not null, hash(text), typeof(text), version() from generations",
    "select exp(avg(ln(sample + 1))), round(1.25, 1), sqrt(2), pi(), isnan('nan'::double), "
    "log2(8), trunc(1.5), sign(-1), bit_count(3), width: greatest(1, 2) from generations",
    # The lake's own words.
    "select words(text), bits(1) from generations",
    "from counted_generations()",
    "from generation_units()",
    "select a, b from ngram_windows()",
    "from recurring_ngrams([1, 2], true)",
    "select units_of(token_ids, text), n_units_of(token_ids, text) from generations",
    # What there is.
    "select table_name from information_schema.tables",
    "select column_name from information_schema.columns where table_name = 'generations'",
    "select view_name from duckdb_views() where not internal",
    "select column_name from duckdb_columns where table_name = 'generations'",
    "select function_name from duckdb_functions() where function_name = 'words'",
    "select * from main.generations",
    "select * from memory.main.generations",
    # A file that the command names.
    "from 'FILE'",
    "select * from 'FILE' as f join generations g on g.sample = f.a",
    "from read_csv('FILE', delim = ';', columns = {'a': 'INTEGER'}, header = true)",
    "from read_csv(['FILE', 'FILE'], union_by_name = true, filename = true)",
    "describe 'FILE'",
    "summarize from read_csv_auto('FILE')",
]
