"""The JSON Schema of study files, as an editor holds a file against it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from assets.study.json_schema import described, study_schema
from assets.study.measured import Measured
from assets.study.study import Study
from assets.study.watches import Watch
from orchestration import cli

STUDIES = Path(__file__).parents[3] / "studies"
SCHEMA = study_schema()
ONE: dict[str, Any] = {"name": "m", "source": "file:made.jsonl"}


def problems(**changes: Any) -> list[str]:
    """Where an editor would mark a study."""
    study = {"name": "s", "checkpoints": [ONE]} | changes
    found = jsonschema.Draft202012Validator(SCHEMA).iter_errors(study)
    return [error.json_path for error in found]


def test_the_file_that_ships_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(cli.app, ["schema"]).output
    shipped = (STUDIES / "study.schema.json").read_text(encoding="utf-8")
    assert printed == shipped, "write it anew: anchorlake schema > studies/study.schema.json"
    jsonschema.Draft202012Validator.check_schema(json.loads(shipped))
    assert str(STUDIES.parent) not in shipped


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_studies_that_ship_name_it_and_are_valid_by_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=study.schema.json\n")
    jsonschema.Draft202012Validator(SCHEMA).validate(yaml.safe_load(text))


def test_every_key_says_what_it_means() -> None:
    parts = {"Study": SCHEMA, **SCHEMA["$defs"]}
    undescribed = [
        f"{name}.{key}"
        for name, part in parts.items()
        for key, value in part.get("properties", {}).items()
        if name not in ("Decoding", "Reasoning") and not value.get("description")
    ]
    assert undescribed == []
    assert set(SCHEMA["properties"]) == set(Study.model_fields)


def test_a_meaning_goes_on_over_lines_and_is_taken_from_a_base_class() -> None:
    assert described(Measured)["controlled"] == (
        "Whether it is known to be made from its base, where nobody can tell that from the weights."
    )
    assert described(Watch)["controlled"] == described(Measured)["controlled"]
    assert described(Watch)["hf"] == "A repository of the hub, `org/name`."


@pytest.mark.parametrize(
    "changes",
    [
        {"checkpoints": [ONE | {"decodings": ["greedy", {"top_k": 5}, "min_p=0.9"]}]},
        {"checkpoints": [ONE | {"decodings": ["rules", {"cautious": True, "trials": 3}]}]},
        {"checkpoints": [ONE | {"decodings": [{"rules": True, "words": {" I": -5}}]}]},
        {"checkpoints": [ONE | {"reasoning": True}]},
        {"checkpoints": [ONE | {"reasoning": {"start": "<t>"}}]},
        {"corpora": [{"name": "c", "source": "pydoc:topics", "text_field": "text"}]},
        {"corpora": [{"name": "c", "source": "file:c.jsonl", "text_field": ["a", "b"]}]},
        {"shannon_game": {"source": "corpora", "passages": 3}},
        {"prompts": "prompts.jsonl", "sql": "mine"},
        {"thresholds": {"support": 1e-8, "top_k": [1, 2]}},
    ],
)
def test_what_a_study_may_say_is_valid(changes: dict[str, Any]) -> None:
    assert problems(**changes) == []


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"sampels_per_prompt": 3}, "$"),
        ({"samples_per_prompt": 0}, "$.samples_per_prompt"),
        ({"checkpoints": []}, "$.checkpoints"),
        ({"checkpoints": [{"name": "m"}]}, "$.checkpoints[0]"),
        ({"checkpoints": [ONE | {"source": "made.jsonl"}]}, "$.checkpoints[0].source"),
        ({"checkpoints": [ONE | {"role": "algined"}]}, "$.checkpoints[0].role"),
        ({"checkpoints": [ONE | {"decodings": [{"top_k": 1}]}]}, "$.checkpoints[0].decodings[0]"),
        ({"corpora": [{"name": "c", "source": "web:c"}]}, "$.corpora[0].source"),
    ],
)
def test_what_no_study_may_say_is_marked(changes: dict[str, Any], path: str) -> None:
    assert path in problems(**changes)
