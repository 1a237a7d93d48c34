"""Malformed inputs, and the sentence that the command line says of each; `~` is the folder.

What a study's own validation says in other words stands in `tests/assets/study`.
"""

from __future__ import annotations

from itertools import pairwise

from assets.study.datasets import DatasetSource
from assets.study.study import Study
from models import Source

PROMPT = '{"prompt_id": "p", "category": "c", "text": "t"}'
GENERATION = '{"prompt_id": "p", "prompt": "P", "sample": 0, "text": "t"}'
MEASURE = """-- A measure.
--
-- reads:      generations
-- item:       prompt
-- statistic:  mean
-- format:     share
-- says:       {value} of it
select checkpoint, prompt_set as collection, prompt_id as item, 1 as numerator,
    2 as denominator
from generations
"""

# What stands in many sentences.
KEYS = ", ".join(Study.model_fields)
SOURCES = "; ".join(Source.SCHEMES.values())
TEXTS = "; ".join(DatasetSource.SCHEMES.values())
CRON = (
    "a cron expression of a time that comes goes here, such as `0 3 * * *`, every night at 3 (UTC)"
)
ALONE = "stands alone here; only a step may be given digits, as in {step:06}, at most 20"
LONG = (
    "a file system takes names of at most 255 bytes, and paths of at most 4095; choose a shorter "
    "one"
)
PARAMETERS = (
    "$samples_per_prompt, $max_new_tokens, $seed, $ngram_lengths, $ngram_spread_length, "
    "$ngram_diversity_lengths, $ngram_similarity_length, $phrase_lengths, $phrase_share, "
    "$phrase_prior, $distinct_vocabulary, $opening_words, $loop_times, $repetitions, "
    "$kept_by, $aligned_with, $span_characters, $span_share, $spans, $top_k, $support, "
    "$likeliest, $same_answer, $same_sentence, $draws"
)

