from __future__ import annotations

from pathlib import Path

import pytest

from assets.study.errors import InputError
from assets.study.measured import Measured
from assets.study.study import load_study
from models import Decoding, Ending, PromptFormat, Reasoning

STUDIES = Path(__file__).parents[3] / "studies"
ONE = "name: s\ncheckpoints:\n  - {name: a, source: 'pypi:x'}\n"
DOCS = ONE + "corpora: [{name: docs, source: 'pydoc:topics', documents: 3}]\n"


def load(tmp_path: Path, text: str):  # type: ignore[no-untyped-def]
    path = tmp_path / "study.yaml"
    path.write_text(text)
    return load_study(path)


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_studies_that_ship_are_valid(path: Path) -> None:
    assert load_study(path).name == path.stem.removesuffix("-full")  # the same, larger


def test_what_may_be_left_out(tmp_path: Path) -> None:
    study = load(tmp_path, ONE)
    assert study.samples_per_prompt == 100
    assert study.max_new_tokens == 512
    assert study.prompts.is_file()
    assert study.decodings(study.checkpoint("a")) == (Decoding(top_p=0.7),)


def test_a_checkpoint_with_a_base_is_aligned_and_prompted_by_its_chat_template(
    tmp_path: Path,
) -> None:
    study = load(tmp_path, ONE + "  - {name: b, source: 'pypi:y', base: a}\n")
    aligned = study.checkpoint("b")
    assert aligned.role == "aligned"
    assert aligned.format_of_prompts.parameters == "chat"
    assert study.decodings(aligned) == (Decoding(top_p=0.9),)
    assert study.checkpoint("a").format_of_prompts.parameters == "plain"


def test_a_chat_may_begin_with_a_system_message_and_switches(tmp_path: Path) -> None:
    keys = "prompt_format: chat, system: Be brief., chat_template_kwargs: {enable_thinking: false}"
    study = load(tmp_path, with_checkpoint(f"name: a, source: 'pypi:x', {keys}"))
    expected = PromptFormat.chat(system="Be brief.", switches={"enable_thinking": False})
    assert study.checkpoint("a").format_of_prompts == expected


def test_a_prompt_format_may_be_a_file(tmp_path: Path) -> None:
    text = with_checkpoint("name: a, source: 'pypi:x', prompt_format: 'file:shots.txt'")
    checkpoint = load(tmp_path, text).checkpoint("a")
    with pytest.raises(InputError, match=r"prompt_format: there is no file .*shots.txt"):
        _ = checkpoint.format_of_prompts
    (tmp_path / "shots.txt").write_text("Q: one\nA: two\n\nQ: {prompt}\nA:")
    assert checkpoint.format_of_prompts.text("why") == "Q: one\nA: two\n\nQ: why\nA:"
    (tmp_path / "shots.txt").write_text("nothing to fill in")
    with pytest.raises(InputError, match=r"must hold \{prompt\}"):
        _ = checkpoint.format_of_prompts


def test_what_an_answer_is_cut_from(tmp_path: Path) -> None:
    text = with_checkpoint("name: a, source: 'pypi:x', stop: ['# Query:'], reasoning: true")
    assert load(tmp_path, text).checkpoint("a").ending == Ending(
        ("# Query:",), Reasoning("<think>", "</think>")
    )


def test_a_server_is_asked_by_its_own_engine(tmp_path: Path) -> None:
    text = with_checkpoint(
        "name: a, source: 'openai:http://h:1/v1#org/m', server: {concurrency: 2}"
    )
    checkpoint = load(tmp_path, text).checkpoint("a")
    assert checkpoint.engine_name == "openai"
    assert checkpoint.source.location == "http://h:1/v1#org/m"
    assert checkpoint.access.concurrency == 2
    assert checkpoint.abilities == {"sample", "logprobs"}


def test_paths_start_at_the_study_file(tmp_path: Path) -> None:
    study = load(tmp_path, ONE.replace("pypi:x", "file:made/here.jsonl") + "prompts: p.jsonl\n")
    assert study.prompts == tmp_path / "p.jsonl"
    assert study.checkpoint("a").source.location == str(tmp_path / "made" / "here.jsonl")


