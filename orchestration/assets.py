"""From recipes to Dagster's assets and checks."""

import base64
from collections.abc import Iterator, Mapping
from time import perf_counter
from typing import Any

import dagster as dg

from assets.errors import InputError
from assets.inventory import Inventory
from assets.progress import Progress
from assets.recipe import Made, Recipe, TableRecipe, Work, bring_up_to_date
from models import ModelError, ModelPool
from orchestration.partitions import CHECKPOINTS
from orchestration.progress import LogProgress
from warehouse import Lake, RejectedError
from warehouse.checks import CHECKS

FORCE = "anchorlake/force"
"""Run tag that makes assets anew whether or not they are up to date."""
STOPPED = "stopped; finished batches are kept, and the next run goes on from there"
NOT_MEASURED = "nothing to measure: the study has no model for this checkpoint"
MODEL_POOL = "model"

_RETRIES = dg.RetryPolicy(max_retries=2, delay=10, backoff=dg.Backoff.EXPONENTIAL)


def asset_key(name: str) -> dg.AssetKey:
    """The asset key of a recipe: `ngram_sharing`, or `figures/ngram_sharing`."""
    return dg.AssetKey(name.split("/"))


def build_asset(
    recipe: Recipe, inventory: Inventory, lake: Lake, models: ModelPool, progress: Progress | None
) -> dg.AssetsDefinition:
    """The asset of a recipe.

    Args:
        recipe: The recipe.
        inventory: The study and its recipes.
        lake: Where tables are.
        models: Keeps the loaded model from one step to the next.
        progress: Told how far long work is; by default the run's log is.
    """
    checks = [
        dg.AssetCheckSpec(check, asset=asset_key(recipe.name), blocking=True)
        for check in (CHECKS if isinstance(recipe, TableRecipe) else ())
    ]

    @dg.asset(
        key=asset_key(recipe.name),
        description=recipe.description,
        deps=_deps(recipe, inventory),
        group_name=recipe.group,
        partitions_def=CHECKPOINTS if recipe.partitioned else None,
        pool=MODEL_POOL if recipe.uses_model else None,
        retry_policy=_RETRIES if recipe.uses_model else None,
        code_version=recipe.version,
        kinds=_kinds(recipe),
        metadata=_definition_metadata(recipe, lake),
        check_specs=checks,
    )
    def build(context: dg.AssetExecutionContext) -> Iterator[object]:
        partition = context.partition_key if context.has_partition_key else None
        if partition is not None and not inventory.has(recipe.name, partition):
            yield dg.MaterializeResult(
                metadata={"not measured": NOT_MEASURED},
                check_results=[_check_passed(check.name, NOT_MEASURED) for check in checks],
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
            metadata=_metadata(made, seconds),
            check_results=[_check_passed(c.name, _detail(made, c.name)) for c in checks],
        )

    return build


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


def _metadata(made: Made | None, seconds: float) -> dict[str, Any]:
    if made is None:
        return {"up to date": True}
    metadata: dict[str, Any] = {
        "signature": made.provenance.signature,
        "fingerprint": made.provenance.fingerprint,
        "seconds": round(seconds, 2),
        **made.notes,
    }
    if made.rows is not None:
        metadata["dagster/row_count"] = made.rows
        metadata["rows per second"] = round(made.rows / max(seconds, 1e-9), 1)
    if made.preview is not None:
        image = base64.b64encode(made.preview).decode()
        metadata["preview"] = dg.MetadataValue.md(f"![preview](data:image/png;base64,{image})")
    return metadata