STUDY: dict[str, str] = {
    "name: null": "s.yaml: name: found None; input should be a valid string; put it in quotes",
    "name: ''": "s.yaml: name: found ''; string should have at least 1 character",
    "seed: -1": "s.yaml: seed: found -1; input should be greater than or equal to 0",
    "seed: 1.5": "s.yaml: seed: found 1.5; input should be a valid integer",
    "seed: true": "s.yaml: seed: found True; input should be a valid integer",
    "seed: [1]": "s.yaml: seed: found [1]; input should be a valid integer",
    "seed: 2020-01-01": (
        "s.yaml: seed: found datetime.date(2020, 1, 1); input should be a valid integer"
    ),
    "seed: 9223372036854775808": (
        "s.yaml: seed: found 9223372036854775808; input should be less than 9223372036854775808"
    ),
    "samples_per_prompt: null": (
        "s.yaml: samples_per_prompt: found None; input should be a valid integer"
    ),
    "samples_per_prompt: 1000001": (
        "s.yaml: samples_per_prompt: found 1000001; input should be less than or equal to 1000000"
    ),
    "max_new_tokens: 0": (
        "s.yaml: max_new_tokens: found 0; input should be greater than or equal to 1"
    ),
    "max_new_tokens: {a: 1}": (
        "s.yaml: max_new_tokens: found {'a': 1}; input should be a valid integer"
    ),
    "prompts: 3": "s.yaml: prompts: found 3; a path goes here, in quotes",
    "prompts: [p.jsonl]": "s.yaml: prompts: found ['p.jsonl']; a path goes here, in quotes",
    "prompts: ~nobody-here/p.jsonl": (
        "s.yaml: prompts: found '~nobody-here/p.jsonl'; there is no user whose home folder "
        "~nobody-here means"
    ),
    'prompts: "a\\0b.jsonl"': (
        "s.yaml: prompts: found 'a\\x00b.jsonl'; a path cannot hold the character NUL"
    ),
    'prompts: "\\ud800.jsonl"': (
        "s.yaml: prompts: found '\\ud800.jsonl'; a path cannot hold half a surrogate pair"
    ),
    "sql: 3": "s.yaml: sql: found 3; a path goes here, in quotes",
    "sql: nowhere": "sql: ~/nowhere is no folder; name one with *.sql or measures/*.sql in it",
    "sql: g.jsonl": "sql: ~/g.jsonl is no folder; name one with *.sql or measures/*.sql in it",
    "aligner: null": "s.yaml: aligner: found None; input should be 'anchorlake' or 'mafft'",
    "aligner: 7": "s.yaml: aligner: found 7; input should be 'anchorlake' or 'mafft'",
    "watch_every: 0": "s.yaml: watch_every: found 0; input should be greater than or equal to 1",
    "watch_every: 1.0e+400": "s.yaml: watch_every: found inf; input should be a valid integer",
    "watch_every: 86401": (
        "s.yaml: watch_every: found 86401; input should be less than or equal to 86400"
    ),
    "retries: -1": "s.yaml: retries: found -1; input should be greater than or equal to 0",
    "retries: 101": "s.yaml: retries: found 101; input should be less than or equal to 100",
    "schedule: 3": "s.yaml: schedule: found 3; input should be a valid string; put it in quotes",
    "schedule: every day": f"schedule: found 'every day'; {CRON}",
    "schedule: '* * * *'": f"schedule: found '* * * *'; {CRON}",
    "schedule: '99 * * * *'": f"schedule: found '99 * * * *'; {CRON}",
    "schedule: '0 0 31 4 *'": f"schedule: found '0 0 31 4 *'; {CRON}",
    "schedule: ''": f"schedule: found ''; {CRON}",
    "schedules: '0 3 * * *'": (
        f"s.yaml: schedules: is no key (did you mean schedule?); allowed here: {KEYS}"
    ),
    "checkpoint: []": (
        f"s.yaml: checkpoint: is no key (did you mean checkpoints?); allowed here: {KEYS}"
    ),
    "ladders: null": "s.yaml: ladders: found None; input should be a valid list",
    "ladders: x": "s.yaml: ladders: found 'x'; input should be a valid list",
    "ladders: [x]": "s.yaml: ladders[0]: found 'x'; here must be keys and values",
    "ladders: [{name: l}]": "s.yaml: ladders[0].checkpoints: is missing",
    "ladders: [{checkpoints: [a, b]}]": "s.yaml: ladders[0].name: is missing",
    "ladders: [{name: '', checkpoints: [a, b]}]": (
        "s.yaml: ladders[0].name: found ''; string should have at least 1 character"
    ),
    "ladders: [{name: l, checkpoints: a}]": (
        "s.yaml: ladders[0].checkpoints: found 'a'; input should be a valid list"
    ),
    "ladders: [{name: l, checkpoints: [1, 2]}]": (
        "s.yaml: ladders[0].checkpoints[0]: found 1; input should be a valid string; put it in "
        "quotes\ns.yaml: ladders[0].checkpoints[1]: found 2; input should be a valid string; "
        "put it in quotes"
    ),
    "ladders: [{name: l, checkpoints: [a, a]}]": (
        "s.yaml: ladders[0].checkpoints: has 'a' twice; a checkpoint stands on a ladder once"
    ),
    "ladders: [{name: l, checkpoints: [a, z]}]": (
        "s.yaml: ladders: 'z' on the ladder 'l' is none of the study's checkpoints (a)"
    ),
    "ladders: [{name: l, checkpoints: [a, b], base: a}]": (
        "s.yaml: ladders[0].base: is no key; allowed here: name, checkpoints"
    ),
    "corpora: null": "s.yaml: corpora: found None; input should be a valid list",
    "corpora: [null]": "s.yaml: corpora[0]: found None; here must be keys and values",
    "corpora: [{name: c}]": "s.yaml: corpora[0].source: is missing",
    "corpora: [{name: '', source: 'pydoc:topics'}]": (
        "s.yaml: corpora[0].name: found ''; string should have at least 1 character"
    ),
    "corpora: [{name: c, source: 3}]": (
        f"s.yaml: corpora[0].source: found 3; '3' is not a source of texts; use one of: {TEXTS}"
    ),
    "corpora: [{name: c, source: 'pydoc:topics', documents: 0}]": (
        "s.yaml: corpora[0].documents: found 0; input should be greater than or equal to 1"
    ),
    "corpora: [{name: c, source: 'pydoc:topics', max_words: 1000000001}]": (
        "s.yaml: corpora[0].max_words: found 1000000001; input should be less than or equal to "
        "1000000000"
    ),
    "corpora: [{name: c, source: 'pydoc:topics', separator: 3}]": (
        "s.yaml: corpora[0].separator: found 3; input should be a valid string; put it in quotes"
    ),
    "corpora: [{name: c, source: 'pydoc:topics', text_field: 3}]": (
        "s.yaml: corpora[0].text_field: found 3; input should be a valid list"
    ),
    "corpora: [{name: c, source: 'pydoc:words'}]": (
        "s.yaml: corpora[0].source: found 'pydoc:words'; 'pydoc:words' is not a source of "
        f"texts; use one of: {TEXTS}"
    ),
    "corpora: [{name: c, source: 'hf:../../etc', documents: 3}]": (
        "s.yaml: corpora[0].source: found 'hf:../../etc'; hf:../../etc is no repository of the "
        "hub: write org/name, with letters, digits, '.', '_' and '-'"
    ),
    "corpora: [{name: c, source: 'hf:org/name/../..', documents: 3}]": (
        "s.yaml: corpora[0].source: found 'hf:org/name/../..'; hf:org/name/../.. leads out of "
        "the repository; name a folder in it"
    ),
    "corpora: [{name: c, source: 'hf:org/name@../../x', documents: 3}]": (
        "s.yaml: corpora[0].source: found 'hf:org/name@../../x'; hf:org/name@../../x names no "
        "revision after its @: write a branch, a tag or a commit"
    ),
    'corpora: [{name: c, source: "file:a\\0b.txt"}]': (
        "s.yaml: corpora[0].source: found 'file:a\\x00b.txt'; a path cannot hold the character NUL"
    ),
    "prefixes: 3": "s.yaml: prefixes: found 3; here must be keys and values",
    "prefixes: {documents: 0}": (
        "s.yaml: prefixes.documents: found 0; input should be greater than or equal to 1"
    ),
    "prefixes: {documents: 1, samples: 1000001}": (
        "s.yaml: prefixes.samples: found 1000001; input should be less than or equal to 1000000"
    ),
    "prefixes: {documents: 1, words: 0}": (
        "s.yaml: prefixes.words: found 0; input should be greater than or equal to 1"
    ),
    "shannon_game: {source: 3}": (
        "s.yaml: shannon_game.source: found 3; '3' is not a source of texts; use one of: "
        f"{TEXTS}; or corpora, passages cut from the study's"
    ),
    "shannon_game: {source: corpora, words: 1}": (
        "s.yaml: shannon_game.words: found 1; input should be greater than or equal to 2"
    ),
    "shannon_game: {source: corpora, passages: 0}": (
        "s.yaml: shannon_game.passages: found 0; input should be greater than or equal to 1"
    ),
    "preferences: [{name: p, source: 'pydoc:topics'}]": (
        "s.yaml: preferences[0].source: found 'pydoc:topics'; 'pydoc:topics' holds no pairs of "
        "answers; use file:PATH.jsonl, a pair a line, or hf:org/name, a dataset on the hub"
    ),
    "preferences: [{name: p, source: 'hf:org/name'}]": (
        "s.yaml: preferences[0]: preferences from the hub need `pairs: N`, how many are read"
    ),
    "preferences: [{name: p, source: 'file:p.jsonl', pair: 3}]": (
        "s.yaml: preferences[0].pair: is no key (did you mean pairs?); allowed here: name, "
        "source, config, split, pairs, max_words"
    ),
    "choices: [{name: p, source: 'hf:org/name'}]": (
        "s.yaml: choices[0]: choices from the hub need `questions: N`, how many are read"
    ),
    "choices: [{name: p, source: 'file:p.jsonl', cue: 'So: '}]": (
        "s.yaml: choices[0].cue: found 'So: '; must be a text without white space at its ends"
    ),
    "preferences: [{name: p, source: 'file:p.jsonl'}, {name: p, source: 'file:q.jsonl'}]": (
        "s.yaml: preferences has two of the name 'p'; rename one"
    ),
    "probes: []": "s.yaml: probes: found []; here must be keys and values",
    "probes: {depth: .nan}": (
        "s.yaml: probes.depth: found nan; input should be less than or equal to 1"
    ),
    "probes: {depth: '1'}": "s.yaml: probes.depth: found '1'; input should be a valid number",
    "probes: {horizons: 3}": "s.yaml: probes.horizons: found 3; input should be a valid list",
    "probes: {horizons: [1001]}": (
        "s.yaml: probes.horizons[0]: found 1001; input should be less than or equal to 1000"
    ),
    "probes: {horizons: [-1]}": (
        "s.yaml: probes.horizons[0]: found -1; input should be greater than or equal to 0"
    ),
    "probes: {tokens: 0}": (
        "s.yaml: probes.tokens: found 0; input should be greater than or equal to 1"
    ),
    "divergence: {tokens: 0}": (
        "s.yaml: divergence.tokens: found 0; input should be greater than or equal to 1"
    ),
    "divergence: {disk_gb: 0}": (
        "s.yaml: divergence.disk_gb: found 0; input should be greater than 0"
    ),
    "probes: {prompt_sets: x}": (
        "s.yaml: probes.prompt_sets: found 'x'; input should be a valid list"
    ),
    "readaptation: {method: sgd}": (
        "s.yaml: readaptation.method: found 'sgd'; input should be 'full' or 'lora'"
    ),
    "readaptation: {steps: 10000000000}": (
        "s.yaml: readaptation.steps: found 10000000000; input should be less than or equal to "
        "1000000000"
    ),
    "readaptation: {evaluate_every: 0}": (
        "s.yaml: readaptation.evaluate_every: found 0; input should be greater than or equal to 1"
    ),
    "readaptation: {learning_rate: -1}": (
        "s.yaml: readaptation.learning_rate: found -1; input should be greater than 0"
    ),
    "readaptation: {keep_weights: 1}": (
        "s.yaml: readaptation.keep_weights: found 1; input should be a valid boolean"
    ),
    "readaptation: {method: lora, rank: 100001}": (
        "s.yaml: readaptation.rank: found 100001; input should be less than or equal to 100000"
    ),
    "diversity_sweep: {top_p: []}": (
        "s.yaml: diversity_sweep.top_p: found []; list should have at least 1 item after "
        "validation, not 0"
    ),
    "diversity_sweep: {top_p: [.nan]}": (
        "s.yaml: diversity_sweep.top_p[0]: found nan; input should be less than or equal to 1"
    ),
    "diversity_sweep: {top_p: [0.5], prompts: 0}": (
        "s.yaml: diversity_sweep.prompts: found 0; input should be greater than or equal to 1"
    ),
    "thresholds: []": "s.yaml: thresholds: found []; here must be keys and values",
    "thresholds: {ngram_lengths: []}": (
        "s.yaml: thresholds.ngram_lengths: found []; list should have at least 1 item after "
        "validation, not 0"
    ),
    "thresholds: {ngram_lengths: [2, 1]}": (
        "s.yaml: thresholds.ngram_lengths: must rise from number to number, each once"
    ),
    "thresholds: {top_k: [2]}": (
        "s.yaml: thresholds.top_k: must begin with 1, the most likely token alone"
    ),
    "thresholds: {support: 0}": (
        "s.yaml: thresholds.support: found 0; input should be greater than 0"
    ),
    "thresholds: {span_share: .nan}": (
        "s.yaml: thresholds.span_share: found nan; input should be less than or equal to 1"
    ),
    "thresholds: {spans: 101}": (
        "s.yaml: thresholds.spans: found 101; input should be less than or equal to 100"
    ),
    "thresholds: {kept_by: '5'}": (
        "s.yaml: thresholds.kept_by: found '5'; input should be a valid integer"
    ),
    "drift: {}": "s.yaml: drift: found {}; input should be a valid list",
    "drift: [{over: 1}]": "s.yaml: drift[0].measure: is missing",
    "drift: [{measure: ngram_sharing}]": (
        "s.yaml: drift[0]: needs `over`, `under`, `over_base` or `under_base`"
    ),
    "drift: [{measure: ngram_sharing, over: .nan}]": (
        "s.yaml: drift[0].over: found nan; input should be a finite number"
    ),
    "drift: [{measure: ngram_sharing, over: '1'}]": (
        "s.yaml: drift[0].over: found '1'; input should be a valid number"
    ),
    "drift: [{measure: ngram_sharing, over_base: 0}]": (
        "s.yaml: drift[0].over_base: found 0; input should be greater than 0"
    ),
    "watch: [{series: s}]": (
        "s.yaml: watch[0]: needs either `dir:`, a pattern of folders, or `hf:`, a repository"
    ),
    "watch: [{dir: x, hf: org/name, revisions: v, series: s}]": (
        "s.yaml: watch[0]: needs either `dir:`, a pattern of folders, or `hf:`, a repository"
    ),
    "watch: [{dir: '', series: s}]": (
        "s.yaml: watch[0].dir: found ''; string should have at least 1 character"
    ),
    "watch: [{dir: 'x/**', series: s}]": (
        "s.yaml: watch[0].dir: found 'x/**'; a pattern may hold `*`, any part of a name, and "
        "one `{step}`"
    ),
    "watch: [{dir: 'x?', series: s}]": (
        "s.yaml: watch[0].dir: found 'x?'; a pattern may hold `*`, any part of a name, and one "
        "`{step}`"
    ),
    'watch: [{dir: "a\\0b/*", series: s}]': (
        "s.yaml: watch[0].dir: found 'a\\x00b/*'; a path cannot hold the character NUL"
    ),
    "watch: [{dir: x/*, series: ''}]": (
        "s.yaml: watch[0].series: found ''; string should have at least 1 character"
    ),
    "watch: [{dir: x/*, series: '{step}'}]": (
        "s.yaml: watch[0].series: found '{step}'; {step} means nothing here; what does is "
        "{name}, {parent}"
    ),
    "watch: [{dir: x/*, series: '{name:>99999999}'}]": (
        f"s.yaml: watch[0].series: found '{{name:>99999999}}'; {{name}} {ALONE}"
    ),
    "watch: [{dir: x/*, series: s, name: '{step:>999999999}'}]": (
        f"s.yaml: watch[0].name: found '{{step:>999999999}}'; {{step}} {ALONE}"
    ),
    "watch: [{dir: x/*, series: s, name: '{step:{step}}'}]": (
        f"s.yaml: watch[0].name: found '{{step:{{step}}}}'; {{step}} {ALONE}"
    ),
    "watch: [{dir: x/*, series: s, name: '{step!r}'}]": (
        f"s.yaml: watch[0].name: found '{{step!r}}'; {{step}} {ALONE}"
    ),
    "watch: [{dir: x/*, series: s, name: '{step.__class__}'}]": (
        "s.yaml: watch[0].name: found '{step.__class__}'; {step.__class__} means nothing here; "
        "what does is {series}, {step}, {name}, {parent}"
    ),
    "watch: [{dir: x/*, series: s, name: '{'}]": (
        "s.yaml: watch[0].name: found '{'; single '{' encountered in format string; a name "
        "goes between { and }"
    ),
    "watch: [{dir: x/*, series: s, name: all}]": (
        "s.yaml: watch[0]: name: needs {step}, {name} or {parent}, which tell one from another"
    ),
    "watch: [{hf: org/name, series: s}]": (
        "s.yaml: watch[0]: `hf:` and `revisions:`, a pattern of branches and tags, go together"
    ),
    "watch: [{hf: ../.., revisions: '*', series: s}]": (
        "s.yaml: watch[0].hf: found '../..'; it is no repository of the hub; write org/name, "
        "without a revision"
    ),
    "watch: [{dir: x/*, series: s, base: z}]": (
        "s.yaml: watch: the base of dir:~/x/* is 'z', which is none of the study's checkpoints (a)"
    ),
    'aligner: "\\e[31m\\a\\u202e\\u2028\\x9b"': (
        "s.yaml: aligner: found '\\x1b[31m\\x07\\u202e\\u2028\\x9b'; input should be "
        "'anchorlake' or 'mafft'"
    ),
    '"\\e[31m\\u202e": 1': f"s.yaml: \\u001b[31m\\u202e: is no key; allowed here: {KEYS}",
    'aligner: "\\ud800"': (
        "s.yaml: aligner: found '\\ud800'; it holds half a surrogate pair, which is no text"
    ),
    "aligner: *nowhere": (
        "s.yaml, line 4, column 10: not valid YAML: found undefined alias 'nowhere'"
    ),
    "aligner: !!python/object/apply:os.system [ls]": (
        "s.yaml, line 4, column 10: not valid YAML: could not determine a constructor for the "
        "tag 'tag:yaml.org,2002:python/object/apply:os.system'"
    ),
    "aligner: &x [*x]": "s.yaml, line 4: the alias stands within what it is an alias of",
    "seed: 0x": "s.yaml: seed: found '0x'; input should be a valid integer",
    "retries: 2026-99-99": "s.yaml: not valid YAML: month must be in 1..12",
    "<<: 3": (
        "s.yaml, line 4, column 5: not valid YAML: while constructing a mapping, expected a "
        "mapping or list of mappings for merging, but found scalar"
    ),
    "---": (
        "s.yaml, line 4, column 1: not valid YAML: expected a single document in the stream, "
        "but found another document"
    ),
    "? [a]": (
        "s.yaml, line 4, column 3: not valid YAML: while constructing a mapping, found "
        "unhashable key"
    ),
}
"""Lines of a study of one `file:` checkpoint."""
CHECKPOINT: dict[str, str] = {
    "source: 'file:'": (
        "s.yaml: checkpoints[0].source: found 'file:'; 'file:' is not a checkpoint source; use "
        f"one of: {SOURCES}"
    ),
    "source: zip:x": (
        "s.yaml: checkpoints[0].source: found 'zip:x'; 'zip:x' is not a checkpoint source; use "
        f"one of: {SOURCES}"
    ),
    "source: 3": (
        "s.yaml: checkpoints[0].source: found 3; '3' is not a checkpoint source; use one of: "
        f"{SOURCES}"
    ),
    'source: "file:a\\0b"': (
        "s.yaml: checkpoints[0].source: found 'file:a\\x00b'; a path cannot hold the character NUL"
    ),
    'source: "dir:\\ud800"': (
        "s.yaml: checkpoints[0].source: found 'dir:\\ud800'; a path cannot hold half a "
        "surrogate pair"
    ),
    'source: "gguf:~nobody-here/x"': (
        "s.yaml: checkpoints[0].source: found 'gguf:~nobody-here/x'; there is no user whose "
        "home folder ~nobody-here means"
    ),
    "source: 'pypi:../../etc'": (
        "s.yaml: checkpoints[0].source: found 'pypi:../../etc'; '../../etc' is no name of a "
        "package: use letters, digits, '.', '_' and '-'"
    ),
    "source: 'pypi:a b;c'": (
        "s.yaml: checkpoints[0].source: found 'pypi:a b;c'; 'a b;c' is no name of a package: "
        "use letters, digits, '.', '_' and '-'"
    ),
    "source: 'hf:../../etc'": (
        "s.yaml: checkpoints[0].source: found 'hf:../../etc'; hf:../../etc is no repository of "
        "the hub: write org/name, with letters, digits, '.', '_' and '-'"
    ),
    "source: 'hf:a b/c'": (
        "s.yaml: checkpoints[0].source: found 'hf:a b/c'; hf:a b/c is no repository of the "
        "hub: write org/name, with letters, digits, '.', '_' and '-'"
    ),
    "source: 'hf:a/b@../../../etc/passwd'": (
        "s.yaml: checkpoints[0].source: found 'hf:a/b@../../../etc/passwd'; "
        "hf:a/b@../../../etc/passwd names no revision after its @: write a branch, a tag or a "
        "commit"
    ),
    "source: 'openai:http://h:99999/v1#m'": (
        "s.yaml: checkpoints[0].source: the server's URL cannot be read: give it as https://host/v1"
    ),
    "source: 'openai:http://a b/v1#m'": (
        "s.yaml: checkpoints[0].source: the server's URL is 'http://a b/v1': give it as "
        "https://host/v1"
    ),
    "source: 'openai:file:///etc/passwd#m'": (
        "s.yaml: checkpoints[0].source: the server's URL is 'file:///etc/passwd': give it as "
        "https://host/v1"
    ),
    "source: 'file:g.jsonl', role: 3": (
        "s.yaml: checkpoints[0].role: found 3; input should be 'base', 'aligned' or 'human'"
    ),
    "source: 'file:g.jsonl', base: z": (
        "s.yaml: checkpoints: the base of 'a' is 'z', which is none of the study's checkpoints (a)"
    ),
    "source: 'file:g.jsonl', stage: ''": (
        "s.yaml: checkpoints[0].stage: found ''; string should have at least 1 character"
    ),
    "source: 'file:g.jsonl', controlled: yes please": (
        "s.yaml: checkpoints[0].controlled: found 'yes please'; input should be a valid boolean"
    ),
    "source: 'file:g.jsonl', controlled: true": (
        "s.yaml: checkpoints[0]: controlled: says that it was made from its base, and it has "
        "none; name that with `base:`, or put both on a ladder"
    ),
    "source: 'file:g.jsonl', step: 1": (
        "s.yaml: checkpoints[0]: step: counts in a training run; name the run with `series:`"
    ),
    "source: 'file:g.jsonl', series: s, step: -1": (
        "s.yaml: checkpoints[0].step: found -1; input should be greater than or equal to 0"
    ),
    "source: 'file:g.jsonl', series: s, step: 9223372036854775808": (
        "s.yaml: checkpoints[0].step: found 9223372036854775808; input should be less than "
        "9223372036854775808"
    ),
    "source: 'file:g.jsonl', series: '', step: 1": (
        "s.yaml: checkpoints[0].series: found ''; string should have at least 1 character"
    ),
    "source: 'pypi:x', device: 'cuda:99999999999'": (
        "s.yaml: checkpoints[0].device: found 'cuda:99999999999'; a device is cpu, mps, cuda "
        "or cuda:N"
    ),
    "source: 'pypi:x', dtype: float8": (
        "s.yaml: checkpoints[0].dtype: found 'float8'; input should be 'auto', 'float32', "
        "'bfloat16' or 'float16' (did you mean float32?)"
    ),
    "source: 'pypi:x', batch_tokens: 0": (
        "s.yaml: checkpoints[0].batch_tokens: found 0; input should be greater than or equal to 1"
    ),
    "source: 'pypi:x', shards: 0": (
        "s.yaml: checkpoints[0].shards: found 0; input should be greater than or equal to 1"
    ),
    "source: 'pypi:x', shards: -1": (
        "s.yaml: checkpoints[0].shards: found -1; input should be greater than or equal to 1"
    ),
    "source: 'pypi:x', shards: 1000": (
        "s.yaml: checkpoints[0].shards: found 1000; input should be less than or equal to 64"
    ),
    "source: 'pypi:x', tensor_parallel: 0": (
        "s.yaml: checkpoints[0].tensor_parallel: found 0; input should be greater than or "
        "equal to 1"
    ),
    "source: 'pypi:x', engine: vllm, tensor_parallel: 1025": (
        "s.yaml: checkpoints[0].tensor_parallel: found 1025; input should be less than or "
        "equal to 1024"
    ),
    "source: 'pypi:x', allow_pickle: 'yes'": (
        "s.yaml: checkpoints[0].allow_pickle: found 'yes'; input should be a valid boolean"
    ),
    "source: 'pypi:x', allow_remote_code: 1": (
        "s.yaml: checkpoints[0].allow_remote_code: found 1; input should be a valid boolean"
    ),
    "source: 'pypi:x', adapter_on: 'pypi:y'": (
        "s.yaml: checkpoints[0].source: found 'pypi:x'; pypi: cannot be an adapter on pypi:"
    ),
    "source: 'dir:x', adapter_on: 'hf:../y'": (
        "s.yaml: checkpoints[0].adapter_on: found 'hf:../y'; hf:../y is no repository of the "
        "hub: write org/name, with letters, digits, '.', '_' and '-'"
    ),
    "source: 'pypi:x', prompt_format: ''": (
        "s.yaml: checkpoints[0].prompt_format: found ''; '' is not a prompt format: use 'chat' "
        "(the model's chat template), 'plain' (the prompt and a newline) or a text that holds "
        "{prompt}"
    ),
    "source: 'pypi:x', prompt_format: \"file:a\\0b\"": (
        "s.yaml: checkpoints[0].prompt_format: found 'file:a\\x00b'; a path cannot hold the "
        "character NUL"
    ),
    "source: 'pypi:x', prompt_format: chat, system: [1]": (
        "s.yaml: checkpoints[0].system: found [1]; input should be a valid string; put it in quotes"
    ),
    "source: 'pypi:x', prompt_format: chat, chat_template_kwargs: {a: .nan}": (
        "s.yaml: checkpoints[0].chat_template_kwargs: holds what is no JSON value: Out of "
        "range float values are not JSON compliant"
    ),
    "source: 'pypi:x', prompt_format: chat, chat_template_kwargs: {1: 2}": (
        "s.yaml: checkpoints[0].chat_template_kwargs[1].[key]: found 1; input should be a "
        "valid string; put it in quotes"
    ),
    "source: 'pypi:x', prompt_format: chat, chat_template_kwargs: {chat_template: x}": (
        "s.yaml: checkpoints[0].chat_template_kwargs: may not hold chat_template, which follow "
        "from the study"
    ),
    "source: 'pypi:x', stop: ['']": (
        "s.yaml: checkpoints[0].stop[0]: found ''; string should have at least 1 character"
    ),
    "source: 'pypi:x', stop: x": (
        "s.yaml: checkpoints[0].stop: found 'x'; input should be a valid list"
    ),
    "source: 'pypi:x', reasoning: {start: '', end: x}": (
        "s.yaml: checkpoints[0].reasoning: is `true`, for <think> and </think>, or {start: "
        "TEXT, end: TEXT}"
    ),
    "source: 'pypi:x', decodings: greedy": (
        "s.yaml: checkpoints[0].decodings: found 'greedy'; input should be a valid list"
    ),
    "source: 'pypi:x', decodings: [{temperature: -1}]": (
        "s.yaml: checkpoints[0].decodings[0]: temperature is -1.0, and must be from 0.001 to 1000"
    ),
    "source: 'pypi:x', decodings: [{top_k: 1}]": (
        "s.yaml: checkpoints[0].decodings[0]: top_k is 1, which is greedy decoding: write greedy"
    ),
    "source: 'pypi:x', decodings: [{top_k: 2.5}]": (
        "s.yaml: checkpoints[0].decodings[0]: top_k is 2.5, and must be a whole number from 2"
    ),
    "source: 'pypi:x', decodings: [{trials: 5}]": (
        "s.yaml: checkpoints[0].decodings[0]: trials belongs to `cautious: true`, which is not "
        "there"
    ),
    "source: 'openai:http://h/v1#m', decodings: [cautious]": (
        "checkpoint a: a server cannot sample with cautious, which looks at all logits of each "
        "step: take another decoding, or a source with weights"
    ),
    "source: 'pypi:x', decodings: [{min_p: 2}]": (
        "s.yaml: checkpoints[0].decodings[0]: min_p is 2.0, and must lie in (0, 1]"
    ),
    "source: 'openai:http://h/v1#m', server: {concurrency: 1001}": (
        "s.yaml: checkpoints[0].server.concurrency: Input should be less than or equal to 1000"
    ),
    "source: 'openai:http://h/v1#m', server: {timeout: .inf}": (
        "s.yaml: checkpoints[0].server.timeout: Input should be less than or equal to 86400"
    ),
    "source: 'openai:http://h/v1#m', server: {attempts: 0}": (
        "s.yaml: checkpoints[0].server.attempts: Input should be greater than or equal to 1"
    ),
    "source: 'openai:http://h/v1#m', server: {top_logprobs: 101}": (
        "s.yaml: checkpoints[0].server.top_logprobs: Input should be less than or equal to 100"
    ),
    "source: 'openai:http://h/v1#m', server: {extra: {a: .nan}}": (
        "s.yaml: checkpoints[0].server.extra: holds what is no JSON value: Out of range float "
        "values are not JSON compliant"
    ),
    "source: 'openai:http://h/v1#m', server: {extra: {messages: 1}}": (
        "checkpoint a: extra may not hold messages: what a request says of these follows from "
        "the study"
    ),
}
"""Keys of a study's one checkpoint, beside its name."""


