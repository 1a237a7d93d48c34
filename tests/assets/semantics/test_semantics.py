"""The tables of `assets/semantics`, and the measures that are counted from them and from scores."""

from __future__ import annotations

import itertools
import json
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.semantics import embeddings
from models import Source
from models.pair_classifier import load_pair_classifier
from tests.assets.measures.lakes import limited_to, rows_of
from tests.encoders import count_words, counted, save_classifier
from tests.studies import Bench, write_jsonl
from tests.warehouse.texts import sentences_of
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.encoders import WordCounter

pytestmark = pytest.mark.whole

MEASURES = (
    *("answers_found", "checkpoint_similarity", "coverage_at_k", "distinct_answers"),
    *("diversity_loss", "largest_answer", "mean_score", "prompt_similarity"),
    *("semantic_diversity", "vendi_score"),
)
N, PROMPTS = 8, ("p", "q", "r")
_SAYINGS = [
    *("The tide is out.", "The tide is out again.", "A fox ran by.", "A fox ran by the sea."),
    *("Nobody came.", "So it goes.", "Who knows?"),
]
STUDY: dict[str, Any] = {
    "checkpoints": [
        {"name": "base", "source": "file:base.jsonl"},
        {"name": "aligned", "source": "file:aligned.jsonl", "base": "base"},
    ],
    "embedder": "dir:encoder",
    "scores": {"file": "scores.jsonl", "right": {"judge": 0.5}},
    "thresholds": {"same_answer": 0.7, "same_sentence": 0.7, "draws": [1, 2, 3, 5]},
}


def written() -> dict[str, list[dict[str, Any]]]:
    """The generations of both checkpoints; the aligned one chooses among fewer sayings."""
    source = random.Random(5)
    return {
        name: [
            {"prompt_id": prompt, "prompt": f"{prompt}?", "sample": i}
            | {"text": " ".join(source.sample(_SAYINGS[:most], source.randint(1, 3)))}
            for prompt in PROMPTS
            for i in range(N)
        ]
        for name, most in (("base", len(_SAYINGS)), ("aligned", 4))
    }


def scored() -> list[dict[str, Any]]:
    """What a judge and a length make of most generations; only the first says what is right."""
    source = random.Random(6)
    return [
        {"checkpoint": checkpoint, "prompt_id": row["prompt_id"], "sample": row["sample"]}
        | {"name": name, "value": value}
        for checkpoint, rows in written().items()
        for row in rows
        if row["sample"] != 3
        for name, value in (("judge", source.random()), ("length", len(row["text"])))
    ]


def lay_out(bench: Bench) -> None:
    for name, rows in written().items():
        write_jsonl(bench.folder / f"{name}.jsonl", rows)
    write_jsonl(bench.folder / "scores.jsonl", scored())


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, llama_source: Source
) -> Iterator[tuple[Bench, WordCounter]]:
    """A lake of both checkpoints; not to be written to."""
    bench = Bench(tmp_path_factory.mktemp("made"), llama_source)
    lay_out(bench)
    with pytest.MonkeyPatch.context() as patch, limited_to(*MEASURES):
        counter = count_words(patch)
        bench.run(bench.study(**STUDY), only=("measures", "semantics"))
        yield bench, counter


def rows(made: tuple[Bench, WordCounter], table: str) -> list[dict[str, Any]]:
    return rows_of(made[0].folder / "lake" / table)


def values(made: tuple[Bench, WordCounter], measure: str) -> dict[tuple[Any, ...], float]:
    return {
        (r["checkpoint"], r["condition"], r["level"], r["item"]): r["numerator"] / r["denominator"]
        for r in rows(made, f"measures/measure={measure}")
    }


def texts(checkpoint: str, prompt: str) -> list[str]:
    return [row["text"] for row in written()[checkpoint] if row["prompt_id"] == prompt]


def vectors(some: list[str]) -> np.ndarray:
    """As they are stored, in 16 bits, and brought to length 1 again."""
    stored = np.array([counted(text) for text in some]).astype(np.float16).astype(float)
    unit: np.ndarray = stored / np.linalg.norm(stored, axis=1, keepdims=True)
    return unit


def right(checkpoint: str, prompt: str) -> list[int]:
    return [
        row["sample"]
        for row in scored()
        if (row["checkpoint"], row["prompt_id"], row["name"]) == (checkpoint, prompt, "judge")
        and row["value"] >= 0.5
    ]


def diversity(some: np.ndarray) -> float:
    return float(1 - np.mean([a @ b for a, b in itertools.combinations(some, 2)]))


BOTH = list(itertools.product(written(), PROMPTS))


def test_each_different_text_is_embedded_once(made: tuple[Bench, WordCounter]) -> None:
    expected = {
        name: {t for row in w for t in (row["text"], *sentences_of(row["text"]))}
        for name, w in written().items()
    }
    found = rows(made, "embeddings")
    for name in written():
        own = [row["text"] for row in found if row["checkpoint"] == name]
        assert sorted(own) == sorted(expected[name])
    assert len(made[1].embedded) == sum(map(len, expected.values()))
    path = made[0].folder / "lake/embeddings/checkpoint=base/data.parquet"
    assert pq.read_schema(path).field("embedding").type == pa.list_(pa.float16())


