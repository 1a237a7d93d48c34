"""All that belongs in the lake for a study, and what of it is out of date."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from assets.blueprints.alignments import ALIGNMENTS
from assets.drawing.figure_asset import figure_recipe
from assets.figures import FIGURES
from assets.generations.generations import GENERATIONS
from assets.lineage.asset import Ingredients, Recipe, TableRecipe
from assets.measures.declared import declared_measurements
from assets.measures.tables import measurement_recipe, study_parameters
from assets.predictions.probe_accuracy import PROBE_ACCURACY
from assets.predictions.probe_guesses import PROBE_GUESSES
from assets.predictions.readapted_texts import READAPTED_TEXTS
from assets.predictions.scored_texts import SCORED_TEXTS
from assets.predictions.shannon_guesses import SHANNON_GUESSES
from assets.predictions.token_distributions import TOKEN_DISTRIBUTIONS
from assets.report.report import REPORT
from assets.sources.checkpoints import CHECKPOINTS
from assets.sources.documents import DOCUMENTS
from assets.sources.passages import PASSAGES
from assets.sources.prompts import PROMPTS
from assets.sources.training_documents import TRAINING_DOCUMENTS
from assets.study.digests import digest
from assets.study.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study
    from warehouse import Lake, Table

_BASE = (
    DOCUMENTS,
    PROMPTS,
    PASSAGES,
    CHECKPOINTS,
    GENERATIONS,
    SCORED_TEXTS,
    TOKEN_DISTRIBUTIONS,
    SHANNON_GUESSES,
    PROBE_GUESSES,
    PROBE_ACCURACY,
    TRAINING_DOCUMENTS,
    READAPTED_TEXTS,
    ALIGNMENTS,
)

Node = tuple[str, str | None]
"""A recipe's name and, where it is partitioned, a checkpoint's."""
Fingerprints = Callable[[str, str | None], str | None]
"""Gives a node's fingerprint; None where there is none."""


