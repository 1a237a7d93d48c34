"""The graph of a study's assets: what belongs in the lake, and what of it is stale."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from assets.lineage.asset import TableAsset
from assets.lineage.context import AssetContext, Upstream
from assets.lineage.data_version import DataVersion
from assets.lineage.order import in_order
from assets.lineage.progress import Silent
from assets.lineage.reasons import DAMAGED, NOT_MADE_YET, why_stale
from assets.lineage.selection import assets_named
from assets.study.digests import digest
from models import ModelPool
from models.files import one_look
from warehouse import Limits
from warehouse.tables import MEASURES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from assets.lineage.asset import Asset
    from assets.lineage.progress import Progress
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study
    from warehouse import Lake

Node = tuple[str, str | None]
"""An asset's name and, where it is partitioned, a checkpoint's."""


class Versions(Protocol):
    """Gives a node's data version; None where there is none."""

    def __call__(
        self, name: str, partition: str | None, without: Collection[str] = ()
    ) -> str | None:
        """Gives it, as it would be without some of its parameters."""


class AssetGraph:
    """The assets of a study, each after what it reads.

    Attributes:
        study: The study.
        lake: The lake.
        assets: The assets, by name.
        tables: The declarations of all tables, by name.
    """

    def __init__(self, study: Study, lake: Lake, assets: Iterable[Asset]) -> None:
        """Puts assets in order.

        Args:
            study: The study.
            lake: The lake.
            assets: All assets that there are; what they read and is none of them is never there.

        Raises:
            graphlib.CycleError: Some of them read each other in a circle.
        """
        self.study = study.model_copy()  # what is found out of its files is remembered by copy
        self.lake = lake
        self.assets = {asset.name: asset for asset in in_order(assets)}
        tables = [asset.table for asset in self.assets.values() if isinstance(asset, TableAsset)]
        # The tables of measures are looked at together.
        self.tables = {table.name: table for table in tables if not table.folder}
        self.tables[MEASURES.name] = MEASURES
        with_models = [asset for asset in self.assets.values() if asset.uses_model]
        self._models = {name for asset in with_models for name in (asset.name, *asset.reads)}
        self._after: dict[Node, DataVersion] = {}
        self._made: set[Node] | None = None
        self._partitions: dict[str, dict[str | None, None]] = {}
        self._checkpoints = {checkpoint.name: checkpoint for checkpoint in study.checkpoints}
        self._gone = {checkpoint.name for checkpoint in study.checkpoints if checkpoint.is_gone}

    # What there is.

    @property
    def present(self) -> list[Asset]:
        """The assets that the study has something for."""
        return [asset for asset in self.assets.values() if self.partitions(asset.name)]

    def partitions(self, name: str) -> Collection[str | None]:
        """The partitions that an asset has: checkpoints of the study, or the one without a name.

        It has none where the study has nothing for it, or nothing for what it reads.
        """
        if name not in self._partitions:
            candidates: list[str | None] = [None]
            if self.assets[name].partitioned:
                candidates = [*self._checkpoints]
            self._partitions[name] = dict.fromkeys(p for p in candidates if self._applies(name, p))
        return self._partitions[name]

    def has(self, name: str, partition: str | None) -> bool:
        """Whether the study has something for this partition of an asset."""
        return partition in self.partitions(name)

    def _applies(self, name: str, partition: str | None) -> bool:
        asset = self.assets[name]
        if not asset.applies(self.study, self.checkpoint(partition)):
            return False
        if self._is_frozen(name, partition) and asset.stored(self.lake, partition) is None:
            return False
        for required in set(asset.reads) - set(asset.optional):
            available = self.partitions(required)
            alike = partition is not None and self.assets[required].partitioned
            if not available or (alike and partition not in available):
                return False
        return not asset.gathers or any(self.has(read, partition) for read in asset.optional)

    def checkpoint(self, name: str | None) -> Checkpoint | None:
        """The study's checkpoint of this name.

        Raises:
            InputError: There is none.
        """
        if name is None:
            return None
        return self._checkpoints.get(name) or self.study.checkpoint(name)

    def is_gone(self, checkpoint: str) -> bool:
        """Whether a registered checkpoint's weights are not there any more."""
        return checkpoint in self._gone

    def _is_frozen(self, name: str, partition: str | None) -> bool:
        """Whether it stays as it is, as it is made by a model that is gone, or for one."""
        return partition in self._gone and name in self._models

    # Which of it is meant.

    def select(self, names: Iterable[str], checkpoints: Iterable[str] = ()) -> list[Node]:
        """What is to be looked at: what is named, and all that it reads.

        An asset that gathers others, and is not named itself, gathers what there is of them.

        Args:
            names: Of assets or groups; a figure's also without its group. None stands for all.
            checkpoints: Names of checkpoints; none stands for all.

        Returns:
            Nodes in the order of the assets.

        Raises:
            InputError: A name means nothing.
        """
        wanted = {checkpoint.name for checkpoint in map(self.study.checkpoint, checkpoints)}
        named = self.named(names)
        chosen = set(named)
        for name in reversed(self.assets):
            if name in chosen:
                asset = self.assets[name]
                left = asset.optional if asset.gathers and name not in named else ()
                chosen.update(set(asset.reads) - set(left))
        return [
            (name, partition)
            for name in self.assets
            if name in chosen
            for partition in self.partitions(name)
            if partition is None or not wanted or partition in wanted
        ]

    def named(self, names: Iterable[str]) -> set[str]:
        """The assets that are named, themselves or by their group; none named stands for all.

        Raises:
            InputError: A name means nothing.
        """
        matching = {match for name in names for match in assets_named(name, self.assets.values())}
        return matching or set(self.assets)

    # What is read.

    def upstream(self, name: str, partition: str | None) -> dict[str, list[str | None]]:
        """What a node reads: names, and of each the partitions; without what the study lacks."""
        asset = self.assets[name]
        checkpoint = self.checkpoint(partition)
        partners = []
        if checkpoint is not None and asset.of_partners:
            partners = [p.name for p in asset.partners(self.study, checkpoint)]
        upstream = {}
        for upstream_name in asset.reads:
            partitions = self.partitions(upstream_name)
            if partition and self.assets[upstream_name].partitioned:
                wanted = [partition, *(partners if upstream_name in asset.of_partners else [])]
                partitions = [p for p in wanted if p in partitions]
            if partitions:
                upstream[upstream_name] = list(partitions)
        return upstream

    def missing(self, name: str, partition: str | None) -> list[str]:
        """What a node cannot do without and the lake does not have."""
        return [
            upstream_name
            for upstream_name, partitions in self.upstream(name, partition).items()
            if upstream_name not in self.assets[name].optional
            and not any(self._stored_version(upstream_name, p) for p in partitions)
        ]

    def context(
        self,
        name: str,
        partition: str | None = None,
        *,
        models: ModelPool | None = None,
        progress: Progress | None = None,
        limits: Limits | None = None,
        force: bool = False,
    ) -> AssetContext:
        """What an asset is given to make a partition, of what the lake has at this moment.

        Args:
            name: The asset's name.
            partition: The checkpoint's name; None where the asset has no partitions.
            models: Gives the loaded model.
            progress: Told how far long work is.
            limits: The limits of DuckDB sessions.
            force: Whether to make anew what could be reused.
        """
        return AssetContext(
            study=self.study,
            lake=self.lake,
            checkpoint=self.checkpoint(partition),
            scope=self._scope(name, self._stored_version),
            tables=self.tables,
            upstream={
                upstream_name: Upstream(
                    upstream_name,
                    tuple(partitions),
                    partial(self.assets[upstream_name].stored, self.lake),
                )
                for upstream_name, partitions in self.upstream(name, partition).items()
            },
            models=models or ModelPool(),
            progress=progress or Silent(),
            limits=limits or Limits(),
            force=force,
        )

    # What is stale.

    @one_look()
    def stale(self, nodes: Iterable[Node]) -> dict[Node, str]:
        """Those of the nodes that the lake does not have as they would be made now, and why."""
        nodes = list(nodes)
        self._after, self._made = {}, set(nodes)
        if len(nodes) > 500:  # for fewer it does not pay to look at the whole lake
            self.lake.look_ahead(self.tables.values())
        stale: dict[Node, str] = {}
        for name, partition in nodes:
            if self._is_frozen(name, partition):
                continue
            stored = self.assets[name].stored(self.lake, partition)
            after = self._version_after(name, partition)
            if stored is None:
                damaged = self.assets[name].is_damaged(self.lake, partition)
                stale[name, partition] = DAMAGED if damaged else NOT_MADE_YET
            elif stored.data_version != after.digest:
                stale[name, partition] = why_stale(
                    self.assets[name].code,
                    DataVersion.from_json(stored.parts),
                    after,
                    {stale_name for stale_name, _ in stale},
                )
        self._after, self._made = {}, None
        return stale

    def code_versions(self) -> dict[str, str]:
        """Of each asset a digest of its code and the study's settings, and of what it reads.

        Whatever the checkpoint, what changes it changes the asset; so Dagster, which has one code
        version for all partitions, is told of a study that was changed.
        """
        versions: dict[str, str] = {}
        changed = self.study.thresholds.changed()
        tuned = {f"thresholds.{key}": value for key, value in changed.items()}
        for name, asset in self.assets.items():
            settings = self.study.model_dump(mode="json", include=set(asset.settings))
            settings |= {key: value for key, value in tuned.items() if key in asset.settings}
            upstream = {read: versions[read] for read in asset.counted}
            versions[name] = digest([asset.version, settings, upstream])[:16]
        return versions

    def data_version_after(
        self, name: str, partition: str | None, without: Collection[str] = ()
    ) -> str | None:
        """The data version that a node has once all that it reads is up to date."""
        if self._is_frozen(name, partition):
            return self._stored_version(name, partition, without)
        return self._version_after(name, partition).without(without).digest

    def _version_after(self, name: str, partition: str | None) -> DataVersion:
        if (name, partition) not in self._after:
            asset = self.assets[name]
            version_of = partial(self._gathered_after, asset) if asset.gathers else None
            data_version = self._data_version(
                name, partition, version_of or self.data_version_after
            )
            assert data_version is not None
            self._after[name, partition] = data_version
        return self._after[name, partition]

    def _gathered_after(
        self, asset: Asset, name: str, partition: str | None, without: Collection[str] = ()
    ) -> str | None:
        """`data_version_after`, for an asset that gathers what there is of some others.

        While it is asked what of some nodes is stale, those others that are none of them stay as
        the lake has them.
        """
        is_made = self._made is None or (name, partition) in self._made
        if name in asset.optional and not is_made:
            return self._stored_version(name, partition, without)
        return self.data_version_after(name, partition, without)

    def data_version_now(self, name: str, partition: str | None) -> DataVersion | None:
        """The data version of a node if made now; None where the lake lacks what it reads."""
        return self._data_version(name, partition, self._stored_version)

    def _stored_version(
        self, name: str, partition: str | None, without: Collection[str] = ()
    ) -> str | None:
        stored = self.assets[name].stored(self.lake, partition)
        if stored is None:
            return None
        parts = DataVersion.from_json(stored.parts) if without else None
        if parts is None or parts.without(without) is parts:
            return stored.data_version
        return parts.without(without).digest

    def stale_upstream(self, name: str, partition: str | None) -> list[str]:
        """What does not count in a node's data version, and is not as it would be made now.

        Of these the asset's parameters hold what matters, so they must be what the study says.
        """
        return [
            upstream_name
            for upstream_name, partitions in self.upstream(name, partition).items()
            if upstream_name not in self.assets[name].counted
            and any(
                (stored := self._stored_version(upstream_name, p)) is not None
                and stored != self._fresh_version(upstream_name, p)
                for p in partitions
            )
        ]

    def _fresh_version(
        self, name: str, partition: str | None, without: Collection[str] = ()
    ) -> str | None:
        """`data_version_after`, of what is read as it is at this moment."""
        if self._is_frozen(name, partition):
            return self._stored_version(name, partition, without)
        data_version = self._data_version(name, partition, self._fresh_version)
        return data_version.without(without).digest if data_version else None

    def _scope(self, name: str, version_of: Versions) -> Study:
        """The study with those checkpoints alone that an asset is about."""
        asset = self.assets[name]
        if asset.over == "all":
            return self.study
        required = set(asset.reads) - set(asset.optional)
        partitioned = [n for n in asset.reads if n in required and self.assets[n].partitioned]
        complete = set()
        for checkpoint in self.study.checkpoints:
            read = [n for n in partitioned if self.has(n, checkpoint.name)]
            if read and all(version_of(n, checkpoint.name) for n in read):
                complete.add(checkpoint.name)
        study = self.study.limited_to(complete)
        return study.limited_to(study.compared()) if asset.over == "compared" else study

    def _data_version(
        self, name: str, partition: str | None, version_of: Versions
    ) -> DataVersion | None:
        asset = self.assets[name]
        study = self._scope(name, version_of)
        in_scope = self._checkpoints  # not put together anew for each of its own partitions
        if asset.over != "all":
            in_scope = {checkpoint.name: checkpoint for checkpoint in study.checkpoints}
        upstream = {}
        for upstream_name, partitions in self.upstream(name, partition).items():
            # A checkpoint that failed does not keep the others from the figures.
            read = [p for p in partitions if p is None or p in in_scope]
            labels = self.assets[upstream_name].labels if upstream_name in asset.unlabelled else ()
            versions = {
                p or "": version
                for p in read
                if (version := version_of(upstream_name, p, without=labels))
            }
            if not versions and upstream_name not in asset.optional:
                return None
            if upstream_name in asset.counted:
                upstream[upstream_name] = digest(versions)[:16]
        parameters = asset.parameters(study, self.checkpoint(partition))
        return DataVersion(
            code=asset.version,
            parameters={key: digest(value)[:16] for key, value in parameters.items()},
            upstream=upstream,
        )