def test_semantic_diversity_and_vendi_are_those_of_plain_numpy(
    made: tuple[Bench, WordCounter],
) -> None:
    distances, vendi = values(made, "semantic_diversity"), values(made, "vendi_score")
    n_right = 0
    for name, prompt in BOTH:
        of_all = vectors(texts(name, prompt))
        chosen = right(name, prompt)
        for condition, some in (("-", of_all), ("right by judge", of_all[chosen])):
            key = name, condition, 0, prompt
            n_right += condition != "-"
            spectrum = np.linalg.eigvalsh(some @ some.T / len(some))
            spectrum = spectrum[spectrum > 1e-12]
            assert vendi[key] == pytest.approx(np.exp(-spectrum @ np.log(spectrum)), abs=1e-5)
            if len(some) > 1:
                assert distances[key] == pytest.approx(diversity(some), abs=1e-5)
            else:
                assert key not in distances
    assert n_right == len(vendi) / 2


def test_answers_are_found_by_a_loop_and_rarefied_by_enumeration(
    made: tuple[Bench, WordCounter],
) -> None:
    number, largest = values(made, "distinct_answers"), values(made, "largest_answer")
    found = values(made, "answers_found")
    stored = {
        (r["checkpoint"], r["prompt_id"], r["sample"]): r["answer"] for r in rows(made, "answers")
    }
    for name, prompt in BOTH:
        own = vectors(texts(name, prompt))
        answers: list[int] = []
        for i in range(N):
            alike = [j for j in dict.fromkeys(answers) if own[j] @ own[i] >= 0.7]
            answers.append(alike[0] if alike else i)
        assert [stored[name, prompt, i] for i in range(N)] == answers
        assert number[name, "-", 0, prompt] == len(set(answers))
        assert largest[name, "-", 0, prompt] == max(map(answers.count, answers)) / N
        for k in (1, 2, 3, 5):
            choices = [len(set(some)) for some in itertools.combinations(answers, k)]
            assert found[name, "-", k, prompt] == pytest.approx(np.mean(choices))


def test_coverage_is_the_share_of_choices_that_hold_a_right_generation(
    made: tuple[Bench, WordCounter],
) -> None:
    found = values(made, "coverage_at_k")
    for name, prompt in BOTH:
        chosen = right(name, prompt)
        samples = [i for i in range(N) if i != 3]
        for k in (1, 2, 3, 5):
            hits = [bool({*some} & {*chosen}) for some in itertools.combinations(samples, k)]
            assert found[name, "-", k, prompt] == pytest.approx(np.mean(hits))
    assert {condition for _, condition, _, _ in found} == {"-"}  # a length is never right


def test_the_mean_score_is_of_the_first_score_and_of_others_by_their_name(
    made: tuple[Bench, WordCounter],
) -> None:
    found = values(made, "mean_score")
    for name, prompt in BOTH:
        for score, condition in (("judge", "-"), ("length", "length")):
            own = [
                row["value"]
                for row in scored()
                if (row["checkpoint"], row["prompt_id"], row["name"]) == (name, prompt, score)
            ]
            assert found[name, condition, 0, prompt] == pytest.approx(np.mean(own))


def test_a_loss_of_diversity_is_narrowing_and_wrong_generations_that_went_away(
    made: tuple[Bench, WordCounter],
) -> None:
    found = values(made, "diversity_loss")
    for prompt in PROMPTS:
        of_all = {name: vectors(texts(name, prompt)) for name in written()}
        of_right = {name: of_all[name][right(name, prompt)] for name in written()}
        loss = diversity(of_all["base"]) - diversity(of_all["aligned"])
        narrowing = diversity(of_right["base"]) - diversity(of_right["aligned"])
        assert found["aligned", "-", 0, prompt] == pytest.approx(loss, abs=1e-5)
        assert found["aligned", "narrowing", 0, prompt] == pytest.approx(narrowing, abs=1e-5)
        rest = found["aligned", "fewer wrong", 0, prompt]
        assert rest == pytest.approx(loss - narrowing, abs=1e-5)


def test_prompts_and_checkpoints_are_compared_by_all_their_pairs(
    made: tuple[Bench, WordCounter],
) -> None:
    between, across = values(made, "prompt_similarity"), values(made, "checkpoint_similarity")
    for name, prompt in BOTH:
        own = vectors(texts(name, prompt))
        others = [vectors(texts(name, p)) for p in PROMPTS if p != prompt]
        expected = np.mean([np.mean(own @ other.T) for other in others])
        assert between[name, "-", 0, prompt] == pytest.approx(expected, abs=1e-5)
        if name == "aligned":
            expected = np.mean(own @ vectors(texts("base", prompt)).T)
            assert across[name, "-", 0, prompt] == pytest.approx(expected, abs=1e-5)