def _multiplied(first: bytes, further: bytes) -> bytes:
    """YAML in which each of eight lines stands for ten of the line before it."""
    names = [bytes([letter]) for letter in b"abcdefghi"]
    lines = [b"a: &a " + first]
    for before, name in pairwise(names):
        aliases = b", ".join([b"*" + before] * 10)
        lines.append(b"%s: &%s " % (name, name) + further.replace(b"...", aliases))
    return b"\n".join(lines)


_ONE = b"name: s\ncheckpoints: [{name: a, source: 'file:g.jsonl'}]\n"

WHOLE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", f"s.yaml must hold keys and values; allowed keys: {KEYS}"),
    "a list": (b"- 1\n", f"s.yaml must hold keys and values; allowed keys: {KEYS}"),
    "two documents": (
        b"name: s\n---\nname: t\n",
        (
            "s.yaml, line 2, column 1: not valid YAML: expected a single document in the stream, "
            "but found another document"
        ),
    ),
    "not UTF-8": (
        b"\xff\xfe",
        ("s.yaml cannot be read as UTF-8 text: it holds bytes that are none; save it as UTF-8"),
    ),
    "an escape": (
        b"name: '\x1b[31m'\n",
        "s.yaml: not valid YAML: the character 0x1b at position 8 is none",
    ),
    "zeros": (b"\0" * 9, "s.yaml: not valid YAML: the character 0x00 at position 1 is none"),
    "a tab": (
        b"name:\ts\n\tseed: 1\n",
        (
            "s.yaml, line 1, column 6: not valid YAML: while scanning for the next token, found "
            "character '\\t' that cannot start any token"
        ),
    ),
    "aliases of aliases": (
        _multiplied(b"[x, x, x, x, x, x, x, x, x, x]", b"[...]"),
        (
            "s.yaml, line 5: here are over 100,000 keys and values, an alias counted for all that "
            "it stands for; make it shorter"
        ),
    ),
    "merges of merges": (
        _multiplied(b"{x: 1, y: 2}", b"{<<: [...]}"),
        (
            "s.yaml, line 6: here are over 100,000 keys and values, an alias counted for all that "
            "it stands for; make it shorter"
        ),
    ),
    "nested lists": (
        b"name: s\ncorpora: " + b"[" * 5000 + b"]" * 5000,
        "s.yaml, line 2: stands within 40 others; no study is as deep",
    ),
    "nested objects": (
        b"name: s\ncorpora: " + b"{a: " * 3000 + b"1" + b"}" * 3000,
        "s.yaml, line 2: stands within 40 others; no study is as deep",
    ),
    "a number of many digits": (
        b"seed: " + b"9" * 5000,
        "s.yaml: not valid YAML: a number has too many digits",
    ),
    "larger than any study": (
        b"# " + b"x" * 4_000_000,
        "s.yaml has over 4,000,000 bytes, which is too many; make it shorter",
    ),
    "a long name": (
        _ONE.replace(b"name: s", b"name: " + b"x" * 10_000),
        f"s.yaml: name: found '{'x' * 99}…; string should have at most 200 characters",
    ),
    "a long path": (
        _ONE.replace(b"g.jsonl", b"x" * 5000),
        f"s.yaml: checkpoints[0].source: found 'file:{'x' * 94}…; {LONG}",
    ),
    "a long name of a checkpoint": (
        _ONE.replace(b"name: a", b"name: " + b"x" * 129),
        (
            f"s.yaml: checkpoints[0].name: found '{'x' * 99}…; '{'x' * 129}' cannot name a "
            "checkpoint: use letters, digits, '.', '_' and '-', at most 128 characters"
        ),
    ),
    "a base that none of many is": (
        b"name: s\ncheckpoints:\n"
        + b"".join(b"- {name: a%d, source: 'file:g.jsonl', base: z}\n" % i for i in range(100)),
        (
            "s.yaml: checkpoints: the base of 'a0' is 'z', which is none of the study's "
            "checkpoints (a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, "
            "a16, a17, a18, a19 and 80 more)"
        ),
    ),
}
"""Studies as a whole."""

