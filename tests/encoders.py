"""Models that compare texts, without weights: tiny random ones, and one that counts words."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from models.embedding import Embedded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pytest

WIDTH = 16
_MODULES = ("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")


def save_encoder(folder: Path, most_tokens: int = 12) -> Path:
    """Saves a random BERT that pools the mean of its tokens, as sentence-transformers does."""
    from transformers import BertModel

    _save_bert(folder, BertModel, most_tokens)
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (kind, path) in enumerate(_MODULES)
    ]
    for path in ("1_Pooling", "2_Normalize"):
        (folder / path).mkdir()
    pooling = {"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": True}
    write = {"modules.json": modules, "1_Pooling/config.json": pooling}
    limits = {"max_seq_length": most_tokens, "do_lower_case": False}
    for name, value in (write | {"sentence_bert_config.json": limits}).items():
        (folder / name).write_text(json.dumps(value))
    return folder


def save_classifier(folder: Path, *labels: str) -> Path:
    """Saves a random BERT that reads two texts and has these labels."""
    from transformers import BertForSequenceClassification

    _save_bert(folder, BertForSequenceClassification, 48, id2label=dict(enumerate(labels)))
    return folder


def _save_bert(folder: Path, kind: Any, most_tokens: int, **options: Any) -> None:
    """Saves a random BERT that reads letters."""
    import torch
    from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
    from tokenizers.models import WordPiece
    from transformers import BertConfig, PreTrainedTokenizerFast

    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{c}" for c in letters)]
    backend = Tokenizer(WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", model_max_length=most_tokens
    )
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        initializer_range=0.5,
        **options,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kind(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


class WordCounter:
    """Stands for an encoder: a text's vector counts its words, and has the length 1."""

    def __init__(self) -> None:
        self.embedded: list[str] = []

    def embed(
        self, texts: Sequence[str], *, on_characters: Callable[[int], None] = lambda n: None
    ) -> Embedded:
        vectors = np.array([counted(text) for text in texts], np.float32)
        lengths = np.array([len(text.split()) for text in texts], np.int32)
        self.embedded += texts
        on_characters(sum(map(len, texts)))
        return Embedded(vectors, lengths, lengths > 50)


def counted(text: str) -> np.ndarray:
    """The vector of a text: its words, without their marks, in as many bins."""
    vector = np.zeros(WIDTH)
    for word in text.lower().split():
        vector[zlib.crc32(word.strip(".,;!?").encode()) % WIDTH] += 1
    vector[0] += not vector.any()
    unit: np.ndarray = vector / np.linalg.norm(vector)
    return unit


def count_words(patch: pytest.MonkeyPatch) -> WordCounter:
    """Has every study's embedder be one that counts words."""
    counter = WordCounter()
    where = "assets.semantics.embeddings"
    patch.setattr(f"{where}.load_encoder", lambda *args: counter)
    patch.setattr(f"{where}.encoder_digest", lambda source: "counter")
    return counter
