"""From recipes to Dagster's assets and checks."""

import base64
from collections.abc import Iterator, Mapping
from time import perf_counter
from typing import Any

import dagster as dg

from assets.drawing.figure_asset import FigureRecipe, read_drawn, read_preview
from assets.lineage.asset import Made, Recipe, TableRecipe, Work, bring_up_to_date
from assets.lineage.graph import Inventory
from assets.lineage.progress import Progress
from assets.study.errors import InputError
from assets.study.registered import as_it_stands
from assets.study.study import Study
from models import ModelError, ModelPool
from orchestration.partitions import CHECKPOINTS
from orchestration.progress import LogProgress
from warehouse import Lake, RejectedError
from warehouse.checks import CHECKS

FORCE = "anchorlake/force"
"""Run tag that makes assets anew whether or not they are up to date."""
STOPPED = "stopped; finished batches are kept, and the next run goes on from there"
NOT_MEASURED = "nothing to measure: the study has no model for this checkpoint"
NOT_DRAWN = "nothing to draw yet"
GONE = (
    "the weights of {0} were gone before it was measured; "
    "`anchorlake checkpoints remove STUDY {0}` forgets it"
)
DRIFT = "drift"
MODEL_POOL = "model"


def asset_key(name: str) -> dg.AssetKey:
    """The asset key of a recipe: `ngram_sharing`, or `figures/ngram_sharing`."""
    return dg.AssetKey(name.split("/"))


def build_asset(
    recipe: Recipe,
    expected: Inventory,
    study: Study,
    lake: Lake,
    models: ModelPool,
    progress: Progress | None,
) -> dg.AssetsDefinition:
    """The asset of a recipe.

    Args:
        recipe: The recipe.
        expected: The recipes, with what the study may still bring.
        study: The study, without what is registered later.
        lake: Where tables are.
        models: Keeps the loaded model from one step to the next.
        progress: Told how far long work is; by default the run's log is.
    """
    checks = [
        dg.AssetCheckSpec(check, asset=asset_key(recipe.name), blocking=True)
        for check in (CHECKS if isinstance(recipe, TableRecipe) else ())
    ]
    warns = study.drift and isinstance(recipe, FigureRecipe) and recipe.figure.warnings
    drift = [dg.AssetCheckSpec(DRIFT, asset=asset_key(recipe.name))] if warns else []

    @dg.asset(
        key=asset_key(recipe.name),
        description=recipe.description,
        deps=_deps(recipe, expected),
        group_name=recipe.group,
        partitions_def=CHECKPOINTS if recipe.partitioned else None,
        pool=MODEL_POOL if recipe.uses_model else None,
        retry_policy=_retries(study) if recipe.uses_model else None,
        code_version=recipe.version,
        kinds=_kinds(recipe),
        metadata=_definition_metadata(recipe, lake),
        check_specs=[*checks, *drift],
    )
    def build(context: dg.AssetExecutionContext) -> Iterator[object]:
        # A run of one checkpoint also makes what is not partitioned.
        partition = context.partition_key if recipe.partitioned else None
        try:
            inventory = Inventory(as_it_stands(study, lake), lake)
        except InputError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        if not inventory.has(recipe.name, partition):
            if partition is not None and inventory.is_gone(partition) and recipe.uses_model:
                raise dg.Failure(GONE.format(partition), allow_retries=False)
            reason = NOT_MEASURED if recipe.partitioned else NOT_DRAWN
            yield dg.MaterializeResult(
                metadata={"not measured": reason},
                check_results=[_check_passed(check.name, reason) for check in [*checks, *drift]],
            )
            return
        try:
            work = Work(
                inventory,
                lake,
                inventory.checkpoint(partition),
                models=models,
                progress=progress or LogProgress(context.log.info),
                force=context.run.tags.get(FORCE) == "true",
            )
            start = perf_counter()
            made = bring_up_to_date(recipe, work)
            seconds = perf_counter() - start
        except RejectedError as error:
            for finding in error.findings:
                yield dg.AssetCheckResult(
                    check_name=finding.check, passed=finding.passed, description=finding.detail
                )
            raise dg.Failure(str(error), allow_retries=False) from error
        except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError) as error:
            # Dagster takes it for a failure like any other, and would begin again.
            raise dg.Failure(STOPPED, allow_retries=False) from error
        except (InputError, ModelError) as error:
            # Trying again changes nothing about what is wrong with the input.
            raise dg.Failure(str(error), allow_retries=False) from error
        yield dg.MaterializeResult(
            metadata=_metadata(recipe, lake, partition, made, seconds),
            check_results=[
                *(_check_passed(check.name, _detail(made, check.name)) for check in checks),
                *(_drifted(lake, recipe) for _ in drift),
            ],
        )

    return build