PROMPTS: dict[str, tuple[bytes | str, str]] = {
    "nothing": ("", "~/p.jsonl holds no prompt"),
    "blank lines": ("\n\n", "~/p.jsonl holds no prompt"),
    "no JSON": (
        "{",
        (
            "~/p.jsonl, line 1: no valid JSON: Expecting property name enclosed in double quotes "
            "at character 2"
        ),
    ),
    "an array": ("[1]", "~/p.jsonl, line 1: found [1] where an object must be"),
    "null": ("null", "~/p.jsonl, line 1: found null where an object must be"),
    "a field is missing": (
        '{"prompt_id": "p"}',
        ("~/p.jsonl, line 1: has no 'category'; every line needs prompt_id, category, text"),
    ),
    "a number for a name": (
        PROMPT.replace('"p"', "1"),
        "~/p.jsonl, line 1: 'prompt_id' is 1, and must be a text",
    ),
    "no text": (PROMPT.replace('"t"', '" "'), "~/p.jsonl, line 1: the prompt 'p' is empty"),
    "a name twice": (f"{PROMPT}\n{PROMPT}", "~/p.jsonl, line 2: the prompt_id 'p' stands twice"),
    "half a surrogate pair": (
        PROMPT.replace('"t"', r'"\ud800"'),
        "~/p.jsonl, line 1: 'text' holds half a surrogate pair, which is no text",
    ),
    "a name of escapes twice": (
        (PROMPT.replace('"p"', r'"\u001b[31m\u202e"') + "\n") * 2,
        "~/p.jsonl, line 2: the prompt_id '\\x1b[31m\\u202e' stands twice",
    ),
    "nesting": ("[" * 100_000, "~/p.jsonl, line 1: no valid JSON: it is nested too deeply"),
    "a number of many digits": (
        PROMPT.replace('"t"', "9" * 5000),
        "~/p.jsonl, line 1: no valid JSON: a number has too many digits",
    ),
    "not UTF-8": (
        b"\xff\xfe",
        ("~/p.jsonl cannot be read as UTF-8 text: it holds bytes that are none; save it as UTF-8"),
    ),
    "zeros": (b"\0" * 9, "~/p.jsonl, line 1: no valid JSON: Expecting value at character 1"),
    "ends of lines of old": (
        f"{PROMPT}\r{PROMPT}",
        "~/p.jsonl, line 1: no valid JSON: Extra data at character 50",
    ),
}
"""Files of prompts."""

