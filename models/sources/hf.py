"""`hf:`, a model or an adapter on the Hugging Face hub."""

from __future__ import annotations

from typing import Any, ClassVar

from models.sources import hub
from models.sources.digests import digest_text
from models.sources.place import LocalWeights, Place


class HubModel(Place):
    """A repository, at a revision or at its newest."""

    SCHEME: ClassVar = "hf"
    USAGE: ClassVar = (
        "hf:org/name or hf:org/name@revision, a model or adapter on the Hugging Face hub"
    )
    RANK: ClassVar = 40
    MAY_BE_ADAPTER: ClassVar = True
    ON_DISK: ClassVar = False

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

    def tokenizer_arguments(self) -> dict[str, Any]:
        """The repository and the commit, of which no weights are downloaded."""
        return {
            "pretrained_model_name_or_path": self.location.partition("@")[0],
            "revision": hub.hub_commit(self.location),
        }