def test_decodings_are_named_by_what_they_are(tmp_path: Path) -> None:
    decodings = (
        "decodings: [{top_p: 0.9}, greedy, {top_p: 1, temperature: 0.7}, {temperature: 2}, "
        "{min_p: 0.1, top_p: 0.9, top_k: 50}, 'temperature=2,top_k=50', cautious, 'rules,greedy', "
        "{cautious: true, trials: 5, high: 2, top_p: 0.9}, "
        "{rules: true, end: 0, words: {' I': -5}}]"
    )
    study = load(tmp_path, ONE.replace("'pypi:x'", f"'pypi:x', {decodings}"))
    names = [decoding.name for decoding in study.checkpoint("a").decodings]
    assert names == [
        "top_p=0.9",
        "greedy",
        "top_p=1.0,temperature=0.7",
        "top_p=1.0,temperature=2.0",
        "top_k=50,top_p=0.9,min_p=0.1",
        "top_k=50,temperature=2.0",
        "cautious",
        "rules,greedy",
        "cautious,trials=5,high=2.0,top_p=0.9",
        "rules,end=0.0,words=858cc89b",
    ]
    written = study.checkpoint("a").model_dump()["decodings"]
    assert written[:-1] == tuple(names[:-1])  # the names say it all, but for words
    again = [Measured(decodings=[value]).decodings[0] for value in written]
    assert again == [*study.checkpoint("a").decodings]


