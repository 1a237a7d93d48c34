"""`hf:`, a model or an adapter on the Hugging Face hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from models.names import check_repository
from models.sources import hub
from models.sources.digests import digest_text
from models.sources.place import LocalWeights, Place

if TYPE_CHECKING:
    from pathlib import Path


class HubModel(Place):
    """A repository, at a revision or at its newest."""

    SCHEME: ClassVar = "hf"
    USAGE: ClassVar = (
        "hf:org/name or hf:org/name@revision, a model or adapter on the Hugging Face hub"
    )
    RANK: ClassVar = 40
    MAY_BE_ADAPTER: ClassVar = True
    ON_DISK: ClassVar = False

    @classmethod
    def parse(cls, location: str, folder: Path) -> str:
        """Looks whether the hub may have it."""
        try:
            check_repository(location)
        except ValueError as error:
            raise ValueError(f"hf:{location} {error}") from None
        return location

    def check(self) -> None:
        """Does not ask the hub: asking for the commit, as `digest` does, tells what is missing."""

    def digest(self) -> str:
        """A digest of the commit."""
        return digest_text(f"hf:{self.location}@{hub.hub_commit(self.location)}")

    def locate(self) -> LocalWeights:
        """A copy in the hub's cache, downloaded where it is not there yet."""
        folder, commit = hub.download(
            self.location,
            allow_pickle=self.allow_pickle,
            allow_remote_code=self.allow_remote_code,
        )
        return LocalWeights(folder, None, self.digest(), commit)

    def adapter_config(self) -> dict[str, Any] | None:
        """What the hub has of an adapter."""
        return hub.adapter_config(self.location)

    def tokenizer_folder(self) -> Path:
        """A copy in the hub's cache, for which no weights are downloaded."""
        folder, _ = hub.download(
            self.location, allow_remote_code=self.allow_remote_code, weights=False
        )
        return folder
