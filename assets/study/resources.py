"""What an asset takes of a cluster's machine: nothing that changes a value."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictInt, StrictStr

from assets.study.part import Part

_Amount = Annotated[float, Field(strict=True, ge=0, le=1_000_000)]


class Resources(Part):
    """What an asset takes of a machine of a Ray cluster while its run goes on.

    Attributes:
        num_cpus: Processors; a fraction shares one.
        num_gpus: GPUs; a fraction shares one.
        memory: Bytes of memory.
        custom: Resources that the cluster's nodes were given names for, such as `{a100: 1}`.
    """

    num_cpus: _Amount | None = None
    num_gpus: _Amount | None = None
    memory: Annotated[StrictInt, Field(ge=1, lt=1 << 63)] | None = None
    custom: dict[StrictStr, _Amount] = Field(default={})
