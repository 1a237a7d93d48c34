"""The pages: what is generated in them, the examples of study files, and the README's links."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from assets.study.json_schema import study_schema
from assets.study.measured import Measured
from assets.study.study import Study
from docs import generate
from tests.pages import DOCS, ROOT, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = study_schema()
AROUND = {
    "name": "s",
    "prompts": "prompts.jsonl",
    "corpora": [{"name": "docs", "source": "pydoc:topics"}],
    "checkpoints": [{"name": "base", "source": "file:base.jsonl"}],
}
"""What an example that shows a few keys leaves out."""
EXAMPLES = [
    (page.name, number, example)
    for page in sorted(DOCS.glob("*.md"))
    for number, example in enumerate(blocks(page.read_text(encoding="utf-8"), "yaml"))
]


@pytest.mark.parametrize("name", ["study.md", "measures.md", "tables.md"])
def test_a_page_is_what_the_command_writes(name: str) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    assert "<!-- generated: " in page
    assert generate.generated(page) == page, "write it anew: python -m docs.generate"


def test_text_between_two_parts_that_are_still_empty_stays() -> None:
    empty = "<!-- generated: keys Ladder -->\n<!-- end -->\n"
    page = generate.generated(f"{empty}between\n{empty}")
    assert page.count("| `checkpoints` |") == page.count("<!-- end -->\n") == 2
    assert "<!-- end -->\nbetween\n<!-- generated" in page
    assert generate.generated(page) == page


def test_a_key_has_its_type_default_and_meaning() -> None:
    keys = generate.keys("Study")
    assert (
        "| `samples_per_prompt` | whole number, from 1 to 1,000,000 | `100` | Generations of each "
        "prompt, for each decoding that is not greedy. |" in keys
    )
    assert "| `name` | text | required |" in keys
    assert "| `corpora` | list of [keys and values](#corpora) | none |" in keys
    shared = generate.keys("Measured")
    assert "| `dtype` | `auto` or `float32` or `bfloat16` or `float16` | `auto` |" in shared
    assert "`<think>`" not in shared
    assert "`dtype`" not in generate.keys("Checkpoint")


def test_what_is_not_code_is_neither_markdown_nor_html() -> None:
    assert generate._cell("a | b <c> `<d>` *") == "a \\| b &lt;c> `<d>` \\*"


def test_every_part_of_a_study_is_in_the_reference() -> None:
    page = (DOCS / "study.md").read_text(encoding="utf-8")
    parts = re.findall(r"<!-- generated: keys (\w+) -->", page)
    assert sorted(parts) == sorted(["Study", "Measured", *generate._HEADINGS])
    for heading in generate._HEADINGS.values():
        assert f"{{ #{heading} }}" in page


@pytest.mark.parametrize(("page", "number", "example"), EXAMPLES, ids=lambda value: str(value)[:20])
def test_an_example_of_a_study_is_valid(page: str, number: int, example: str) -> None:
    values = AROUND | yaml.safe_load(example)
    names = [checkpoint["name"] for checkpoint in values["checkpoints"]]
    if "base" not in names:
        values["checkpoints"] = [*AROUND["checkpoints"], *values["checkpoints"]]
    Study.model_validate(values, context={"folder": Path("/nowhere")})


def test_the_reference_has_an_example_of_every_key() -> None:
    examples = [yaml.safe_load(text) for page, _, text in EXAMPLES if page == "study.md"]
    shown = {key for example in examples for key in used("Study", example)}
    parts = {"Study": SCHEMA, **SCHEMA["$defs"]}
    keys = {
        (name, key)
        for name in ("Study", *generate._HEADINGS)
        for key in parts[name]["properties"]
        if not (name == "Watch" and key in Measured.model_fields)  # shown of checkpoints
    }
    assert keys - shown == set()


def used(part: str, values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The keys that a part of a study and the parts in it have."""
    properties = {"Study": SCHEMA, **SCHEMA["$defs"]}[part]["properties"]
    for key, value in values.items():
        yield part, key
        for name in re.findall(r"#/\$defs/(\w+)", str(properties[key])):
            named = properties[key].get("additionalProperties")
            parts = value.values() if isinstance(named, dict) else [value]
            for inner in value if isinstance(value, list) else parts:
                if name in generate._HEADINGS and isinstance(inner, dict):
                    yield from used(name, inner)


def test_the_readme_leads_to_what_is_there_and_is_one_screen() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert len(links) >= 15
    for page, _, heading in (link.partition("#") for link in links):
        assert (ROOT / page).is_file()
        assert not heading or f"{{ #{heading} }}" in (ROOT / page).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 80
    assert sum(path.stat().st_size for path in (DOCS / "images").iterdir()) < 600_000