class Inventory:
    """The recipes of a study, in an order in which each comes after what it reads."""

    def __init__(self, study: Study, lake: Lake) -> None:
        """Reads the measurements.

        Args:
            study: The study.
            lake: The lake.

        Raises:
            DeclarationError: One of them cannot become a table.
        """
        self.study = study
        self.lake = lake
        measurements = declared_measurements(study_parameters(study))
        derived = [measurement_recipe(measurement) for measurement in measurements]
        figures = [figure_recipe(figure) for figure in FIGURES]
        recipes: list[Recipe] = [*_BASE, *derived, *figures, REPORT]
        self.recipes = {recipe.name: recipe for recipe in recipes}
        with_models = [recipe for recipe in recipes if recipe.uses_model]
        self._models = {n for recipe in with_models for n in (recipe.name, *recipe.reads)}
        self._after: dict[Node, Ingredients] = {}
        self._partitions: dict[str, dict[str | None, None]] = {}
        self._checkpoints = {checkpoint.name: checkpoint for checkpoint in study.checkpoints}
        self._gone = {checkpoint.name for checkpoint in study.checkpoints if checkpoint.is_gone}

    @property
    def tables(self) -> list[Table]:
        """The declarations of all tables."""
        return [r.table for r in self.recipes.values() if isinstance(r, TableRecipe)]

    def table(self, name: str) -> Table:
        """The declaration of a table."""
        recipe = self.recipes[name]
        assert isinstance(recipe, TableRecipe)
        return recipe.table

    @property
    def present(self) -> list[Recipe]:
        """The recipes that the study has something for."""
        return [recipe for recipe in self.recipes.values() if self.partitions(recipe.name)]

    def partitions(self, name: str) -> Collection[str | None]:
        """The partitions that a recipe has: checkpoints of the study, or the one without a name.

        It has none where the study has nothing for it, or nothing for what it reads.
        """
        if name not in self._partitions:
            candidates: list[str | None] = [None]
            if self.recipes[name].partitioned:
                candidates = [*self._checkpoints]
            self._partitions[name] = dict.fromkeys(p for p in candidates if self._is_there(name, p))
        return self._partitions[name]

    def has(self, name: str, partition: str | None) -> bool:
        """Whether the study has something for this partition of a recipe."""
        return partition in self.partitions(name)

    def _is_there(self, name: str, partition: str | None) -> bool:
        recipe = self.recipes[name]
        if not recipe.applies(self.study, self.checkpoint(partition)):
            return False
        if self._is_kept(name, partition) and recipe.stored(self.lake, partition) is None:
            return False
        for required in set(recipe.reads) - set(recipe.optional):
            there = self.partitions(required)
            own = partition is not None and self.recipes[required].partitioned
            if not there or (own and partition not in there):
                return False
        return True

    def checkpoint(self, name: str | None) -> Checkpoint | None:
        """The study's checkpoint of this name.

        Raises:
            InputError: There is none.
        """
        if name is None:
            return None
        return self._checkpoints.get(name) or self.study.checkpoint(name)

    def select(self, names: Iterable[str], checkpoints: Iterable[str] = ()) -> list[Node]:
        """What is to be looked at: what is named, and all that it reads.

        Args:
            names: Of recipes or groups; a figure's also without its group. None stands for all.
            checkpoints: Names of checkpoints; none stands for all.

        Returns:
            Nodes in the order of the recipes.

        Raises:
            InputError: A name means nothing.
        """
        wanted = {checkpoint.name for checkpoint in map(self.study.checkpoint, checkpoints)}
        chosen = self.named(names)
        for name in reversed(self.recipes):
            if name in chosen:
                chosen.update(self.recipes[name].reads)
        return [
            (name, partition)
            for name in self.recipes
            if name in chosen
            for partition in self.partitions(name)
            if partition is None or not wanted or partition in wanted
        ]

    def named(self, names: Iterable[str]) -> set[str]:
        """The recipes that are named, themselves or by their group; none named stands for all.

        Raises:
            InputError: A name means nothing.
        """
        names = list(names)
        return {n for name in names for n in self._named(name)} if names else set(self.recipes)

    def _named(self, name: str) -> list[str]:
        found = [
            recipe.name
            for recipe in self.recipes.values()
            if name in (recipe.name, recipe.group, recipe.name.rpartition("/")[2])
        ]
        if not found:
            groups = dict.fromkeys(recipe.group for recipe in self.recipes.values())
            raise InputError(
                f"--select {name}: there is no such table, figure or group; there are "
                f"{', '.join(self.recipes)}, and the groups {', '.join(groups)}"
            )
        return found

    def out_of_date(self, nodes: Iterable[Node]) -> dict[Node, str]:
        """Those of the nodes that the lake does not have as they would be made now, and why."""
        self._after = {}
        stale: dict[Node, str] = {}
        for name, partition in nodes:
            if self._is_kept(name, partition):
                continue
            stored = self.recipes[name].stored(self.lake, partition)
            after = self._ingredients_after(name, partition)
            if stored is None:
                stale[name, partition] = "not made yet"
            elif stored.fingerprint != after.fingerprint:
                before = Ingredients.from_json(stored.made_of)
                stale[name, partition] = self._why(name, before, after, stale)
        return stale

    def _why(
        self, name: str, before: Ingredients | None, after: Ingredients, stale: Iterable[Node]
    ) -> str:
        """What changed, in words of the study."""
        if before is None:
            return "made by an earlier version"
        to_be_made = {node[0] for node in stale}
        changed = [self.recipes[name].code] if before.code != after.code else []
        changed += _different(before.parameters, after.parameters)
        read = _different(before.inputs, after.inputs)
        changed += [other for other in read if other not in to_be_made]
        reasons = [f"{some(changed)} changed"] if changed else []
        if remade := [other for other in read if other in to_be_made]:
            reasons.append(f"reads {some(remade)}")
        return "; ".join(reasons)

    def is_gone(self, checkpoint: str) -> bool:
        """Whether a registered checkpoint's weights are not there any more."""
        return checkpoint in self._gone

    def _is_kept(self, name: str, partition: str | None) -> bool:
        """Whether it stays as it is, as it is made by a model that is gone, or for one."""
        return partition in self._gone and name in self._models

    def fingerprint_after(self, name: str, partition: str | None) -> str:
        """The fingerprint that a node has once all that it reads is up to date."""
        if self._is_kept(name, partition):
            stored = self._stored_fingerprint(name, partition)
            assert stored is not None
            return stored
        return self._ingredients_after(name, partition).fingerprint

    def _ingredients_after(self, name: str, partition: str | None) -> Ingredients:
        if (name, partition) not in self._after:
            found = self._ingredients(name, partition, self.fingerprint_after)
            assert found is not None
            self._after[name, partition] = found
        return self._after[name, partition]

    def ingredients_now(self, name: str, partition: str | None) -> Ingredients | None:
        """What a node is made of if made now; None where the lake lacks what it reads."""
        return self._ingredients(name, partition, self._stored_fingerprint)

    def missing(self, name: str, partition: str | None) -> list[str]:
        """What a node cannot do without and the lake does not have."""
        return [
            input_name
            for input_name, partitions in self.inputs(name, partition)
            if input_name not in self.recipes[name].optional
            and not any(self._stored_fingerprint(input_name, p) for p in partitions)
        ]

    def source_signature(self, name: str, partition: str | None) -> str:
        """The signature of what a node holds, without the version that closes it."""
        stored = self.recipes[name].stored(self.lake, partition)
        return stored.signature.rpartition("|v:")[0] if stored else f"{name}:none"

    def _stored_fingerprint(self, name: str, partition: str | None) -> str | None:
        stored = self.recipes[name].stored(self.lake, partition)
        return stored.fingerprint if stored else None

    def inputs(self, name: str, partition: str | None) -> list[tuple[str, list[str | None]]]:
        """What a node reads: names, and of each the partitions; without what the study lacks."""
        recipe = self.recipes[name]
        checkpoint = self.checkpoint(partition)
        partners = [p.name for p in self.study.partners(checkpoint)] if checkpoint else []
        found = []
        for input_name in recipe.reads:
            there = self.partitions(input_name)
            if partition and self.recipes[input_name].partitioned:
                wanted = [partition, *(partners if input_name in recipe.of_partners else [])]
                there = [p for p in wanted if p in there]
            if there:
                found.append((input_name, list(there)))
        return found

    def stale_inputs(self, name: str, partition: str | None) -> list[str]:
        """Inputs that do not count in a node's fingerprint, and are not as they would be made now.

        Of these the recipe's parameters hold what matters, so they must be what the study says.
        """
        return [
            input_name
            for input_name, partitions in self.inputs(name, partition)
            if input_name not in self.recipes[name].counted
            and any(
                (stored := self._stored_fingerprint(input_name, p)) is not None
                and stored != self._fresh(input_name, p)
                for p in partitions
            )
        ]

    def _fresh(self, name: str, partition: str | None) -> str | None:
        """`fingerprint_after`, of the inputs as they are at this moment."""
        if self._is_kept(name, partition):
            return self._stored_fingerprint(name, partition)
        found = self._ingredients(name, partition, self._fresh)
        return found.fingerprint if found else None

    def study_now(self, name: str) -> Study:
        """The study with those checkpoints that a recipe is about, of what is in the lake."""
        return self._study_of(name, self._stored_fingerprint)

    def _study_of(self, name: str, of_input: Fingerprints) -> Study:
        recipe = self.recipes[name]
        if recipe.over == "all":
            return self.study
        read = [n for n in recipe.reads if self.recipes[n].partitioned]
        there = set()
        for checkpoint in self.study.checkpoints:
            own = [n for n in read if self.has(n, checkpoint.name)]
            if own and all(of_input(n, checkpoint.name) for n in own):
                there.add(checkpoint.name)
        study = self.study.limited_to(there)
        return study.limited_to(study.compared()) if recipe.over == "compared" else study

    def _ingredients(
        self, name: str, partition: str | None, of_input: Fingerprints
    ) -> Ingredients | None:
        recipe = self.recipes[name]
        study = self._study_of(name, of_input)
        about = self._checkpoints  # not put together anew for each of its own partitions
        if recipe.over != "all":
            about = {checkpoint.name: checkpoint for checkpoint in study.checkpoints}
        inputs = {}
        for input_name, partitions in self.inputs(name, partition):
            # A checkpoint that failed does not keep the others from the figures.
            read = [p for p in partitions if p is None or p in about]
            found = {p or "": mark for p in read if (mark := of_input(input_name, p))}
            if not found and input_name not in recipe.optional:
                return None
            if input_name in recipe.counted:
                inputs[input_name] = digest(found)[:16]
        parameters = recipe.parameters(study, self.checkpoint(partition))
        return Ingredients(
            code=recipe.version,
            parameters={key: digest(value)[:16] for key, value in parameters.items()},
            inputs=inputs,
        )


def some(names: list[str], most: int = 4) -> str:
    """Names, the first ones where there are many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _different(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return [key for key in {**after, **before} if before.get(key) != after.get(key)]