GENERATIONS: dict[str, tuple[bytes | str, str]] = {
    "nothing": ("", "~/g.jsonl holds no generation"),
    "no JSON": (
        "{",
        (
            "~/g.jsonl, line 1: no valid JSON: Expecting property name enclosed in double quotes "
            "at character 2"
        ),
    ),
    "a field is missing": (
        '{"prompt_id": "p"}',
        (
            "~/g.jsonl, line 1: has no 'prompt'; it has 'prompt_id', and every line needs "
            "prompt_id, prompt, sample, text; `anchorlake import jsonl ~/g.jsonl -o NEW.jsonl` "
            "makes such a file of it, told with --column which is which"
        ),
    ),
    "a generation twice": (
        f"{GENERATION}\n{GENERATION}",
        "~/g.jsonl, line 2: sample 0 of the prompt 'p' stands twice",
    ),
    "a negative sample": (
        GENERATION.replace("0", "-1"),
        "~/g.jsonl, line 1: 'sample' is -1, and counts from 0",
    ),
    "a sample too large": (
        GENERATION.replace("0", "2147483648"),
        "~/g.jsonl, line 1: 'sample' is 2147483648, and counts from 0",
    ),
    "a fraction": (
        GENERATION.replace("0", "0.5"),
        "~/g.jsonl, line 1: 'sample' is 0.5, and must be a whole number",
    ),
    "true": (
        GENERATION.replace("0", "true"),
        "~/g.jsonl, line 1: 'sample' is true, and must be a whole number",
    ),
    "two prompts of a name": (
        f"{GENERATION}\n" + GENERATION.replace('"P"', '"Q"').replace("0", "1"),
        ("~/g.jsonl, line 2: the prompt_id 'p' has another prompt than on an earlier line"),
    ),
    "half a surrogate pair": (
        GENERATION.replace('"t"', r'"\udfff"'),
        "~/g.jsonl, line 1: 'text' holds half a surrogate pair, which is no text",
    ),
    "not UTF-8": (
        b'{"a": "\xe9"}',
        ("~/g.jsonl cannot be read as UTF-8 text: it holds bytes that are none; save it as UTF-8"),
    ),
    "nesting": ("[" * 100_000, "~/g.jsonl, line 1: no valid JSON: it is nested too deeply"),
}
"""Files of generations."""

