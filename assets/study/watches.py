"""Where a study watches for checkpoints, and how those are measured that appear there."""

from __future__ import annotations

import os
import re
from pathlib import Path
from string import Formatter
from typing import Any, Self

from pydantic import (
    Field,
    StrictStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from assets.study.measured import Measured
from assets.study.parts import Name
from models.names import is_repository, local_path

_DIGITS = re.compile(r"0?([1-9]|1[0-9]|20)d?")
"""How many digits a step is written with, with zeros before it."""
_NAMED = ("series", "step", "name", "parent")


class Watch(Measured):
    """Where checkpoints appear, and how those are measured that do.

    Attributes:
        dir: A pattern of folders, from the study's folder on; `*` stands for any part of a name,
            `{step}` for the digits of the training step.
        hf: A repository of the hub, `org/name`.
        revisions: A pattern of its branches and tags.
        series: What the steps count in; may hold `{name}` and `{parent}`.
        name: What a checkpoint is called; may hold `{series}` and `{step}` too.
    """

    dir: StrictStr | None = Field(default=None, min_length=1)
    hf: StrictStr | None = None
    revisions: StrictStr | None = Field(default=None, min_length=1)
    series: Name
    name: StrictStr = "{series}-{step}"

    @field_validator("dir", "revisions")
    @classmethod
    def _check_pattern(cls, pattern: str | None, info: ValidationInfo) -> str | None:
        if pattern is None:
            return None
        if set(pattern.replace("{step}", "", 1)) & set("{}[]?") or "**" in pattern:
            raise ValueError("a pattern may hold `*`, any part of a name, and one `{step}`")
        if info.field_name == "revisions":
            return pattern
        folder = (info.context or {}).get("folder", Path())
        return os.path.normpath(local_path(pattern, folder))

    @field_validator("series", "name")
    @classmethod
    def _check_template(cls, template: str, info: ValidationInfo) -> str:
        known = ("name", "parent") if info.field_name == "series" else _NAMED
        try:
            parts = [part for part in Formatter().parse(template) if part[1] is not None]
        except ValueError as error:
            raise ValueError(f"{error}; a name goes between {{ and }}") from None
        for _, field, digits, conversion in parts:
            if field not in known:
                raise ValueError(
                    f"{{{field}}} means nothing here; what does is "
                    + ", ".join(f"{{{name}}}" for name in known)
                )
            # What else Python's formats can do, such as fill up to a billion characters, is no use.
            if conversion or (digits and not (field == "step" and _DIGITS.fullmatch(digits))):
                raise ValueError(
                    f"{{{field}}} stands alone here; only a step may be given digits, as in "
                    "{step:06}, at most 20"
                )
        return template

    @field_validator("hf")
    @classmethod
    def _check_repository(cls, name: str | None) -> str | None:
        if name is not None and not (is_repository(name) and "/" in name):
            raise ValueError("it is no repository of the hub; write org/name, without a revision")
        return name

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        if (self.dir is None) == (self.hf is None):
            raise ValueError("needs either `dir:`, a pattern of folders, or `hf:`, a repository")
        if (self.hf is None) != (self.revisions is None):
            raise ValueError("`hf:` and `revisions:`, a pattern of branches and tags, go together")
        if "{" not in self.name.replace("{series}", self.series):
            raise ValueError("name: needs {step}, {name} or {parent}, which tell one from another")
        return self

    @model_validator(mode="after")
    def _check_weights(self) -> Self:
        if self.engine == "openai" or self.role == "human":
            raise ValueError("engine, role: weights are found here, no server and nobody's text")
        return self

    @property
    def place(self) -> str:
        """What is watched: `dir:PATTERN` or `hf:org/name@PATTERN`."""
        return f"dir:{self.dir}" if self.dir else f"hf:{self.hf}@{self.revisions}"

    def settings(self, origin: str) -> dict[str, Any]:
        """What a study file would say of a checkpoint found here, name, source and step aside."""
        return self.model_dump(include=set(Measured.model_fields)) | {
            "series": self.series.format(**words(origin))
        }


def words(origin: str) -> dict[str, str]:
    """`name`, of a checkpoint's folder or revision, and `parent`, of what that is in."""
    scheme, _, location = origin.partition(":")
    above, _, name = location.rpartition("/" if scheme == "dir" else "@")
    return {"name": name, "parent": above.rpartition("/")[2]}
