"""What an asset is given to make one of its partitions, and what it says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from assets.lineage.progress import Progress, Silent
from assets.lineage.signature import Signature
from models import ModelPool
from warehouse import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study
    from warehouse import Lake, Provenance, Table


@dataclass(frozen=True)
class Upstream:
    """An asset that another one reads.

    Attributes:
        name: Its name.
        partitions: Those of its partitions that are read, whether or not the lake has them yet.
        provenance: Gives the provenance of a partition; None where the lake does not have it.
    """

    name: str
    partitions: tuple[str | None, ...]
    provenance: Callable[[str | None], Provenance | None]

    def signature(self, partition: str | None = None) -> Signature:
        """The signature of what a partition holds, without the version that closes it."""
        stored = self.provenance(partition)
        if stored is None:
            return Signature.named(self.name, "none")
        return Signature.parse(stored.signature).without_version()


@dataclass
class AssetContext:
    """What one partition of an asset is made from, and what making it has to say.

    Attributes:
        study: The study, with all its checkpoints.
        lake: Where tables are.
        checkpoint: The partition; None where the asset has none.
        scope: The study with those checkpoints alone that the asset is about.
        tables: The declarations of all tables, by name.
        upstream: What the asset reads and the study has, by name.
        models: Gives the loaded model.
        progress: Told how far long work is.
        limits: The limits of DuckDB sessions.
        force: Whether to make anew what could be reused.
        notes: What the asset's metadata says beside rows and time; filled while making.
        footer: What the file's footer says beside its provenance; filled while making.
    """

    study: Study
    lake: Lake
    checkpoint: Checkpoint | None
    scope: Study
    tables: Mapping[str, Table]
    upstream: Mapping[str, Upstream]
    models: ModelPool = field(default_factory=ModelPool)
    progress: Progress = field(default_factory=Silent)
    limits: Limits = field(default_factory=Limits)
    force: bool = False
    notes: dict[str, Any] = field(default_factory=dict)
    footer: dict[str, str] = field(default_factory=dict)

    def upstream_signature(self) -> Signature:
        """The signatures of all that is read, each once."""
        signatures = {
            upstream.signature(partition)
            for upstream in self.upstream.values()
            for partition in upstream.partitions
        }
        return sum(sorted(signatures, key=str), Signature())

    @property
    def partition(self) -> str | None:
        """The checkpoint's name."""
        return self.checkpoint.name if self.checkpoint else None