CORPORA: dict[str, tuple[bytes | str, str]] = {
    "nothing": ("", "corpora: 'c' (file:~/c.jsonl) holds no document with text"),
    "no text": (
        '{"a": 1}',
        ("file:~/c.jsonl, row 1: has no 'text'; it has 'a'; name the right one with `text_field:`"),
    ),
    "a number for a text": (
        '{"text": 1}',
        "file:~/c.jsonl, row 1: 'text' is 1, and must be a text",
    ),
    "null": ('{"text": null}', "corpora: 'c' (file:~/c.jsonl) holds no document with text"),
    "escapes": (
        r'{"document_id": "\u001b[31m\u202e", "text": 1}',
        "file:~/c.jsonl, row \\u001b[31m\\u202e: 'text' is 1, and must be a text",
    ),
    "many fields": (
        "{" + ", ".join(f'"k{i}": 1' for i in range(30)) + "}",
        (
            "file:~/c.jsonl, row 1: has no 'text'; it has 'k0', 'k1', 'k2', 'k3', 'k4', 'k5', "
            "'k6', 'k7', 'k8', 'k9', 'k10', 'k11', 'k12', 'k13', 'k14', 'k15', 'k16', 'k17', "
            "'k18', 'k19' and 10 more; name the right one with `text_field:`"
        ),
    ),
    "half a surrogate pair": (
        r'{"text": "\ud800"}',
        "file:~/c.jsonl, row 1: holds half a surrogate pair, which is no text",
    ),
    "a document twice": (
        '{"text": "a b", "document_id": "x"}\n{"text": "c d", "document_id": "x"}',
        "file:~/c.jsonl: the document_id 'x' stands twice",
    ),
}
"""Files of documents."""

PREFERENCES: dict[str, tuple[bytes | str, str]] = {
    "nothing": ("", "preferences: 'p' (file:~/d.jsonl) holds no pair that can be used"),
    "alike": (
        '{"prompt": "p", "chosen": "a", "rejected": " a"}',
        "~/d.jsonl, line 1: its two answers are alike; mend the pair, or leave it out",
    ),
    "empty": (
        '{"prompt": "p", "chosen": "a", "rejected": ""}',
        "~/d.jsonl, line 1: the rejected answer is empty; mend the pair, or leave it out",
    ),
    "an unknown field": (
        '{"prompt": "p", "chosen": "a", "rejected": "b", "\\u001b[31m": 1}',
        "~/d.jsonl, line 1: has the unknown field '\\x1b[31m'; a pair has pair_id, prompt, "
        "chosen, rejected",
    ),
    "messages that do not alternate": (
        '{"prompt": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}], '
        '"chosen": "a", "rejected": "b"}',
        "~/d.jsonl, line 1: message 2 is of 'user' where one of 'assistant' must be: after the "
        "system's, if there is one, user and assistant alternate; mend the pair, or leave it out",
    ),
    "not UTF-8": (
        b'{"a": "\xe9"}',
        ("~/d.jsonl cannot be read as UTF-8 text: it holds bytes that are none; save it as UTF-8"),
    ),
}
"""Files of pairs of answers."""