def _retries(study: Study) -> dg.RetryPolicy:
    return dg.RetryPolicy(max_retries=study.retries, delay=10, backoff=dg.Backoff.EXPONENTIAL)


def _deps(recipe: Recipe, inventory: Inventory) -> list[dg.AssetDep]:
    """What an asset reads; of what it reads its partners' partitions of, all.

    Dagster has no mapping from a partition to some others, so it is told of more than is read.
    """
    deps = []
    for name in recipe.reads:
        if inventory.partitions(name):
            mapping = dg.AllPartitionMapping() if name in recipe.of_partners else None
            deps.append(dg.AssetDep(asset_key(name), partition_mapping=mapping))
    return deps


def _drifted(lake: Lake, recipe: Recipe) -> dg.AssetCheckResult:
    """What the study's rules say of the figure as it is; it warns, and holds nothing up."""
    assert isinstance(recipe, FigureRecipe)
    drawn = read_drawn(lake, recipe.figure)
    sentences = drawn.drift if drawn else []
    return dg.AssetCheckResult(
        check_name=DRIFT,
        passed=not sentences,
        severity=dg.AssetCheckSeverity.WARN,
        description="\n".join(sentences) or "no rule of the study is crossed",
    )


def _check_passed(check: str, detail: str) -> dg.AssetCheckResult:
    """Rows that break a check never reach their table, so what is in it passed."""
    return dg.AssetCheckResult(check_name=check, passed=True, description=detail)


def _detail(made: Made | None, check: str) -> str:
    if made is None:
        return "unchanged since it was checked"
    return next(finding.detail for finding in made.findings if finding.check == check)


def _kinds(recipe: Recipe) -> set[str]:
    if recipe.uses_model:
        return {"huggingface", "parquet"}
    if recipe.group == "measurements":
        return {"duckdb", "parquet"}
    return {"parquet"} if isinstance(recipe, TableRecipe) else {"altair"}


def _definition_metadata(recipe: Recipe, lake: Lake) -> Mapping[str, object]:
    if not isinstance(recipe, TableRecipe):
        return {}
    columns = [
        dg.TableColumn(column.name, column.type, description=_meaning(column.meaning, column.unit))
        for column in recipe.table.columns
    ]
    return {
        "dagster/column_schema": dg.TableSchema(columns),
        "dagster/uri": lake.pattern(recipe.table),
        "grain": ", ".join(recipe.table.grain),
    }


def _meaning(meaning: str, unit: str) -> str:
    return f"{meaning} ({unit})" if unit else meaning


def _metadata(
    recipe: Recipe, lake: Lake, partition: str | None, made: Made | None, seconds: float
) -> dict[str, Any]:
    """What the UI says of an asset, made or found up to date."""
    stored = made.provenance if made else recipe.stored(lake, partition)
    metadata: dict[str, Any] = {}
    if stored is not None:
        metadata = {"signature": stored.signature, "fingerprint": stored.fingerprint}
    if made is None:
        metadata["up to date"] = True
    else:
        metadata |= {"seconds": round(seconds, 2), **made.notes}
        if made.rows is not None:
            metadata["dagster/row_count"] = made.rows
            metadata["rows per second"] = round(made.rows / max(seconds, 1e-9), 1)
    if isinstance(recipe, FigureRecipe):
        image = base64.b64encode(read_preview(lake, recipe.figure)).decode()
        metadata["preview"] = dg.MetadataValue.md(f"![preview](data:image/png;base64,{image})")
    return metadata
