"""Making an asset, unless the lake has it as it would be made."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from time import perf_counter
from typing import TYPE_CHECKING

from filelock import Timeout

from assets.lineage.pace import remember
from assets.lineage.progress import Silent
from assets.lineage.staging import forget_staged, staged_partitions
from assets.study.errors import InputError
from assets.study.ownership import claim

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from filelock import FileLock

    from assets.lineage.asset import Materialization
    from assets.lineage.graph import AssetGraph, Node
    from assets.lineage.progress import Progress
    from models import ModelPool
    from warehouse import Lake, Limits


def materialize(
    graph: AssetGraph,
    name: str,
    partition: str | None = None,
    *,
    models: ModelPool | None = None,
    progress: Progress | None = None,
    limits: Limits | None = None,
    force: bool = False,
) -> Materialization | None:
    """Makes an asset unless the lake has it as it would be made, and it is not forced.

    Args:
        graph: The assets of the study.
        name: The asset's name.
        partition: The checkpoint's name; None where the asset has no partitions.
        models: Gives the loaded model.
        progress: Told how far long work is.
        limits: The limits of DuckDB sessions.
        force: Whether to make it anyway, and anew what could be reused.

    Returns:
        What making it gave; None where it was up to date.

    Raises:
        InputError: Something that it reads is not there, or the lake belongs to another study.
    """
    claim(graph.lake, graph.study)
    # Nothing is made twice at once; and of what every checkpoint's run makes, such as figures, the
    # last has seen what all the others made.
    with _locked(graph.lake, name, partition, progress or Silent()):
        data_version = graph.data_version_now(name, partition)
        if data_version is None:
            missing = graph.missing(name, partition)
            raise InputError(
                f"{name} reads {', '.join(missing)}, which the lake does not have yet; "
                "materialize it first"
            )
        # What does not count in the data version must be what the parameters say that it is.
        if stale := graph.stale_upstream(name, partition):
            raise InputError(
                f"{name} reads {', '.join(stale)}, which is stale; materialize it first"
            )
        asset = graph.assets[name]
        stored = asset.stored(graph.lake, partition)
        if stored is not None and stored.data_version == data_version.digest and not force:
            forget_staged(graph.lake, name, partition)
            return None
        context = graph.context(
            name, partition, models=models, progress=progress, limits=limits, force=force
        )
        start = perf_counter()
        made = asset.make(context, data_version)
        remember(graph.lake, name, partition, perf_counter() - start, made.notes)
        return made


def forget_leftovers(graph: AssetGraph, stale: Collection[Node]) -> None:
    """Removes what is staged of nodes that are up to date.

    A process was killed after it published them and before it emptied its staging. What another
    process works on is left alone.

    Args:
        graph: The assets of the study.
        stale: The nodes that are not up to date.
    """
    for name in graph.assets:
        for partition in staged_partitions(graph.lake, name):
            if (name, partition) not in stale and graph.has(name, partition):
                lock = _lock(graph.lake, name, partition)
                with suppress(Timeout), lock.acquire(blocking=False):
                    forget_staged(graph.lake, name, partition)


def _lock(lake: Lake, name: str, partition: str | None) -> FileLock:
    key = name.replace("/", ".")
    return lake.lock(f"{key}.{partition}" if partition else key)


@contextmanager
def _locked(lake: Lake, name: str, partition: str | None, progress: Progress) -> Iterator[None]:
    """Holds a lock on what is made, which a command and the daemon's runs may want to make at once.

    Whoever has to wait for it is told so.
    """
    lock = _lock(lake, name, partition)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        node = f"{name} of {partition}" if partition else name
        progress.say(f"waiting for another run, which is making {node}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
