"""`tuned:`, an adapter that the study itself has trained on one of its checkpoints."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, NoReturn

from models.errors import ModelError
from models.sources.place import LocalWeights, Place

if TYPE_CHECKING:
    from pathlib import Path

_LOCATION = re.compile(r"[^@]+@[1-9][0-9]{0,8}", re.ASCII)


class TunedWeights(Place):
    """A tuning's name and a step of it.

    The name says what is trained, and nothing of where it is: that only a lake knows, which the
    study is measured in.
    """

    SCHEME: ClassVar = "tuned"
    USAGE: ClassVar = "tuned:NAME@STEP, what one of the study's `tunings:` has trained by a step"
    RANK: ClassVar = 45

    @classmethod
    def parse(cls, location: str, folder: Path) -> str:
        """Looks whether it names a tuning and a step."""
        if not _LOCATION.fullmatch(location):
            raise ValueError(
                f"{location!r} names no step of a tuning; write tuned:NAME@STEP, such as "
                "tuned:sft@40"
            )
        return location

    def check(self) -> None:
        """Finds nothing: a study's checkpoints know where theirs is."""
        self._refuse()

    def digest(self) -> str:
        """Finds nothing."""
        self._refuse()

    def locate(self) -> LocalWeights:
        """Finds nothing."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ModelError(
            f"{self} is trained by the study that has such a tuning; name it among its "
            "`checkpoints:`"
        )