def test_semantic_anchors_say_who_holds_them_and_where(made: tuple[Bench, WordCounter]) -> None:
    found = rows(made, "semantic_anchors")
    assert {row["checkpoint"] for row in found} == {"base", "aligned"}
    for row in found:
        own = texts(row["checkpoint"], row["prompt_id"])
        places = list(zip(row["samples"], row["starts"], row["lengths"], strict=True))
        said = [own[sample][start : start + length] for sample, start, length in places]
        assert places == sorted(places)
        assert row["n_samples"] == N
        assert row["n_holders"] == len({*row["samples"]}) >= 2
        assert row["n_wordings"] == len({*said})
        assert row["text"] in said
        assert min(vectors(said) @ vectors([said[0]])[0]) >= 0.7
    tide = next(r for r in found if r["checkpoint"] == "aligned" and "tide" in r["text"])
    assert tide["n_wordings"] == 2


def test_the_map_has_each_generation_of_both_in_one_plane(made: tuple[Bench, WordCounter]) -> None:
    found = pq.read_table(made[0].folder / "lake/meaning_map/data.parquet").to_pylist()
    assert len(found) == 2 * N * len(PROMPTS)
    of_prompt = [row for row in found if row["prompt_id"] == "p"]
    everything = vectors([*texts("base", "p"), *texts("aligned", "p")])
    spectrum = np.linalg.eigvalsh(np.cov(everything.T))
    assert of_prompt[0]["x_share"] == pytest.approx(spectrum[-1] / spectrum.sum())
    assert np.var([row["x"] for row in of_prompt], ddof=1) == pytest.approx(spectrum[-1])
    assert np.mean([row["y"] for row in of_prompt]) == pytest.approx(0, abs=1e-9)


def test_answers_are_classes_by_the_classifier_that_the_study_names(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each text joins the first earlier class whose first member it is held to say the same as."""
    lay_out(bench)
    count_words(monkeypatch)
    source = Source("dir", str(save_classifier(bench.folder / "classifier", "other", "same")))
    scores = load_pair_classifier(source, source.digest(), "cpu").scores
    different = sorted({t for prompt in PROMPTS for t in texts("base", prompt)})
    least = float(np.median([score for t in different for score in scores(t, different)]))
    study = bench.study(
        **STUDY
        | {"checkpoints": STUDY["checkpoints"][:1], "scores": None}
        | {"answer_classifier": str(source), "thresholds": {"same_answer": round(least, 4)}}
    )
    bench.run(study, only=("answers",))
    path = bench.folder / "lake/answers/checkpoint=base/data.parquet"
    found = pq.read_table(path, partitioning=None).to_pylist()
    n_classes = 0
    for prompt in PROMPTS:
        own, firsts, answers = texts("base", prompt), list[int](), []
        for i, text in enumerate(own):
            same = (j for j in firsts if own[j] == text or scores(text, [own[j]])[0] >= least)
            answers.append(next(same, i))
            firsts += [i] if answers[-1] == i else []
        assert [row["answer"] for row in found if row["prompt_id"] == prompt] == answers
        n_classes += len(firsts)
    assert len(PROMPTS) < n_classes < len(different)
    provenance = bench.lake.provenance(tables.ANSWERS, "base")
    assert provenance is not None
    assert "classifier:classifier@" in provenance.signature


class _Stopped(BaseException):
    """Stands for a kill."""


def test_a_run_that_is_stopped_goes_on_with_what_is_not_embedded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(bench)
    counter = count_words(monkeypatch)
    monkeypatch.setattr(embeddings, "_CHARACTERS", 100)
    study = bench.study(**STUDY | {"checkpoints": STUDY["checkpoints"][:1], "scores": None})
    embed = counter.embed

    def stop(*args: Any, **options: Any) -> Any:
        if len(counter.embedded) > 10:
            raise _Stopped
        return embed(*args, **options)

    monkeypatch.setattr(counter, "embed", stop)
    with pytest.raises(_Stopped):
        bench.run(study, only=("embeddings",))
    monkeypatch.setattr(counter, "embed", embed)
    bench.run(study, only=("embeddings",))
    assert len(counter.embedded) == len({*counter.embedded}) > 20
    path = bench.folder / "lake/embeddings/checkpoint=base/data.parquet"
    assert pq.read_table(path, partitioning=None)["text"].to_pylist() == counter.embedded


def test_generations_that_are_added_are_embedded_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(bench)
    counter = count_words(monkeypatch)
    study = bench.study(**STUDY | {"checkpoints": STUDY["checkpoints"][:1], "scores": None})
    bench.run(study, only=("embeddings",))
    before = len(counter.embedded)
    new = {"prompt_id": "p", "prompt": "p?", "sample": 8, "text": "Something new. So it goes."}
    with (bench.folder / "base.jsonl").open("a") as file:
        file.write("\n" + json.dumps(new))
    bench.run(study, only=("embeddings",))
    assert sorted(counter.embedded[before:]) == ["Something new.", new["text"]]
