"""Studies of tiny models, written where they can be read."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from assets import registry
from assets.blueprints.alignments import ALIGNMENTS
from assets.figures import FIGURES
from assets.lineage.materialize import materialize
from assets.measures import declared
from assets.measures.declared import SQL_FOLDER
from assets.registry import build_graph
from assets.study.study import Study, load_study
from models import ModelPool
from warehouse import Lake
from warehouse.catalog import write_catalog

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from assets.lineage.asset import Materialization
    from assets.lineage.graph import AssetGraph
    from models import Source

PROMPTS = [
    {"prompt_id": "short", "category": "generic", "text": "Hi?"},
    {"prompt_id": "long", "category": "writing", "text": "Tell me a story, please."},
    {"prompt_id": "odd", "category": "generic", "text": "π ≈ 3 — why?"},
]


# The report tells whether checkpoints have these; without alignments they are of no checkpoint.
TOLD_OF = ("frequent_spans", "anchor_spans", "readaptation")
FEW = (
    *TOLD_OF,
    *("ngram_sharing", "measures/ngram_sharing"),
    *("figures/ngram_sharing", "figures/trajectory"),
)
"""Assets that are enough for tests that are about what makes them."""
WITH_SPREAD = (
    *FEW,
    *("ngram_spread", "measures/ngram_spread", "measures/majority_ngrams", "figures/ngram_spread"),
)


def limit_assets(patch: pytest.MonkeyPatch, names: Sequence[str], sql: Path) -> None:
    """Limits the assets that there are to some of the tables, measures and figures.

    What Python makes is there too, but for alignments where they are not among them.

    Args:
        patch: Undoes it.
        names: What they are called.
        sql: A folder for their SQL, of which it has none but theirs.
    """
    for name in names:
        if (file := SQL_FOLDER / f"{name}.sql").exists():
            (sql / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, sql / f"{name}.sql")
    figures = [figure for figure in FIGURES if f"figures/{figure.name}" in names]
    base = registry.BASE_ASSETS
    if ALIGNMENTS.name not in names:
        none = replace(ALIGNMENTS, applies=lambda study, checkpoint: False)
        base = tuple(none if asset is ALIGNMENTS else asset for asset in base)
    patch.setattr(declared, "SQL_FOLDER", sql)
    patch.setattr(registry, "FIGURES", figures)
    patch.setattr(registry, "BASE_ASSETS", base)


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
            models: Loads models; each once, unless it is told otherwise.
            only: Assets or groups that a test looks at; what they read comes along. A table's
                name is not that of the measure and of the figure of that name, as it is for users.
            figures: Whether to draw figures, which takes longer than all else; those that `only`
                names by their key are drawn anyway.
            measures: Whether to make measures and what gathers them; figures need them.
        """
        graph = build_graph(study, self.lake)
        needed = _with_upstream(graph, only)
        made = {}
        models = models or ModelPool()
        with _catalog_at_the_end(graph):
            for name, partition in graph.stale(graph.select(only)):
                if needed and name not in needed:
                    continue
                group = graph.assets[name].group
                if group == "figures" and not figures and name not in only:
                    continue
                if group in ("measures", "summaries") and not (measures or figures or only):
                    continue
                result = materialize(graph, name, partition, models=models)
                assert result is not None
                made[name, partition] = result
        return made


@contextmanager
def _catalog_at_the_end(graph: AssetGraph) -> Iterator[None]:
    """Adds to the catalog once what is made meanwhile: each table takes as long as all together."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assets.lineage.asset.write_catalog", lambda *_: None)
        try:
            yield
        finally:
            if graph.lake.root.is_dir():
                write_catalog(graph.lake, list(graph.tables.values()))


def _with_upstream(graph: AssetGraph, names: tuple[str, ...]) -> set[str]:
    """Assets and all that they read; nothing where one of the names is not that of an asset."""
    if not set(names) <= set(graph.assets):
        return set()
    needed = set(names)
    for name in reversed(graph.assets):
        if name in needed:
            needed.update(graph.assets[name].reads)
    return needed


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def imported(prompt: str, *texts: str) -> list[dict[str, Any]]:
    """Rows of a `file:` checkpoint."""
    return [
        {"prompt_id": prompt, "prompt": f"{prompt}?", "sample": i, "text": text}
        for i, text in enumerate(texts)
    ]
