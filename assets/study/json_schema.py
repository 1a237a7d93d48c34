"""The JSON Schema of study files, made from what declares their keys; editors complete by it.

A key is described where its class is, under `Attributes:`. What stands here is how a value is
written in YAML, for types that a study reads from something else.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema

from assets.study.datasets import DatasetSource
from assets.study.study import Study
from models import Decoding, Reasoning, Source

if TYPE_CHECKING:
    from pydantic_core import core_schema

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ENTRY = re.compile(r"^    (\w+): (.*(?:\n {8,}.*)*)", re.MULTILINE)
"""A key and its meaning, which goes on in lines that are indented further."""
_TEXT = {"type": "string", "minLength": 1}


def _source(schemes: dict[str, str]) -> dict[str, Any]:
    usages = "; ".join(schemes.values())
    return {
        "type": "string",
        "pattern": f"^({'|'.join(schemes)}):.",
        "description": f"One of: {usages}.",
    }


_WRITTEN: dict[type, dict[str, Any]] = {
    Source: _source(Source.SCHEMES),
    DatasetSource: _source(DatasetSource.SCHEMES),
    Decoding: {
        "description": "`greedy`, or `{top_p: P}`, and in its place or beside it `top_k: K`, "
        "`min_p: M` and `temperature: T`; `cautious: true` or `rules: true` come on top, with keys "
        "of their own.",
        "anyOf": [
            {"enum": ["greedy", "cautious", "rules"]},
            {"type": "string", "pattern": "^((top_k|top_p|min_p|temperature)=|(cautious|rules),)"},
            {
                "type": "object",
                "properties": {
                    "top_p": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                    "temperature": {"type": "number", "exclusiveMinimum": 0},
                    "top_k": {"type": "integer", "minimum": 2},
                    "min_p": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                    "greedy": {"const": True},
                    "cautious": {"const": True},
                    "trials": {"type": "integer", "minimum": 2},
                    "low": {"type": "number", "minimum": 0},
                    "high": {"type": "number", "exclusiveMinimum": 0},
                    "rules": {"const": True},
                    "end": {"type": "number"},
                    "repeat": {"type": "number"},
                    "words": {"type": "object", "additionalProperties": {"type": "number"}},
                },
                "additionalProperties": False,
                "minProperties": 1,
            },
        ],
    },
    Reasoning: {
        "description": "`true`, for <think> and </think>, or `{start: TEXT, end: TEXT}`.",
        "anyOf": [
            {"type": "boolean"},
            {
                "type": "object",
                "properties": {"start": _TEXT, "end": _TEXT},
                "additionalProperties": False,
                "minProperties": 1,
            },
        ],
    },
}
"""How the values of some classes are written in a study file."""


def study_schema() -> dict[str, Any]:
    """The JSON Schema of a study file."""
    return {"$schema": _DIALECT, **Study.model_json_schema(schema_generator=_Generator)}


def described(part: type) -> dict[str, str]:
    """What the keys of a part of a study mean, those of its base classes included."""
    meanings: dict[str, str] = {}
    for cls in reversed(part.__mro__):
        section = inspect.cleandoc(cls.__dict__.get("__doc__") or "").partition("Attributes:\n")[2]
        for name, text in _ENTRY.findall(section):
            meaning = " ".join(text.split())
            meanings[name] = meaning[0].upper() + meaning[1:]
    return meanings


class _Generator(GenerateJsonSchema):
    """Pydantic's generator, with what keys mean, and values as they are written."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Titles would say a key again in other letters."""
        return False

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> dict[str, Any]:
        """What a value that is read from a text, or from several forms, looks like."""
        return _WRITTEN.get(schema["cls"]) or super().dataclass_schema(schema)

    def path_schema(self, schema: Any) -> dict[str, Any]:
        """A path is a text."""
        return {"type": "string"}

    def model_schema(self, schema: core_schema.ModelSchema) -> dict[str, Any]:
        """A part of a study, and what its keys mean."""
        part = super().model_schema(schema)
        part.pop("title", None)
        part["description"] = inspect.cleandoc(schema["cls"].__doc__ or "").partition("\n\n")[0]
        meanings = described(schema["cls"])
        for key, value in part["properties"].items():
            if key in meanings:
                value["description"] = meanings[key]
            if isinstance(schema["cls"].model_fields[key].default, Path):
                del value["default"]  # a place on this machine
        return part
