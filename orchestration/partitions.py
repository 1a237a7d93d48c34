"""The partitions of a study in an instance: its checkpoints."""

from collections.abc import Iterable

import dagster as dg

from assets.study.study import Study
from orchestration.names import Names


def register(instance: dg.DagsterInstance, study: Study) -> None:
    """Makes a study's checkpoints partitions; their names were checked when it was read."""
    names = [checkpoint.name for checkpoint in study.checkpoints]
    instance.add_dynamic_partitions(Names.of(study).dimension, names)


def forget(instance: dg.DagsterInstance, study: Study, names: Iterable[str]) -> None:
    """Takes partitions out again; what ran of them stays in Dagster's history."""
    dimension = Names.of(study).dimension
    for name in names:
        instance.delete_dynamic_partition(dimension, name)
