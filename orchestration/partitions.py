"""The one dimension that assets are partitioned by."""

from collections.abc import Iterable

import dagster as dg

from assets.study.study import Study

CHECKPOINTS = dg.DynamicPartitionsDefinition(name="checkpoint")


def register(instance: dg.DagsterInstance, study: Study) -> None:
    """Makes a study's checkpoints partitions; their names were checked when it was read."""
    names = [checkpoint.name for checkpoint in study.checkpoints]
    instance.add_dynamic_partitions("checkpoint", names)


def forget(instance: dg.DagsterInstance, names: Iterable[str]) -> None:
    """Takes partitions out again; what ran of them stays in Dagster's history."""
    for name in names:
        instance.delete_dynamic_partition("checkpoint", name)
