"""What the things of a study are called in Dagster.

A study's `dagster.prefix` comes before all of it, so that several studies can be in one instance,
one code location or one `Definitions`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin

if TYPE_CHECKING:
    from dagster._core.remote_origin import RemoteJobOrigin

    from assets.study.study import Study

_NO_NAME = re.compile(r"[^\w.-]+")


@dataclass(frozen=True)
class Names:
    """The names of a study's assets, partitions, jobs and sensor.

    Attributes:
        prefix: The study's; empty where it has none.
        location: The code location; that of `anchorlake ui` is named after the study.
    """

    prefix: str
    location: str

    @classmethod
    def of(cls, study: Study, location: str | None = None) -> Names:
        """Those of a study, in a code location of another name where one is given."""
        return cls(study.dagster.prefix or "", location or _NO_NAME.sub("-", study.name))

    def key(self, asset: str) -> dg.AssetKey:
        """The key of an asset: `ngram_sharing`, or `figures/ngram_sharing`, after the prefix."""
        return dg.AssetKey([*self._first, *asset.split("/")])

    def asset(self, path: list[str]) -> str:
        """The asset that a key is of; the other way round."""
        return "/".join(path[len(self._first) :])

    def name(self, name: str) -> str:
        """The name of a partitions definition, a job, a sensor or a schedule."""
        return "_".join([*self._first, name])

    @property
    def dimension(self) -> str:
        """The name of the one dimension that assets are partitioned by."""
        return self.name("checkpoint")

    @property
    def partitions(self) -> dg.DynamicPartitionsDefinition:
        """That dimension."""
        return dg.DynamicPartitionsDefinition(name=self.dimension)

    @property
    def repository(self) -> str:
        """How a run's tag names the code location."""
        return self._repository.get_label()

    def origin(self, job: str) -> RemoteJobOrigin:
        """Where the UI looks for a job; runs without it are not in its timeline."""
        return self._repository.get_job_origin(job)

    @property
    def _repository(self) -> RemoteRepositoryOrigin:
        return RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(self.location), "__repository__")

    @property
    def _first(self) -> list[str]:
        return [self.prefix] if self.prefix else []
