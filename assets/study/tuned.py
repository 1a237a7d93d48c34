"""The checkpoints that a study trains itself: what each is made from, and whether it can be."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pydantic import PrivateAttr

from assets.study.checkpoints import Checkpoint
from assets.study.digests import digest
from assets.study.errors import InputError, meant, names_of
from assets.study.files import unreadable_said
from assets.study.tunings import Tuning, tuning_and_step
from models import Source
from models.devices import resolve_device, resolve_dtype
from models.files import file_digest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Tuned(Checkpoint):
    """A checkpoint that the study trains: an adapter on its base, in the lake.

    Its digest is one of all that its weights are made from, so that it is known before they are.
    """

    _tuning: Tuning = PrivateAttr()
    _on: Checkpoint = PrivateAttr()
    _teacher: Checkpoint | None = PrivateAttr()
    _learned: tuple[int, int] = PrivateAttr()
    _weights: Path | None = PrivateAttr(default=None)

    @classmethod
    def of(
        cls,
        checkpoint: Checkpoint,
        tuning: Tuning,
        base: Checkpoint,
        teacher: Checkpoint | None,
        learned: tuple[int, int],
    ) -> Tuned:
        """A checkpoint of a study with what it is trained by.

        Args:
            checkpoint: As the study's file has it.
            tuning: The tuning that its source names.
            base: What is trained.
            teacher: Whose answers are learned; None where examples are.
            learned: The study's seed, and the tokens of an answer at most.
        """
        tuned = cls.model_construct(**dict(checkpoint))
        tuned._tuning, tuned._on, tuned._teacher, tuned._learned = tuning, base, teacher, learned
        return tuned

    def in_folder(self, weights: Path) -> Tuned:
        """The same with a folder that its weights are kept in, among others."""
        placed = self.model_copy()
        placed._weights = weights
        return placed

    @property
    def tuning(self) -> Tuning:
        """What it is trained by."""
        return self._tuning

    @property
    def teacher(self) -> Checkpoint | None:
        """Whose answers it learns; None where it learns examples."""
        return self._teacher

    @property
    def trained_for(self) -> int:
        """After how many steps of its tuning it is taken."""
        return tuning_and_step(self.source.location)[1]

    @property
    def folder(self) -> Path:
        """Where its adapter is, once it is trained."""
        assert self._weights is not None, "a graph says in which lake"
        return self._weights / f"{self.name}+{self.digest()[:12]}"

    @property
    def loaded_from(self) -> Source:
        """Its adapter, on its base."""
        allowed = (self.allow_pickle, self.allow_remote_code)
        return Source("dir", str(self.folder), *allowed, adapter_on=self._on.source)

    def digest(self) -> str:
        """Tells what it is made from, and by which step, from anything else."""
        return digest([self.recipe(), self.trained_for])

    def recipe(self) -> str:
        """Tells what it is made from: the same of all steps of a tuning.

        Raises:
            InputError: Something of it is not there.
        """
        device = resolve_device(self.device)
        how = self._tuning.model_dump(
            include={"steps", "answers_per_step", "learning_rate", "rank"}
        )
        return digest(
            [
                how,
                self._on.digest(),
                [device.type, resolve_dtype(self.dtype, device)],
                self.format_of_prompts.parameters,
                self.lessons(),
            ]
        )

    def lessons(self) -> str:
        """Tells the answers that it learns from any others.

        Raises:
            InputError: The teacher, or the file of prompts or examples, is not there.
        """
        tuning, teacher = self._tuning, self._teacher
        file = tuning.examples or tuning.prompts
        assert file is not None
        try:
            with unreadable_said(file):
                read = file_digest(file)
        except InputError as error:
            raise InputError(f"tunings: {tuning.name}: {error}") from None
        seed, longest = self._learned
        if teacher is None:
            return digest([read, seed])
        asked = [tuning.answers, [d.name for d in teacher.decodings[:1]], longest, seed]
        way: list[object] = [teacher.format_of_prompts.parameters, teacher.engine_name]
        if teacher.source.has_weights:
            device = resolve_device(teacher.device)
            way += [device.type, resolve_dtype(teacher.dtype, device)]
        return digest([read, asked, teacher.digest(), way])


def check_tunings(tunings: Sequence[Tuning], checkpoints: Sequence[Checkpoint]) -> None:
    """Holds tunings against each other and against the checkpoints of their study.

    Raises:
        ValueError: Two have one name, a base or a teacher is none of the study's checkpoints or
            cannot be one, or a checkpoint is of no tuning, or of a step that none comes to.
    """
    by_name = {checkpoint.name: checkpoint for checkpoint in checkpoints}
    for name, number in Counter(tuning.name for tuning in tunings).items():
        if number > 1:
            raise ValueError(f"tunings has two of the name {name!r}; rename one")
    for tuning in tunings:
        for key, of in (("base", tuning.base), ("teacher", tuning.teacher)):
            if not isinstance(of, str):
                continue
            if of not in by_name:
                raise ValueError(
                    f"tunings: the {key} of {tuning.name!r} is {of!r}, which is none of the "
                    f"study's checkpoints ({names_of(by_name)}){meant(of, by_name)}"
                )
            source = by_name[of].source
            if source.scheme == "tuned":
                raise ValueError(
                    f"tunings: {of!r}, the {key} of {tuning.name!r}, is trained by the study "
                    "itself; name one that is not"
                )
            if source.is_generations or (key == "base" and not source.has_weights):
                raise ValueError(
                    f"tunings: {of!r}, the {key} of {tuning.name!r}, is no model "
                    f"{'whose weights are here' if key == 'base' else 'that can be asked'}"
                )
    named = {tuning.name: tuning for tuning in tunings}
    for checkpoint in checkpoints:
        if checkpoint.source.scheme != "tuned":
            continue
        name, step = tuning_and_step(checkpoint.source.location)
        if name not in named:
            raise ValueError(
                f"checkpoints: {checkpoint.name!r} is {checkpoint.source}, and there is no such "
                f"tuning ({names_of(named) or 'the study has no `tunings:`'}){meant(name, named)}"
            )
        if step > named[name].steps:
            raise ValueError(
                f"checkpoints: {checkpoint.name!r} is step {step} of the tuning {name!r}, which "
                f"ends after {named[name].steps}"
            )
        if checkpoint.base != named[name].base:
            raise ValueError(
                f"checkpoints: {checkpoint.name!r} is trained on {named[name].base!r}, so that is "
                "its base; leave `base:` out"
            )
