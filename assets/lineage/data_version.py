"""The data version of an asset: a digest of all that its result depends on, and its parts."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from assets.study.digests import digest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


@dataclass(frozen=True)
class DataVersion:
    """All that an asset's result depends on, digested part by part.

    Attributes:
        code: The version of the code that makes it.
        parameters: The digest of each value of the study, or of what it names, by name.
        upstream: The digest of the data versions of each asset that it reads, by name.
    """

    code: str
    parameters: Mapping[str, str]
    upstream: Mapping[str, str]

    @cached_property
    def digest(self) -> str:
        """Tells the data version from any other."""
        return digest(self._parts)

    def to_json(self) -> str:
        """The parts as they stand in a footer."""
        return json.dumps(self._parts)

    @classmethod
    def from_json(cls, text: str) -> DataVersion | None:
        """Reads the parts back; None where an older version of Anchorlake wrote none."""
        if not text:
            return None
        parts = json.loads(text)
        return cls(parts["code"], parts["parameters"], parts["inputs"])

    def without(self, parameters: Collection[str]) -> DataVersion:
        """The data version that it would be if there were no such parameters."""
        if self.parameters.keys().isdisjoint(parameters):
            return self
        kept = {name: value for name, value in self.parameters.items() if name not in parameters}
        return replace(self, parameters=kept)

    @property
    def _parts(self) -> dict[str, object]:
        # Lakes hold digests of these keys, so they keep their names.
        return {
            "code": self.code,
            "parameters": dict(self.parameters),
            "inputs": dict(self.upstream),
        }
