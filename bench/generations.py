"""Generations to align: made up, with anchors planted in them, and those that users have."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from assets.sources.generation_files import read_generations
from assets.study.errors import InputError
from warehouse import Lake
from warehouse.tables import GENERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_PROMPTS = 2
_SAMPLES = 100
_LENGTH = 1000

_VOCABULARY = 2000
_RECURS = 0.5

_CHAPTERS, _SECTIONS = 5, 4
_PLANTED_IN = (10, 40)
_PLANTED = 0.8


@dataclass(frozen=True)
class Anchor:
    """What several generations have in common.

    Attributes:
        text: Its characters.
        starts: Of each generation that has it the character with which it begins there.
    """

    text: str
    starts: dict[int, int]


@dataclass(frozen=True)
class Prompt:
    """The generations of a prompt, and what was planted in them."""

    texts: Sequence[str]
    anchors: Sequence[Anchor] = ()

    def first(self, samples: int | None) -> Prompt:
        """So many of its generations; all by `None`."""
        texts = self.texts[:samples]
        anchors = [
            Anchor(anchor.text, {s: at for s, at in anchor.starts.items() if s < len(texts)})
            for anchor in self.anchors
        ]
        return Prompt(texts, anchors)


Prompts = dict[str, Prompt]


def made_up(samples: int, length: int, seed: int, recurs: float = _RECURS) -> list[str]:
    """Generations of a prompt: random words, in which sentences recur.

    Args:
        samples: How many.
        length: Their characters, on average.
        seed: Of the words, and of which sentences recur.
        recurs: How likely a sentence is one that recurs.
    """
    random = np.random.default_rng(seed)
    sentence = _sentences(random)
    recurring = [sentence() for _ in range(length // 50)]
    texts = []
    for characters in random.integers(length * 4 // 5, length * 6 // 5 + 1, size=samples):
        text = ""
        for common in recurring:
            text += common if random.random() < recurs else sentence()
        while len(text) < characters:
            text += sentence()
        texts.append(text[:characters])
    return texts


def planted(samples: int, seed: int) -> Prompt:
    """Generations with sections under headings that are alike, between sentences of random words.

    Args:
        samples: How many.
        seed: Of the words, and of who has which section.
    """
    random = np.random.default_rng(seed)
    sentence = _sentences(random)
    anchors = [
        Anchor(f"Anchor {chapter}.{section}: {sentence()}", {})
        for chapter in range(1, _CHAPTERS + 1)
        for section in range(1, _SECTIONS + 1)
    ]
    texts = [""] * samples
    for sample in range(samples):
        for anchor in anchors:
            texts[sample] += sentence()
            if random.random() < _PLANTED:
                anchor.starts[sample] = len(texts[sample])
                texts[sample] += anchor.text
    return Prompt(texts, anchors)


def _sentences(random: np.random.Generator) -> Callable[[], str]:
    """Makes a sentence of random words at each call."""
    weights = 1 / np.arange(1, _VOCABULARY + 1)
    weights /= weights.sum()
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = ["".join(random.choice(letters, size=n)) for n in random.integers(2, 11, _VOCABULARY)]

    def sentence() -> str:
        drawn = random.choice(_VOCABULARY, size=random.integers(6, 20), p=weights)
        return " ".join(words[number] for number in drawn).capitalize() + ". "

    return sentence


def inputs(paths: Sequence[Path]) -> Iterator[tuple[str, Prompts]]:
    """What is aligned, and what it is called."""
    if not paths:
        yield (
            "made up, sentences recur",
            {f"made-up-{n}": Prompt(made_up(_SAMPLES, _LENGTH, n)) for n in range(_PROMPTS)},
        )
        for samples in _PLANTED_IN:
            yield (
                "made up, anchors planted under headings that are alike",
                {f"planted-{n}": planted(samples, n) for n in range(_PROMPTS)},
            )
    for path in paths:
        if path.is_dir():
            lake = Lake(path)
            if not lake.partitions(GENERATIONS):
                raise InputError(f"{path} holds no generations; it should be a lake's folder")
            for checkpoint in lake.partitions(GENERATIONS):
                yield checkpoint, _of_checkpoint(lake, checkpoint)
        else:
            texts: dict[str, list[str]] = {}
            for generation in read_generations(path):
                texts.setdefault(generation.prompt_id, []).append(generation.text)
            yield path.name, {prompt: Prompt(own) for prompt, own in texts.items()}


def _of_checkpoint(lake: Lake, checkpoint: str) -> Prompts:
    """A checkpoint's generations, of the decoding that it has most of, which is not greedy."""
    columns = ["decoding", "prompt_set", "prompt_id", "text"]
    rows = lake.read(GENERATIONS, checkpoint).select(columns).to_pylist()
    decodings = Counter(row["decoding"] for row in rows if row["decoding"] != "greedy")
    chosen = dict(decodings.most_common(1))
    texts: dict[str, list[str]] = {}
    for row in rows:
        if row["decoding"] in chosen:
            prompt = f"{row['prompt_id']} of {row['prompt_set']}"
            texts.setdefault(prompt, []).append(row["text"])
    return {prompt: Prompt(own) for prompt, own in texts.items()}
