"""Embedding against the encoder's bare forward pass, and the measures of many generations.

    python -m bench.embedding [--generations 300] [--prompts 80] [--samples 100]

Prints seconds, ratios and peak memory. The bare pass reads the same tokens in batches of texts of
one length, without padding, tokenizing, reading or writing. Texts are made up of common words.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from assets.lineage.materialize import materialize
from assets.registry import build_graph
from assets.semantics.embeddings import EMBEDDINGS, as_table
from assets.study.study import Study, load_study
from bench.used import peak_memory
from models.embedding import Embedded, SentenceEncoder, encoder_digest, load_encoder
from warehouse import Lake, Provenance, session, tables, write_table
from warehouse.vocabulary import load_words

_WORDS = (
    *("the", "of", "and", "to", "in", "that", "it", "was", "for", "on", "as", "with", "people"),
    *("water", "house", "story", "child", "river", "morning", "light", "garden", "winter"),
)
_MEASURES = ("semantic_diversity", "vendi_score", "distinct_answers", "largest_answer")
_COUNTED = ("answers", "semantic_diversity", "semantic_anchors", "meaning_map")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--generations", type=int, default=300, help="that are embedded")
    parser.add_argument("--prompts", type=int, default=80, help="of those that are counted")
    parser.add_argument("--samples", type=int, default=100, help="of each such prompt")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        study = write(Path(folder) / "embedded", 3, options.generations // 3)
        assert study.embedder is not None
        encoder = load_encoder(study.embedder, encoder_digest(study.embedder))
        texts = different_texts(Path(folder) / "embedded" / "made.jsonl")
        n_tokens, bare = time_bare(encoder, texts)
        seconds = time_assets(study, Path(folder) / "embedded", (EMBEDDINGS.name,))
        print(f"{len(texts):,} texts, {n_tokens:,} tokens, on {encoder.device.type}")
        print(f"bare forward pass: {bare:.1f} s; embeddings: {seconds:.1f} s")
        print(f"ratio {seconds / bare:.2f} (at most 1.2)")
        study = write(Path(folder) / "counted", options.prompts, options.samples)
        write_vectors(study, Path(folder) / "counted")
        names = (*_COUNTED, *(f"measures/{name}" for name in _MEASURES))
        seconds = time_assets(study, Path(folder) / "counted", names)
        n = options.prompts * options.samples
        print(f"tables and measures of {n:,} generations: {seconds:.1f} s (under 20)")
        print(f"peak memory: {peak_memory() / 1e9:.2f} GB")


def write(folder: Path, prompts: int, samples: int) -> Study:
    """A study of generations of 3 to 12 made-up sentences."""
    random = np.random.default_rng(0)
    folder.mkdir()
    with (folder / "made.jsonl").open("w") as file:
        for prompt in range(prompts):
            for sample in range(samples):
                said = [
                    " ".join(random.choice(_WORDS, random.integers(4, 25))).capitalize() + "."
                    for _ in range(random.integers(3, 13))
                ]
                row = {"prompt_id": f"{prompt:04}", "prompt": str(prompt), "sample": sample}
                file.write(json.dumps(row | {"text": " ".join(said)}) + "\n")
    values = {
        "name": "bench",
        "embedder": "default",
        "checkpoints": [{"name": "made", "source": "file:made.jsonl"}],
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(values))
    return load_study(folder / "study.yaml")


def different_texts(path: Path) -> list[str]:
    """The texts that are embedded: generations and their sentences, each once."""
    texts: dict[str, None] = {}
    query = "select text, sentences(text) from read_json($path)"
    with session() as connection:
        load_words(connection, query)
        for text, sentences in connection.execute(query, {"path": str(path)}).fetchall():
            texts |= dict.fromkeys([text, *sentences])
    return list(texts)


def time_bare(encoder: SentenceEncoder, texts: list[str]) -> tuple[int, float]:
    """The tokens that are read, and the seconds of the forward pass over them without padding."""
    ids = encoder.model.tokenizer(texts, truncation=True, max_length=encoder.most_tokens)
    by_length: dict[int, list[list[int]]] = {}
    for some in ids["input_ids"]:
        by_length.setdefault(len(some), []).append(some)
    most = 2048 if encoder.device.type == "cpu" else 1 << 16
    batches = [
        torch.tensor(rows[start : start + max(1, most // length)], device=encoder.device)
        for length, rows in by_length.items()
        for start in range(0, len(rows), max(1, most // length))
    ]
    with torch.inference_mode():
        encoder.model.forward({"input_ids": batches[0], "attention_mask": batches[0] * 0 + 1})
        start_time = time.perf_counter()
        for batch in batches:
            features: dict[str, Any] = {"input_ids": batch, "attention_mask": batch * 0 + 1}
            encoder.model.forward(features)["sentence_embedding"].cpu()
    return sum(batch.numel() for batch in batches), time.perf_counter() - start_time


def time_assets(study: Study, folder: Path, names: tuple[str, ...]) -> float:
    """Seconds of some assets, what they read and the lake does not have yet aside."""
    graph = build_graph(study, Lake(folder / "lake"))
    seconds = 0.0
    for name, partition in graph.select(names):
        start = time.perf_counter()
        if name in names or graph.assets[name].stored(graph.lake, partition) is None:
            materialize(graph, name, partition)
        seconds += (time.perf_counter() - start) * (name in names)
    return seconds


def write_vectors(study: Study, folder: Path) -> None:
    """Random vectors in the place of embeddings, a tenth of them the same as another's."""
    lake = Lake(folder / "lake")
    graph = build_graph(study, lake)
    for name, partition in graph.select((tables.GENERATIONS.name,)):
        materialize(graph, name, partition)
    texts = different_texts(folder / "made.jsonl")
    random = np.random.default_rng(0)

    def batches() -> Any:
        for start in range(0, len(texts), 5_000):
            some = texts[start : start + 5_000]
            vectors = random.normal(0.3, 1, (len(some), 384)).astype(np.float32)
            lengths = np.ones(len(some), np.int32)
            yield from as_table(some, Embedded(vectors, lengths, lengths > 1)).to_batches()

    write_table(lake, tables.EMBEDDINGS, batches(), Provenance("made up", "", "bench", ""), "made")


if __name__ == "__main__":
    main()