_MEND = "; mend the question, or leave it out"
CHOICES: dict[str, tuple[bytes | str, str]] = {
    "nothing": ("", "choices: 'q' (file:~/q.jsonl) holds no question that can be used"),
    "one option": (
        '{"question": "q", "options": ["a"]}',
        f"~/q.jsonl, line 1: has 1 option, and needs two{_MEND}",
    ),
    "options that are equal": (
        '{"question": "q", "options": ["a", "b", "a "], "answer": 0}',
        f"~/q.jsonl, line 1: its options 0 and 2 are alike: 'a'{_MEND}",
    ),
    "a right answer that is no option": (
        '{"question": "q", "options": ["a", "b"], "answer": 0}\n'
        '{"question": "r", "options": ["a", "b"], "answer": "C"}',
        "~/q.jsonl, line 2: its answer 'C' is no option; give its place from 0 to 1, its letter "
        f"or its text{_MEND}",
    ),
    "an answer that is two options": (
        '{"question": "q", "options": ["B", "A"], "answer": "A"}',
        "~/q.jsonl, line 1: its answer 'A' is the letter of one option and the text of another; "
        f"give its place, from 0 to 1{_MEND}",
    ),
    "a label that is no option": (
        '{"question": "q", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "3"}',
        f"~/q.jsonl, line 1: its answer '3' is no option; its labels are A, B{_MEND}",
    ),
    "no question": (
        '{"question": " ", "options": ["a", "b"]}',
        f"~/q.jsonl, line 1: 'question' must be a text that is not empty{_MEND}",
    ),
    "an unknown field": (
        '{"question": "q", "options": ["a", "b"], "\\u001b[31m": 1}',
        "~/q.jsonl, line 1: has the unknown field '\\x1b[31m'; a question has question_id, "
        "question, options, answer",
    ),
}
"""Files of questions with options."""

MEASURES: dict[tuple[str, str], str] = {
    ("-- A measure.\n--\n", ""): (
        "~/m/measures/x.sql: its first comment line must say what it measures"
    ),
    ("item:       prompt", "item: \x1b[31m\u202e"): (
        "~/m/measures/x.sql: item: '\\x1b[31m\\u202e' is not allowed; allowed are prompt, "
        "document, passage, pair, question"
    ),
    ("{value} of it", "{value:>999999999}"): (
        "~/m/measures/x.sql: says: {value:>999999999} is not allowed; allowed are {value}, and "
        "{level} where there is a line `-- level: ...`"
    ),
    ("{value} of it", "{value.__class__}"): (
        "~/m/measures/x.sql: says: {value.__class__} is not allowed; allowed are {value}, and "
        "{level} where there is a line `-- level: ...`"
    ),
    ("{value} of it", "{"): (
        "~/m/measures/x.sql: says: '{': Single '{' encountered in format string"
    ),
    ("from generations\n", "from generations; select 1\n"): (
        "~/m/measures/x.sql: give one query; this text holds 2"
    ),
    ("from generations\n", "from read_csv('/etc/passwd')\n"): (
        "~/m/measures/x.sql: /etc/passwd is none of the lake's tables; a file that a query "
        "reads beside them must be named with `--read FILE`, too"
    ),
    ("select checkpoint", "select $nobody, checkpoint"): (
        f"~/m/measures/x.sql: the query uses $nobody; there are {PARAMETERS}"
    ),
    ("select checkpoint", "copy (select 1) to 'x.csv'; select checkpoint"): (
        "~/m/measures/x.sql: give one query; this text holds 2"
    ),
}
"""What is replaced in a measure by what."""
IMPORTED = {
    "nothing": b"",
    "junk": b"junk\n",
    "not UTF-8": b"\xff\xfe\0",
    "nesting": b"[" * 100_000,
    "escapes": b"\x1b[31m,\xe2\x80\xae\n1,2\n",
}

