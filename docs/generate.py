"""What pages say of keys, measures, tables and figures, from what declares them.

`python -m docs.generate` writes it anew, between two comments of a page:

    <!-- generated: keys Corpus -->
    <!-- end -->

All else in a page is written by hand.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.figures import FIGURES
from assets.measures.declared import PLACEHOLDERS, declared_measures, declared_tables
from assets.study.json_schema import study_schema
from assets.study.measured import Measured
from warehouse.measure_headers import GROUPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from warehouse.measure_headers import Measure
    from warehouse.schema import Table

PAGES = Path(__file__).parent
_BLOCK = re.compile(r"(<!-- generated: ([^\n]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
_CODE = re.compile(r"(`[^`]*`)")
_BEYOND_MEANING = 1 << 60
"""A bound as large as this is what a column holds, and tells nobody anything."""
_HEADINGS = {
    "Checkpoint": "checkpoints",
    "Choices": "choices",
    "Corpus": "corpora",
    "Divergence": "divergence",
    "DiversitySweep": "diversity_sweep",
    "DriftRule": "drift",
    "InDagster": "dagster",
    "Ladder": "ladders",
    "Preferences": "preferences",
    "Prefixes": "prefixes",
    "Probes": "probes",
    "Readaptation": "readaptation",
    "Resources": "resources",
    "Scores": "scores",
    "ServerAccess": "server",
    "ShannonGame": "shannon_game",
    "Thresholds": "thresholds",
    "Tuning": "tunings",
    "Watch": "watch",
}
"""The headings of the study reference under which the keys of a part stand."""


def generated(page: str) -> str:
    """A page with all its generated parts as the code has them now.

    Args:
        page: The page's text.

    Raises:
        KeyError: It asks for a part that there is not.
    """

    def part(match: re.Match[str]) -> str:
        kind, *names = match[2].split()
        return f"{match[1]}\n{_PARTS[kind](*names)}\n\n{match[4]}"

    return _BLOCK.sub(part, page)


def keys(part: str) -> str:
    """A table of the keys of a part of a study.

    Args:
        part: Its class, such as `Corpus`; `Study` is the file itself.
    """
    schema = study_schema()
    parts = {"Study": schema, **schema["$defs"], "Measured": schema["$defs"]["Checkpoint"]}
    required = parts[part].get("required", [])
    rows = []
    for name, value in parts[part]["properties"].items():
        # What checkpoints and what is watched have in common stands in a table of its own.
        if part in ("Checkpoint", "Watch") and name in Measured.model_fields:
            continue
        if part == "Measured" and name not in Measured.model_fields:
            continue
        default = "required" if name in required else _default(value)
        rows.append([f"`{name}`", _type(value, schema["$defs"]), default, value["description"]])
    return _grid(["key", "type", "default", "meaning"], rows)


def _default(value: dict[str, Any]) -> str:
    default = value.get("default")
    if default and isinstance(default, dict):
        return "those below"
    if default is None or default in ([], {}):
        return "none"
    if isinstance(default, str) and default.strip():
        return f"`{default}`"
    return f"`{json.dumps(default)}`"


def _type(value: dict[str, Any], parts: dict[str, Any]) -> str:
    """What may stand at a key, in words."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        if name in _HEADINGS:
            return f"[keys and values](#{_HEADINGS[name]})"
        return "a source" if name.endswith("Source") else parts[name]["description"].rstrip(".")
    if choices := value.get("enum"):
        return " or ".join(f"`{choice}`" for choice in choices)
    if "const" in value:
        return f"`{value['const']}`"
    if alternatives := value.get("anyOf"):
        kinds = [_type(one, parts) for one in alternatives if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if value.get("type") == "array":
        most = f"up to {value['maxItems']:,} " if value.get("maxItems") else ""
        return f"list of {most}{_plural(_type(value['items'], parts))}"
    named = value.get("additionalProperties")
    if isinstance(named, dict) and "$ref" in named:
        return f"names, each with {_type(named, parts)}"
    kinds_of_values = {
        "string": "text",
        "boolean": "`true` or `false`",
        "integer": "whole number",
        "object": "keys and values",
    }
    return f"{kinds_of_values.get(value['type'], value['type'])}{_bounds(value)}"


def _plural(kind: str) -> str:
    return re.sub(r"^(a )?(whole number|number|text|source)\b", r"\2s", kind)


def _bounds(value: dict[str, Any]) -> str:
    words = {
        "minimum": "from",
        "exclusiveMinimum": "over",
        "maximum": "to",
        "exclusiveMaximum": "under",
    }
    bounds = [
        f"{word} {value[key]:,}"
        for key, word in words.items()
        if key in value and value[key] < _BEYOND_MEANING
    ]
    return f", {' '.join(bounds)}" if bounds else ""


def tables_listed() -> str:
    """Every table, and what it holds in a sentence."""
    rows = [
        [f"[`{table.name}`](#{table.name})", _first_sentence(table.description)]
        for table in declared_tables()
    ]
    return _grid(["table", "what it holds"], rows)


def tables() -> str:
    """Every table with its columns."""
    return "\n\n".join(_table(table) for table in declared_tables())


def _table(table: Table) -> str:
    files = "one file a checkpoint" if table.partitioned else "one file"
    if table.folder:
        files = "a view over the files of all measures"
    grain = ", ".join(f"`{name}`" for name in table.grain)
    empty = " It may be empty." if table.may_be_empty else ""
    rows = [
        [f"`{column.name}`", f"`{column.type}`", column.unit or "", column.meaning]
        for column in table.columns
    ]
    return (
        f"### {table.name} {{#{table.name}}}\n\n{_prose(table.description)}\n\n"
        f"A row is identified by {grain}; {files}.{empty}\n\n"
        f"{_grid(['column', 'type', 'unit', 'meaning'], rows)}"
    )


def measures() -> str:
    """Every measure by what it is about."""
    by_group: dict[str, list[Measure]] = {}
    for measure in declared_measures(PLACEHOLDERS):
        by_group.setdefault(measure.group, []).append(measure)
    return "\n\n".join(
        f"### About {group}\n\n" + "\n\n".join(_measure(measure) for measure in by_group[group])
        for group in GROUPS
        if group in by_group
    )


def measures_listed() -> str:
    """Every measure in a line."""
    listed = sorted(declared_measures(PLACEHOLDERS), key=lambda m: (GROUPS.index(m.group), m.name))
    rows = [
        [f"[`{measure.name}`](#{measure.name})", measure.title, measure.group, measure.format]
        for measure in listed
    ]
    return _grid(["measure", "what charts call it", "about", "format"], rows)


def _measure(measure: Measure) -> str:
    level = f"by {measure.level}" if measure.level else ""
    is_quoted = measure.headline is not None
    quoted = f"quoted at {measure.level} = {measure.headline}" if is_quoted else ""
    facts = [
        ["format", measure.format],
        ["statistic", f"{measure.statistic} over {_items(measure)}"],
        ["levels", "; ".join(filter(None, [level, quoted]))],
        ["floor", f"`{measure.floor}`" if measure.floor else ""],
        ["comparable", measure.comparable or ""],
        ["may be empty", measure.empty or ""],
        ["read from", ", ".join(f"[`{name}`](tables.md#{name})" for name in measure.reads)],
        ["in a sentence", measure.says],
    ]
    listed = "\n".join(f"- {name}: {_prose(fact)}" for name, fact in facts if fact)
    return f"#### {measure.name} {{#{measure.name}}}\n\n{_prose(measure.description)}\n\n{listed}"


def _items(measure: Measure) -> str:
    """What it is averaged over, such as `prompts (documents under the condition gold)`."""
    others = "".join(f" ({item}s under the condition `{name}`)" for name, item in measure.items_of)
    return f"{measure.item}s{others}"


def figures() -> str:
    """Every figure in the order of the report."""
    rows = [
        [f"`{figure.name}`", figure.title, figure.claim, figure.paper or ""] for figure in FIGURES
    ]
    return _grid(["figure", "what it shows", "the statement that it tests", "in the paper"], rows)


_PARTS: dict[str, Callable[..., str]] = {
    "keys": keys,
    "tables": tables,
    "tables-listed": tables_listed,
    "measures": measures,
    "measures-listed": measures_listed,
    "figures": figures,
}
"""What a page may ask for."""


def _grid(heads: list[str], rows: Iterable[list[str]]) -> str:
    """A table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return _prose(text).replace("|", "\\|")


def _prose(text: str) -> str:
    """A text in which nothing but code is Markdown or HTML."""
    pieces = _CODE.split(text)
    return "".join(
        piece if i % 2 else piece.replace("<", "&lt;").replace("*", "\\*")
        for i, piece in enumerate(pieces)
    )


def _first_sentence(text: str) -> str:
    sentence, stop, _ = text.partition(". ")
    return sentence + "." if stop else text


def main() -> None:
    """Writes the pages that have generated parts."""
    for path in sorted(PAGES.glob("*.md")):
        page = path.read_text(encoding="utf-8")
        if (now := generated(page)) != page:
            path.write_text(now, encoding="utf-8")
            print(f"{path.name} is written anew")


if __name__ == "__main__":
    main()
