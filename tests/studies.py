"""Studies of tiny models, written where they can be read."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from assets.figures import FIGURES
from assets.lineage.materialize import materialize
from assets.measures.declared import declared_measures
from assets.registry import build_graph
from assets.study.study import Study, load_study
from warehouse import Lake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from assets.lineage.asset import Materialization
    from models import ModelPool, Source
    from warehouse.measure_headers import Measure

PROMPTS = [
    {"prompt_id": "short", "category": "generic", "text": "Hi?"},
    {"prompt_id": "long", "category": "writing", "text": "Tell me a story, please."},
    {"prompt_id": "odd", "category": "generic", "text": "π ≈ 3 — why?"},
]


_FEW_FIGURES = ("ngram_sharing", "ngram_spread", "trajectory")


_FEW_MEASURES = ("ngram_sharing", "ngram_spread", "majority_ngrams", "perplexity", "support")


@contextmanager
def limited_to_few_figures() -> Iterator[None]:
    """Limits the figures and the measures that there are."""
    few = [figure for figure in FIGURES if figure.name in _FEW_FIGURES]

    def few_measures(*arguments: Any) -> list[Measure]:
        return [m for m in declared_measures(*arguments) if m.name in _FEW_MEASURES]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assets.registry.FIGURES", few)
        patch.setattr("assets.registry.declared_measures", few_measures)
        yield


@dataclass
class Bench:
    """A folder with a study and a lake, and what works on them."""

    folder: Path
    llama: Source

    def study(self, **changes: Any) -> Study:
        (self.folder / "prompts.jsonl").write_text("\n".join(map(json.dumps, PROMPTS)))
        values = {
            "name": "tiny",
            "samples_per_prompt": 4,
            "max_new_tokens": 12,
            "prompts": "prompts.jsonl",
            "checkpoints": [
                {"name": "llama", "source": str(self.llama), "decodings": [{"top_p": 0.9}]}
            ],
        } | changes
        path = self.folder / "study.yaml"
        path.write_text(yaml.safe_dump(values))
        return load_study(path)

    def study_there(self) -> Study:
        """The study as it was written last."""
        return load_study(self.folder / "study.yaml")

    @property
    def lake(self) -> Lake:
        return Lake(self.folder / "lake")

    def run(
        self,
        study: Study,
        models: ModelPool | None = None,
        *,
        only: tuple[str, ...] = (),
        figures: bool = False,
        measures: bool = False,
    ) -> dict[tuple, Materialization]:
        """Makes what is stale, without Dagster; gives what was made.

        Args:
            study: The study.
            models: Loads models.
            only: Tables, figures or groups that a test looks at; what they read comes along.
            figures: Whether to draw figures, which takes longer than all else; those that `only`
                names by their key are drawn anyway.
            measures: Whether to make measures and what gathers them; figures need them.
        """
        graph = build_graph(study, self.lake)
        made = {}
        for name, partition in graph.stale(graph.select(only)):
            group = graph.assets[name].group
            if group == "figures" and not figures and name not in only:
                continue
            if group in ("measures", "summaries") and not (measures or figures or only):
                continue
            result = materialize(graph, name, partition, models=models)
            assert result is not None
            made[name, partition] = result
        return made


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def imported(prompt: str, *texts: str) -> list[dict[str, Any]]:
    """Rows of a `file:` checkpoint."""
    return [
        {"prompt_id": prompt, "prompt": f"{prompt}?", "sample": i, "text": text}
        for i, text in enumerate(texts)
    ]
