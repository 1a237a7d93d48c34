"""Ladders: the stages of post-training that a model went through, in their order."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from pydantic import StrictStr, field_validator

from assets.study.errors import meant, names_of
from assets.study.part import Part
from assets.study.parts import Name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from assets.study.checkpoints import Checkpoint


class Ladder(Part):
    """Stages of post-training, each made from the one before it: base, SFT, DPO, RL.

    Attributes:
        name: What figures and tables call the ladder.
        checkpoints: Names of the study's checkpoints, the base first.
    """

    name: Name
    checkpoints: tuple[StrictStr, ...]

    @field_validator("checkpoints")
    @classmethod
    def _check_checkpoints(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(names) < 2:
            raise ValueError(
                f"a ladder needs at least 2 checkpoints, the base first, and has {len(names)}"
            )
        for name, number in Counter(names).items():
            if number > 1:
                raise ValueError(f"has {name!r} twice; a checkpoint stands on a ladder once")
        return names

    @property
    def base(self) -> str:
        """The name of its first checkpoint."""
        return self.checkpoints[0]


def check_ladders(ladders: Sequence[Ladder], checkpoints: Sequence[Checkpoint]) -> None:
    """Holds ladders against each other and against the checkpoints of their study.

    Raises:
        ValueError: Two have one name, a checkpoint is none of the study's or stands where it
            cannot, or two stages of a ladder are called the same.
    """
    by_name = {checkpoint.name: checkpoint for checkpoint in checkpoints}
    names = Counter(ladder.name for ladder in ladders)
    first_of: dict[str, Ladder] = {}
    for ladder in ladders:
        if names[ladder.name] > 1:
            raise ValueError(f"ladders has two of the name {ladder.name!r}; rename one")
        stages: dict[str, str] = {}
        for name in ladder.checkpoints:
            if name not in by_name:
                raise ValueError(
                    f"ladders: {name!r} on the ladder {ladder.name!r} is none of the study's "
                    f"checkpoints ({names_of(by_name)}){meant(name, by_name)}"
                )
            other = first_of.setdefault(name, ladder)
            if other is not ladder and not (other.base == ladder.base == name):
                raise ValueError(
                    f"ladders: {name!r} stands on {other.name!r} and on {ladder.name!r}; only the "
                    "first checkpoint of a ladder may stand on another one, also as its first"
                )
            stage = by_name[name].stage or name
            if stages.setdefault(stage, name) != name:
                raise ValueError(
                    f"ladders: {stages[stage]!r} and {name!r} on the ladder {ladder.name!r} are "
                    f"both called {stage!r}; give one of them another `stage:`"
                )


def with_bases(checkpoints: Any, ladders: Iterable[Ladder]) -> Any:
    """Gives checkpoints on a ladder that name no base the ladder's first as their base.

    Args:
        checkpoints: What a study file says of its checkpoints, whether valid or not.
        ladders: The study's ladders.
    """
    bases = {name: ladder.base for ladder in ladders for name in ladder.checkpoints[1:]}
    if not isinstance(checkpoints, list) or not bases:
        return checkpoints

    def completed(values: Any) -> Any:
        if not isinstance(values, dict) or values.get("base") is not None:
            return values
        name = values.get("name")
        base = bases.get(name) if isinstance(name, str) else None
        return values if base is None else {**values, "base": base}

    return [completed(values) for values in checkpoints]


def in_ladder_order(
    checkpoints: Iterable[Checkpoint], ladders: Iterable[Ladder]
) -> tuple[Checkpoint, ...]:
    """Checkpoints in the order of their ladders, and after them the others as they are listed."""
    names = dict.fromkeys(name for ladder in ladders for name in ladder.checkpoints)
    places = {name: place for place, name in enumerate(names)}
    return tuple(sorted(checkpoints, key=lambda c: places.get(c.name, len(places))))