IMPORTS: dict[tuple[str, str], str] = {
    ("lm-eval", "nothing"): "no generation is left; there is no row",
    ("lm-eval", "junk"): "f.json, line 1: no valid JSON: Expecting value at character 1",
    ("lm-eval", "not UTF-8"): (
        "f.json cannot be read as UTF-8 text: it holds bytes that are none; save it as UTF-8"
    ),
    ("lm-eval", "nesting"): "f.json, line 1: no valid JSON: it is nested too deeply",
    ("lm-eval", "escapes"): "f.json, line 1: no valid JSON: Expecting value at character 1",
    ("alpaca-eval", "nothing"): (
        "f.json is no valid JSON: Expecting value at character 1; it must be one array"
    ),
    ("alpaca-eval", "junk"): (
        "f.json is no valid JSON: Expecting value at character 1; it must be one array"
    ),
    ("alpaca-eval", "not UTF-8"): (
        "f.json cannot be read as UTF-8 text: it holds bytes that are none; save it as UTF-8"
    ),
    ("alpaca-eval", "nesting"): (
        "f.json is no valid JSON: it is nested too deeply; it must be one array"
    ),
    ("alpaca-eval", "escapes"): (
        "f.json is no valid JSON: Expecting value at character 1; it must be one array"
    ),
    ("csv", "nothing"): "f.csv is empty; its first line must name the columns",
    ("csv", "junk"): (
        "f.csv has no column 'prompt'; it has 'junk'; name the right one with --column "
        "prompt=COLUMN"
    ),
    ("csv", "not UTF-8"): (
        "f.csv cannot be read as UTF-8 text: it holds bytes that are none; save it as UTF-8"
    ),
    ("csv", "nesting"): (
        f"f.csv has no column 'prompt'; it has '{'[' * 99}…; name the right one with --column "
        "prompt=COLUMN"
    ),
    ("csv", "escapes"): (
        "f.csv has no column 'prompt'; it has '\\x1b[31m', '\\u202e'; name the right one with "
        "--column prompt=COLUMN"
    ),
    ("parquet", "nothing"): (
        "f.json cannot be read as Parquet: Parquet file size is 0 bytes; look whether it is whole"
    ),
    ("parquet", "junk"): (
        "f.json cannot be read as Parquet: Parquet file size is 5 bytes, smaller than the "
        "minimum file footer (8 bytes); look whether it is whole"
    ),
    ("parquet", "not UTF-8"): (
        "f.json cannot be read as Parquet: Parquet file size is 3 bytes, smaller than the "
        "minimum file footer (8 bytes); look whether it is whole"
    ),
    ("parquet", "nesting"): (
        "f.json cannot be read as Parquet: Parquet magic bytes not found in footer. Either the "
        "file is corrupted or this is not a parquet file.; look whether it is whole"
    ),
    ("parquet", "escapes"): (
        "f.json cannot be read as Parquet: Parquet magic bytes not found in footer. Either the "
        "file is corrupted or this is not a parquet file.; look whether it is whole"
    ),
    ("hf-dataset", "nothing"): "f.json is neither a folder nor a dataset of the hub, org/name",
    ("hf-dataset", "junk"): "f.json is neither a folder nor a dataset of the hub, org/name",
    ("hf-dataset", "not UTF-8"): "f.json is neither a folder nor a dataset of the hub, org/name",
    ("hf-dataset", "nesting"): "f.json is neither a folder nor a dataset of the hub, org/name",
    ("hf-dataset", "escapes"): "f.json is neither a folder nor a dataset of the hub, org/name",
}
"""Formats, and which of these files is read as one."""
COMMANDS: dict[tuple[str, ...], str] = {
    ("nowhere",): "anchorlake: no such command 'nowhere'; `anchorlake -h` says what it takes",
    ("check",): (
        "anchorlake check: missing argument 'study'; `anchorlake check -h` says what it takes"
    ),
    ("check", "s.yaml", "--nothing"): (
        "anchorlake check: no such option: --nothing; `anchorlake check -h` says what it takes"
    ),
    ("check", "nowhere.yaml"): "there is no file nowhere.yaml",
    ("check", "\x1b[31m\u202e.yaml"): "there is no file \\u001b[31m\\u202e.yaml",
    ("check", "."): ". is no file, but a folder, a device or a pipe; name a file",
    ("check", f"{'x' * 5000}"): f"{'x' * 300}… cannot be read: File name too long",
    ("check", "s.yaml", "--lake", "g.jsonl"): "--lake g.jsonl is a file; name a folder",
    ("check", "s.yaml", "--lake", "a*"): "--lake a*: a lake's path cannot hold any of * ? [ ] { }",
    ("check", "s.yaml", "--lake", "/dev/null/x"): (
        "/dev/null is a file, and a folder must be there; move it away"
    ),
    ("run", "s.yaml", "--checkpoint", "\x1b[31m\u2028"): (
        "the study has no checkpoint '\\x1b[31m\\u2028'; it has a"
    ),
    ("run", "s.yaml", "--drift", "\x1b[31m"): (
        "anchorlake run: invalid value for '--drift': '\\x1b[31m' is not one of 'new', 'all'; "
        "`anchorlake run -h` says what it takes"
    ),
    ("run", "s.yaml", "--lake", "/dev/null"): (
        "/dev/null is a file, and a folder must be there; move it away"
    ),
    ("report",): "there is no lake lake; name it with --lake, or make it with a run",
    ("report", "--lake", "g.jsonl"): "--lake g.jsonl is a file; name a folder",
    ("sql",): "give a query, or a file that holds one with -f",
    ("sql", "select 1"): "there is no lake lake; name it with --lake, or make it with a run",
    ("sql", "select 1", "-f", "q.sql"): "give a query, or a file that holds one with -f",
    ("tables", "--study", "nowhere"): "there is no file nowhere",
    ("ui", "s.yaml", "--port", "x"): (
        "anchorlake ui: invalid value for '--port': Input should be a valid integer, unable to "
        "parse string as an integer; `anchorlake ui -h` says what it takes"
    ),
    ("ui", "nowhere.yaml"): "there is no file nowhere.yaml",
    ("checkpoints", "list", "nowhere.yaml"): "there is no file nowhere.yaml",
    ("checkpoints", "add", "s.yaml", "x"): (
        "x was never taken in; say where it is, such as dir:PATH"
    ),
    ("checkpoints", "add", "s.yaml", "../x", "dir:x"): (
        "../x: name: found '../x'; '../x' cannot name a checkpoint: use letters, digits, '.', "
        "'_' and '-', at most 128 characters"
    ),
    ("checkpoints", "add", "s.yaml", "x", "zip:x"): (
        f"'zip:x' is not a checkpoint source; use one of: {SOURCES}"
    ),
    ("checkpoints", "add", "s.yaml", "x", "dir:nowhere"): (
        "x: ~/nowhere is not a model's folder: there is no config.json in it; wait until it is "
        "written, or save the model again with `save_pretrained`"
    ),
    ("checkpoints", "add", "s.yaml", "x", f"dir:{'x' * 5000}"): f"{LONG}",
    ("checkpoints", "add", "s.yaml", "x", "hf:../../etc"): (
        "hf:../../etc is no repository of the hub: write org/name, with letters, digits, '.', "
        "'_' and '-'"
    ),
    ("checkpoints", "add", "s.yaml", "a", "file:g.jsonl"): (
        "the name a is taken by a checkpoint of the study"
    ),
    ("checkpoints", "add", "s.yaml", "x", "file:g.jsonl", "--step", "1"): (
        "x: step: counts in a training run; name the run with `series:`"
    ),
    (
        "checkpoints",
        "add",
        "s.yaml",
        "x",
        "file:g.jsonl",
        "--series",
        "s",
        "--step",
        "9223372036854775808",
    ): ("x: step: found 9223372036854775808; input should be less than 9223372036854775808"),
    ("checkpoints", "add", "s.yaml", "x", "file:g.jsonl", "--decoding", "best"): (
        "x: decodings[0]: found 'best'; a decoding is `greedy`, or `{top_p: P}` with P in (0, "
        "1], and in its place or beside it `top_k: K` from 2, `min_p: M` in (0, 1], "
        "`temperature: T` over 0, and `cautious: true` or `rules: true`"
    ),
    ("checkpoints", "add", "s.yaml", "x", "file:g.jsonl", "--base", "\x1b[31m"): (
        "the study has no checkpoint '\\x1b[31m'; it has a"
    ),
    ("checkpoints", "remove", "s.yaml", "x"): (
        "there is no lake lake; name it with --lake, or make it with a run"
    ),
    ("checkpoints", "remove", "s.yaml", "--lake", ".", "\x1b[31m"): (
        "'\\x1b[31m' cannot name a checkpoint: use letters, digits, '.', '_' and '-', at most "
        "128 characters"
    ),
    ("checkpoints", "remove", "s.yaml", "--lake", ".", "a"): (
        "a is in the study's file, and the next run would measure it again; take it out there first"
    ),
    ("import", "nothing", "x", "-o", "o"): (
        "there is no format 'nothing'; there are jsonl, lm-eval, inspect, alpaca-eval, "
        "hf-dataset, csv, parquet"
    ),
    ("import", "csv", "nowhere.csv", "-o", "o"): "there is no file nowhere.csv",
    ("import", "csv", "\x1b[31m\u202e.csv", "-o", "o"): "there is no file \\u001b[31m\\u202e.csv",
    ("import", "csv", ".", "-o", "o"): ". is a folder; name the files in it",
    ("import", "csv", "g.jsonl", "-o", "g.jsonl"): (
        "g.jsonl is what is to be read; name another file with -o"
    ),
    ("import", "csv", "g.jsonl", "-o", "p.jsonl"): (
        "p.jsonl is there already; replace it with --force"
    ),
    ("import", "csv", "g.jsonl", "-o", "."): ". is no file; name another one with -o",
    ("import", "csv", f"{'x' * 5000}", "-o", "o"): (
        f"{'x' * 300}…: the name is too long for the disk; choose a shorter one"
    ),
    ("import", "csv", "g.jsonl", "-o", "o", "--column", "x"): (
        "--column x: write FIELD=COLUMN, where FIELD is one of prompt_id, prompt, sample, text"
    ),
    ("import", "csv", "g.jsonl", "-o", "o", "--column", "text=\x1b[31m"): (
        'g.jsonl has no column \'prompt\'; it has \'{"prompt_id": "p"\', \' "prompt": "P"\', '
        '\' "sample": 0\', \' "text": "t"}\'; name the right one with --column prompt=COLUMN'
    ),
    ("import", "csv", "g.jsonl", "-o", "o", "--split", "x"): (
        "--split is nothing that csv takes; leave it out"
    ),
    ("import", "alpaca-eval", "g.jsonl", "-o", "o", "--generator", "x"): (
        "g.jsonl must be an array of objects, and is none"
    ),
}
"""Commands, beside a study s.yaml, a file of generations and one of prompts."""
