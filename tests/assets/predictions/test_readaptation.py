"""Fine-tuning on corpora, from the documents that are left to the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from assets.measures.declared import declared_tables
from assets.predictions import readapted_texts
from assets.preflight import check_inputs
from assets.sources import checkpoints
from assets.study.errors import InputError
from models import ModelPool, Source, finetuning
from models.finetuning import mean_loss
from tests.studies import Bench, write_jsonl
from warehouse import ask
from warehouse.tables import DOCUMENTS, READAPTED_TEXTS, TOKEN_DISTRIBUTIONS, TRAINING_DOCUMENTS

if TYPE_CHECKING:
    from assets.study.study import Study

pytestmark = pytest.mark.whole

SETTINGS = {"documents": 20, "steps": 8, "evaluate_every": 4, "learning_rate": 3e-3}

PREDICTIONS = ("readapted_texts", "shannon_guesses", "token_distributions")


def pair(bench: Bench, gemma: Source, settings: dict[str, Any] = SETTINGS, **changes: Any) -> Study:
    docs = [{"document_id": f"d{i}", "text": f"Document {i} is about {i * i}."} for i in range(25)]
    write_jsonl(
        bench.folder / "docs.jsonl", [*docs, {"document_id": "again", "text": docs[0]["text"]}]
    )
    values: dict[str, Any] = {
        "samples_per_prompt": 1,
        "max_new_tokens": 2,
        "corpora": [
            {"name": "docs", "source": "file:docs.jsonl", "documents": 4},
            {"name": "topics", "source": "pydoc:topics", "documents": 3, "max_words": 8},
        ],
        "readaptation": settings,
        "checkpoints": [
            {"name": "base", "source": str(bench.llama)},
            {"name": "tuned", "source": str(gemma), "base": "base"},
        ],
    }
    return bench.study(**(values | changes))


def asked(bench: Bench, query: str) -> list[dict[str, Any]]:
    with ask(bench.lake, declared_tables(), query) as result:
        return result.to_arrow_table().to_pylist()


def test_documents_that_are_scored_are_never_learned_from(bench: Bench, gemma: Source) -> None:
    bench.run(pair(bench, gemma), only=("training_documents",))
    learned = bench.lake.read(TRAINING_DOCUMENTS).to_pylist()
    scored = {row["text"] for row in bench.lake.read(DOCUMENTS).to_pylist()}
    assert not scored & {row["text"] for row in learned}
    docs = [row for row in learned if row["corpus"] == "docs"]
    assert [row["document_id"] for row in docs] == [f"d{i}" for i in range(4, 24)]
    parts = [row["part"] for row in docs]
    assert parts == (["training"] * 4 + ["validation"]) * 4
    assert len([row for row in learned if row["corpus"] == "topics"]) == 20


def test_it_is_signed_by_what_tuned_and_not_by_what_sampled(
    bench: Bench, gemma: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "sampler_name", lambda checkpoint: "vllm-0")
    study = pair(bench, gemma, SETTINGS | {"steps": 1, "evaluate_every": 1})
    made = bench.run(study, only=("readapted_texts",))
    signature = made["readapted_texts", "tuned"].provenance.signature
    assert f"|engine:{checkpoints.scorer_name()}|device:cpu|dtype:float32|" in signature


def test_before_is_how_well_the_documents_are_predicted_anyway(bench: Bench, gemma: Source) -> None:
    bench.run(pair(bench, gemma), only=("readaptation", "perplexity"))
    for checkpoint in ("base", "tuned"):
        rows = bench.lake.read(READAPTED_TEXTS, checkpoint).to_pylist()
        assert len(rows) == 7
        for row in rows:
            tokens = [
                token["logprob"]
                for token in bench.lake.read(TOKEN_DISTRIBUTIONS, checkpoint).to_pylist()
                if (token["condition"], token["corpus"], token["text_id"])
                == ("gold", row["corpus"], row["document_id"])
            ]
            assert row["n_tokens"] == len(tokens)
            assert row["nll_before"] == pytest.approx(-sum(tokens), rel=1e-5)
    found = {
        (row["checkpoint"], row["corpus"]): row
        for row in asked(
            bench, "from readaptation join perplexity using (checkpoint, corpus, n_tokens)"
        )
    }
    assert len(found) == 4
    for row in found.values():
        assert row["condition"] == "gold"
        assert row["perplexity_before"] == pytest.approx(row["token_perplexity"], rel=1e-5)
        assert row["bits_per_byte_before"] == pytest.approx(row["bits_per_byte"], rel=1e-5)
        assert row["perplexity_after"] < 0.9 * row["perplexity_before"]
        assert row["steps"] in (4, 8)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_kept_weights_predict_as_the_table_says(bench: Bench, gemma: Source, method: str) -> None:
    settings = SETTINGS | {"method": method, "keep_weights": True, "corpora": ["docs"]}
    made = bench.run(pair(bench, gemma, settings), only=("readapted_texts",))
    folder = bench.lake.root / "weights" / "tuned+docs"
    assert made["readapted_texts", "tuned"].notes["weights readapted to docs"] == str(folder)
    rows = bench.lake.read(READAPTED_TEXTS, "tuned").to_pylist()
    if method == "lora":
        from peft import PeftModel

        model = ModelPool().get(gemma)
        model.model = PeftModel.from_pretrained(model.model, folder).get_base_model()
    else:
        model = ModelPool().get(Source("dir", str(folder)))
    documents = bench.lake.read(DOCUMENTS)
    texts = readapted_texts._texts(model, documents.slice(0, 4))
    after = sum(row["nll_after"] for row in rows) / sum(row["n_tokens"] for row in rows)
    assert mean_loss(model, texts) == pytest.approx(after, rel=1e-4)


def test_weights_are_dropped_unless_they_are_asked_for(bench: Bench, gemma: Source) -> None:
    bench.run(pair(bench, gemma), only=("readapted_texts",))
    assert not (bench.lake.root / "weights").exists()
    assert not list(bench.lake.staging.rglob("*.pt"))


def test_a_model_that_was_changed_is_used_by_nothing_else(bench: Bench, gemma: Source) -> None:
    pool = ModelPool()
    study = pair(bench, gemma, shannon_game={"source": "corpora", "passages": 3, "words": 4})
    bench.run(study, pool, only=PREDICTIONS)
    (bench.lake.root / "token_distributions" / "checkpoint=tuned" / "data.parquet").unlink()
    again = Bench(bench.folder, bench.llama)
    before = asked(bench, "from shannon_guesses where checkpoint = 'tuned' order by all")
    again.run(study, pool, only=PREDICTIONS)
    bench.lake.path(bench_table("shannon_guesses"), "tuned").unlink()
    again.run(study, pool, only=PREDICTIONS)
    assert asked(bench, "from shannon_guesses where checkpoint = 'tuned' order by all") == before


def bench_table(name: str) -> Any:
    return next(table for table in declared_tables() if table.name == name)


def test_what_was_stopped_goes_on_from_the_corpus_and_step_that_it_was_at(
    bench: Bench, gemma: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finetuning, "_SAVE_SECONDS", 0.0)
    study = pair(bench, gemma)
    bench.run(study, only=("readapted_texts",))
    whole = bench.lake.read(READAPTED_TEXTS, "tuned")
    bench.lake.path(READAPTED_TEXTS, "tuned").unlink()
    finetune, steps = readapted_texts.finetune, []

    def watched(*args: Any, on_step: Any, **options: Any) -> Any:
        def step(number: int) -> None:
            if len(steps) == 15:  # in the middle of the second corpus
                raise KeyboardInterrupt
            steps.append(number)
            on_step(number)

        return finetune(*args, on_step=step, **options)

    monkeypatch.setattr(readapted_texts, "finetune", watched)
    with pytest.raises(KeyboardInterrupt):
        bench.run(study, only=("readapted_texts",))
    assert steps == [*range(9), *range(6)]
    steps.clear()
    made = bench.run(study, only=("readapted_texts",))["readapted_texts", "tuned"]
    assert made.notes["corpora kept from before"] == 1
    assert steps == [5, 6, 7, 8]
    assert bench.lake.read(READAPTED_TEXTS, "tuned") == whole


def test_other_settings_begin_anew(bench: Bench, gemma: Source) -> None:
    only = ("readapted_texts", "token_distributions")
    bench.run(pair(bench, gemma), only=only)
    made = bench.run(pair(bench, gemma, SETTINGS | {"steps": 4}), only=only)
    assert made["readapted_texts", "base"].notes["corpora kept from before"] == 0
    assert ("training_documents", None) not in made
    assert ("token_distributions", "base") not in made
    more = bench.run(pair(bench, gemma, SETTINGS | {"steps": 4, "corpora": ["docs"]}), only=only)
    assert more["readapted_texts", "base"].notes["corpora kept from before"] == 1


def test_a_corpus_that_is_too_small_to_split_is_refused(bench: Bench, gemma: Source) -> None:
    corpora = [{"name": "docs", "source": "file:docs.jsonl", "documents": 20}]
    study = pair(bench, gemma, corpora=corpora)
    words = r"'docs' has 5 documents beside the 20 that are scored, and 10 are needed"
    with pytest.raises(InputError, match=words):
        check_inputs(study)
    with pytest.raises(InputError, match=words):
        bench.run(study, only=("readapted_texts",))