def with_checkpoint(keys: str) -> str:
    return f"name: s\ncheckpoints:\n  - {{{keys}}}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["must hold keys", "checkpoints"]),
        ("- 1", ["must hold keys"]),
        ("a: [", ["not valid YAML"]),
        ("name: s", ["checkpoints: is missing"]),
        ("name: s\ncheckpoints: []", ["checkpoints", "at least 1"]),
        (ONE + "name: t", ["line 4", "'name' stands twice"]),
        (ONE + "seeds: 1", ["seeds: is no key (did you mean seed?)", "seed"]),
        (ONE + "seed: x", ["seed", "'x'", "integer"]),
        (ONE + "seed: 99999999999999999999999", ["seed"]),
        (ONE + "samples_per_prompt: 1000000000000", ["samples_per_prompt"]),
        (with_checkpoint("name: a, source: 'pypi:x', device: tpu"), ["'tpu'", "cuda"]),
        (with_checkpoint("name: a, source: 'dir:~nobody-here/x'"), ["~nobody-here", "home folder"]),
        (ONE + "corpora: none", ["corpora", "list"]),
        (ONE + "corpora: [{name: c, source: 'zip:x'}]", ["corpora[0].source", "'zip:x'", "hf:"]),
        (ONE + "corpora: [{name: c, source: 'hf:o/n'}]", ["corpora[0]", "documents: N"]),
        (ONE + "corpora: [{name: c, source: 'pydoc:topics', text_field: []}]", ["text_field"]),
        (ONE + "corpora: [{name: a, source: 'pydoc:topics'}]", ["'a' names a corpus", "rename"]),
        (ONE + "corpora: [{name: c, source: 'pydoc:topics', max_word: 3}]", ["max_words"]),
        (ONE + "prefixes: {documents: 3}", ["prefixes", "the study has none"]),
        (ONE + "prefixes: {words: 3}", ["prefixes.documents: is missing"]),
        (ONE + "shannon_game: {source: corpora, passages: 3}", ["shannon_game", "there are none"]),
        (ONE + "shannon_game: {source: words}", ["shannon_game.source", "or corpora"]),
        (ONE + "shannon_game: {source: 'hf:o/n'}", ["shannon_game", "passages: N"]),
        (ONE + "probes: 3", ["probes", "keys and values"]),
        (ONE + "probes: {prompt_sets: [c4]}", ["probes.prompt_sets", "'c4'", "demo"]),
        (ONE + "probes: {horizons: []}", ["probes.horizons", "at least 1"]),
        (ONE + "probes: {horizons: [1, 1]}", ["probes.horizons", "twice"]),
        (ONE + "probes: {horizons: [512]}", ["probes.horizons", "max_new_tokens: 512"]),
        (ONE + "probes: {depth: 1.5}", ["probes.depth", "1.5"]),
        (ONE + "probes: {depth: true}", ["probes.depth", "True"]),
        (ONE + "probes: {probe: linear}", ["probes.probe", "'output_layer'"]),
        (ONE + "readaptation: {steps: 3}", ["readaptation", "the study has none"]),
        (DOCS + "readaptation: {corpora: [d]}", ["readaptation.corpora", "'d'", "docs"]),
        (DOCS + "readaptation: {documents: 9}", ["readaptation.documents", "9", "10"]),
        (DOCS + "readaptation: {learning_rate: .inf}", ["readaptation.learning_rate", "inf"]),
        (DOCS + "readaptation: {learning_rate: true}", ["readaptation.learning_rate", "True"]),
        (DOCS + "readaptation: {rank: 8}", ["rank", "method: lora"]),
        (DOCS + "readaptation: {step: 8}", ["readaptation.step", "steps"]),
        (
            ONE + "corpora: [{name: c, source: 'pydoc:topics', train_split: train}]",
            ["corpora[0]", "train_split", "documents:"],
        ),
        (with_checkpoint("name: own, source: 'pypi:x'"), ["'own'", "rename it"]),
        (ONE + "samples_per_prompt: 0", ["samples_per_prompt", "0"]),
        (ONE + "max_new_tokens: 1.5", ["max_new_tokens", "1.5"]),
        (ONE + "aligner: clustal", ["aligner", "'clustal'", "'mafft'"]),
        (ONE + "answer_classifier: dir:c", ["needs an embedder, too; add `embedder: default`"]),
        (ONE + "answer_classifier: pypi:c", ["answer_classifier", "hf:org/name or dir:PATH"]),
        (ONE + "diversity_sweep: {top_p: [0.5, 1.5]}", ["diversity_sweep.top_p[1]", "1.5"]),
        (ONE + "diversity_sweep: {top_p: [0]}", ["diversity_sweep.top_p[0]", "greater than 0"]),
        (ONE + "diversity_sweep: {top_q: [1]}", ["diversity_sweep.top_q", "top_p, prompts"]),
        (ONE + "  - {name: a, source: 'pypi:y'}", ["two of the name 'a'"]),
        (ONE + "  - {name: b, source: 'pypi:y', base: c}", ["base of 'b' is 'c'", "(a, b)"]),
        (ONE + "  - {name: b, source: 'pypi:y', base: b}", ["its own base"]),
        (
            with_checkpoint("name: a/b, source: 'pypi:x'"),
            ["checkpoints[0].name", "'a/b'", "letters"],
        ),
        (with_checkpoint("name: 7, source: 'pypi:x'"), ["checkpoints[0].name", "7"]),
        (with_checkpoint("name: a, source: 'zip:x'"), ["checkpoints[0].source", "zip:x", "pypi:"]),
        (with_checkpoint("name: a, source: nothing"), ["checkpoints[0].source", "nothing"]),
        (with_checkpoint("name: a"), ["checkpoints[0].source: is missing"]),
        (with_checkpoint("name: a, source: 'pypi:x', rol: base"), ["checkpoints[0].rol", "role"]),
        (with_checkpoint("name: a, source: 'pypi:x', role: chat"), ["'chat'", "'aligned'"]),
        (with_checkpoint("name: a, source: 'pypi:x', role: algined"), ["(did you mean aligned?)"]),
        (ONE + "  - {name: sft, source: 'pypi:y', base: sfft}", ["(did you mean sft?)"]),
        (ONE + "ladders: [{name: l, checkpoints: [a, aa]}]", ["(did you mean a?)"]),
        (with_checkpoint("name: a, source: 'pypi:x', dtype: int8"), ["'int8'", "'bfloat16'"]),
        (with_checkpoint("name: a, source: 'pypi:x', engine: tpu"), ["'tpu'", "'vllm'"]),
        (with_checkpoint("name: a, source: 'pypi:x', engine: hf"), ["'hf'", "'transformers'"]),
        (with_checkpoint("name: a, source: 'pypi:x', engine: openai"), ["openai:URL#MODEL"]),
        (with_checkpoint("name: a, source: 'openai:http://h/v1#m', engine: vllm"), ["openai"]),
        (with_checkpoint("name: a, source: 'openai:http://h/v1'"), ["openai:URL#MODEL"]),
        (with_checkpoint("name: a, source: 'openai:h/v1#m'"), ["https://host/v1"]),
        *(
            (with_checkpoint(f"name: a, source: 'openai:{url}'"), ["checkpoints[0].source"])
            for url in (
                "https://user:sk-1@h/v1#m",
                "https://user:sk-1@h/v1",
                "https://h/v1?key=sk-1#m",
                "user:sk-1@h/v1#m",
            )
        ),
        *(
            (with_checkpoint(f"name: a, source: 'openai:http://h#m', server: {wrong}"), ["server"])
            for wrong in ("sk-1", "[sk-1]", "{concurrency: sk-1}", "{api_key: sk-1}")
        ),
        (ONE + "watch: [{dir: x/*, series: s, engine: openai}]", ["weights are found here"]),
        (ONE + "watch: [{dir: x/*, series: s, role: human}]", ["weights are found here"]),
        (with_checkpoint("name: a, source: 'file:x', engine: vllm"), ["generated already"]),
        (with_checkpoint("name: a, source: 'pypi:x', batch_tokens: 0"), ["batch_tokens", "0"]),
        (with_checkpoint("name: a, source: 'pypi:x', tensor_parallel: 2"), ["engine: vllm"]),
        (with_checkpoint("name: a, source: 'pypi:x', shards: 65"), ["shards", "65", "equal to 64"]),
        (
            with_checkpoint("name: a, source: 'openai:http://h/v1#m', shards: 2"),
            ["shards", "openai: does not give"],
        ),
        (with_checkpoint("name: a, source: 'file:x', shards: 2"), ["shards", "leave it out"]),
        (with_checkpoint("name: a, source: 'pypi:x', system: Hi"), ["prompt_format: chat"]),
        (
            with_checkpoint("name: a, source: 'pypi:x', chat_template_kwargs: {a: 1}"),
            ["prompt_format: chat"],
        ),
        (with_checkpoint("name: a, source: 'pypi:x', stop: ['']"), ["stop[0]"]),
        (with_checkpoint("name: a, source: 'pypi:x', reasoning: yes please"), ["{start: TEXT"]),
        (with_checkpoint("name: a, source: 'pypi:x', reasoning: {open: <}"), ["{start: TEXT"]),
        (with_checkpoint("name: a, source: 'pypi:x', tokenizer: 'pypi:y'"), ["openai: or file:"]),
        (with_checkpoint("name: a, source: 'file:x', tokenizer: 'file:y'"), ["hf:org/name"]),
        (with_checkpoint("name: a, source: 'pypi:x', server: {}"), ["openai:URL#MODEL"]),
        (
            with_checkpoint("name: a, source: 'openai:http://h/v1#m', server: {api_key: s}"),
            ["server.api_key", "api_key_env"],
        ),
        (
            with_checkpoint("name: a, source: 'openai:http://h/v1#m', server: {api_key_env: sk-b}"),
            ["server.api_key_env", "the name of an environment variable"],
        ),
        (with_checkpoint("name: a, source: 'pypi:x', role: human"), ["no model writes them"]),
        (with_checkpoint("name: a, source: 'pypi:x', prompt_format: Q"), ["'Q'", "{prompt}"]),
        *(
            (with_checkpoint(f"name: a, source: 'pypi:x', decodings: [{bad}]"), ["decodings[0]"])
            for bad in (
                "{top_p: 0}",
                "{top_p: 1.5}",
                "{top_p: -0.1}",
                "{top_p: high}",
                "{temperature: 0}",
                "{temperature: 1.0e-300}",
                "{top_k: 1}",
                "{min_p: 1.5}",
                "{trials: 5}",
                "{cautious: 5}",
                "{cautious: true, trials: 1}",
                "{cautious: true, rules: true}",
                "{cautious: true, end: 1}",
                "'cautious,greedy'",
                "{rules: true, end: fast}",
                "{rules: true, words: [I]}",
                "{rules: true, words: {I: low}}",
                "'rules,words=858cc89b'",
                "{}",
                "beam",
                "0.9",
                "{top_p: true}",
                "{top_p: .nan}",
            )
        ),
        (
            with_checkpoint("name: a, source: 'pypi:x', decodings: [{top_p: 0.5}, {top_p: 0.50}]"),
            ["decodings has a name twice"],
        ),
        (
            with_checkpoint("name: a, source: 'file:x', decodings: [{top_p: 0.5}, greedy]"),
            ["generated with one"],
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_what_is_allowed(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert "study.yaml" in message
    for word in words:
        assert word in message, message
    assert "sk-" not in message
    assert "pydantic" not in message


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, with_checkpoint("name: a b, source: 'zip:x'") + "seed: x\n")
    assert len(str(caught.value).splitlines()) == 3


def test_merge_keys_work_as_yaml_has_them(tmp_path: Path) -> None:
    text = (
        "name: s\ncheckpoints:\n  - &one {name: a, source: 'pypi:x', dtype: float32}\n"
        "  - {<<: *one, name: b}\n"
    )
    study = load(tmp_path, text)
    assert [(c.name, c.dtype) for c in study.checkpoints] == [("a", "float32"), ("b", "float32")]


def test_a_study_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        load_study(tmp_path / "none.yaml")
