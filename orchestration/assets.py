"""The assets of the lake as Dagster's assets and checks."""

import base64
from collections.abc import Iterator, Mapping
from datetime import timedelta
from time import perf_counter
from typing import Any

import dagster as dg

from assets.drawing.figure_asset import FigureAsset
from assets.drawing.figure_files import read_drawn, read_preview
from assets.lineage.asset import Asset, Materialization, TableAsset
from assets.lineage.graph import AssetGraph
from assets.lineage.materialize import materialize
from assets.lineage.progress import Progress
from assets.measures.drift import Crossing
from assets.registry import build_graph
from assets.study.errors import InputError
from assets.study.registered import as_it_stands
from assets.study.resources import Resources
from assets.study.study import Study
from models import ModelError, ModelPool
from models.files import one_look
from orchestration.instance import MODEL_POOL
from orchestration.names import Names
from orchestration.progress import LogProgress
from orchestration.resources import as_tags
from orchestration.steps import one_step
from orchestration.troubles import trouble
from warehouse import DeclarationError, Lake, Provenance, RejectedError
from warehouse.checks import CHECKS
from warehouse.tables import SUMMARY

FORCE = "anchorlake/force"
"""Run tag that makes assets anew whether or not they are up to date."""
STOPPED = "stopped; finished batches are kept, and the next run goes on from there"
GOES_ON = {"dagster/retry_on_asset_or_op_failure": "true"}
"""Run tag of what was stopped rather than failed, and is run again as often as `retries` says."""
NOT_MEASURED = "{} is not measured: the study has nothing for it here"
GONE = (
    "the weights of {0} were gone before it was measured; "
    "`anchorlake checkpoints remove STUDY {0}` forgets it"
)
DRIFT = "drift"
REPORT = "report"
_SHOWN_AT_ONCE = 999
"""Characters of Markdown that the UI shows without a click."""
_CROSSINGS_SHOWN = 50
"""Crossings that the UI is told of; large metadata slows it down."""


class Graphs:
    """The graph of a study over a lake, as it is when a step begins.

    A run's figures share one: what draws changes no checkpoint, and of 1,000 checkpoints it takes a
    second to see which are there.
    """

    def __init__(self, study: Study, lake: Lake) -> None:
        """Builds none yet."""
        self._study, self._lake = study, lake
        self._drawn: tuple[str, AssetGraph] | None = None

    def of_step(self, asset: Asset, run_id: str) -> AssetGraph:
        """The graph for a step of a run.

        Raises:
            DeclarationError: As for `build_graph`.
            InputError: As for `as_it_stands`.
        """
        if asset.group != "figures":
            return self._build()
        if self._drawn is None or self._drawn[0] != run_id:
            self._drawn = run_id, self._build()
        return self._drawn[1]

    def _build(self) -> AssetGraph:
        with one_look():
            return build_graph(as_it_stands(self._study, self._lake), self._lake)


def build_asset(
    asset: Asset,
    expected: AssetGraph,
    code_version: str,
    study: Study,
    lake: Lake,
    graphs: Graphs,
    models: ModelPool,
    progress: Progress | None,
    resources: Resources | None,
) -> dg.AssetsDefinition:
    """Dagster's asset of an asset.

    Args:
        asset: The asset.
        expected: The assets, with what the study may still bring.
        code_version: Its code version.
        study: The study, without what is registered later.
        lake: Where tables are.
        graphs: Gives the assets as they are when a step begins.
        models: Keeps the loaded model from one step to the next.
        progress: Told how far long work is; by default the run's log is.
        resources: What it takes of a cluster's machine.
    """
    names = Names.of(study)
    key = names.key(asset.name)
    checks = [
        dg.AssetCheckSpec(check, asset=key)
        for check in (CHECKS if isinstance(asset, TableAsset) else ())
    ]
    warns = study.drift and isinstance(asset, FigureAsset) and asset.figure.warnings
    drift = [dg.AssetCheckSpec(DRIFT, asset=key)] if warns else []

    def compute(context: dg.OpExecutionContext) -> Iterator[object]:
        # A run of one checkpoint also makes what is not partitioned.
        partition = context.partition_key if asset.partitioned else None
        try:
            graph = graphs.of_step(asset, context.run_id)
            graph.checkpoint(partition)  # which must be one of the study's
        except (InputError, DeclarationError) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        if not graph.has(asset.name, partition):
            if partition is not None and graph.is_gone(partition) and asset.uses_model:
                raise dg.Failure(GONE.format(partition), allow_retries=False)
            context.log.info(NOT_MEASURED.format(asset.name))
            return
        try:
            start = perf_counter()
            materialization = materialize(
                graph,
                asset.name,
                partition,
                models=models,
                progress=progress or LogProgress(context.log.info),
                force=context.run.tags.get(FORCE) == "true",
            )
            seconds = perf_counter() - start
        except RejectedError as error:
            for finding in error.findings:
                yield dg.AssetCheckResult(
                    asset_key=key,
                    check_name=finding.check,
                    passed=finding.passed,
                    description=finding.detail,
                )
            raise dg.Failure(str(error), allow_retries=False) from error
        except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError) as error:
            # Dagster takes it for a failure like any other, and would begin again at once. A daemon
            # that is started later shall, as it does after a kill.
            context.instance.add_run_tags(context.run_id, GOES_ON)
            raise dg.Failure(STOPPED, allow_retries=False) from error
        except (InputError, ModelError, DeclarationError) as error:
            # Trying again changes nothing about what is wrong with the input.
            raise dg.Failure(str(error), allow_retries=False) from error
        except Exception as error:
            if reason := trouble(error):
                raise dg.Failure(reason, allow_retries=False) from error
            raise
        provenance = asset.stored(lake, partition)
        assert provenance is not None
        yield dg.MaterializeResult(
            asset_key=key,
            data_version=dg.DataVersion(provenance.data_version),
            metadata=_metadata(
                asset, graph.study, lake, partition, provenance, materialization, seconds
            ),
            check_results=[
                *(
                    _check_passed(check.name, _detail(materialization, check.name))
                    for check in checks
                ),
                *(_drifted(lake, asset) for _ in drift),
            ],
        )

    return one_step(
        dg.AssetSpec(
            key,
            description=asset.description,
            deps=_deps(asset, expected, names),
            group_name=asset.group,
            partitions_def=names.partitions if asset.partitioned else None,
            code_version=code_version,
            kinds=_kinds(asset),
            owners=study.dagster.owners,
            tags=study.dagster.tags,
            freshness_policy=_freshness(study) if asset.name == REPORT else None,
            metadata=_definition_metadata(asset, lake),
        ),
        [*checks, *drift],
        compute,
        pool=MODEL_POOL if asset.uses_model else None,
        retry_policy=_retries(study) if asset.uses_model else None,
        tags=as_tags(resources),
    )


def _retries(study: Study) -> dg.RetryPolicy:
    return dg.RetryPolicy(max_retries=study.retries, delay=10, backoff=dg.Backoff.EXPONENTIAL)


def _freshness(study: Study) -> dg.FreshnessPolicy | None:
    hours = study.dagster.fresh_within_hours
    return dg.FreshnessPolicy.time_window(timedelta(hours=hours)) if hours else None


def _deps(asset: Asset, graph: AssetGraph, names: Names) -> list[dg.AssetDep]:
    """What an asset reads; of what it reads its partners' partitions of, all.

    Dagster has no mapping from a partition to some others, so it is told of more than is read.
    """
    deps = []
    for name in asset.reads:
        if graph.partitions(name):
            mapping = dg.AllPartitionMapping() if name in asset.of_partners else None
            deps.append(dg.AssetDep(names.key(name), partition_mapping=mapping))
    return deps


def _drifted(lake: Lake, asset: Asset) -> dg.AssetCheckResult:
    """What the study's rules say of the figure as it is; it warns, and holds nothing up."""
    assert isinstance(asset, FigureAsset)
    drawn = read_drawn(lake, asset.figure)
    crossed = drawn.drift if drawn else []
    return dg.AssetCheckResult(
        check_name=DRIFT,
        passed=not crossed,
        severity=dg.AssetCheckSeverity.WARN,
        description="\n".join(crossing.sentence for crossing in crossed[:_CROSSINGS_SHOWN])
        or "no rule of the study is crossed",
        metadata={"crossings": len(crossed)}
        | ({"warnings": _as_table(crossed[:_CROSSINGS_SHOWN])} if crossed else {}),
    )


def _as_table(crossed: list[Crossing]) -> dg.TableMetadataValue:
    """One row a warning."""
    columns = ["checkpoint", "measure", "value", "limit"]
    return dg.MetadataValue.table(
        [dg.TableRecord({name: getattr(c, name) for name in columns}) for c in crossed],
        schema=dg.TableSchema(
            [dg.TableColumn(n, "float" if n == "value" else "string") for n in columns]
        ),
    )


def _check_passed(check: str, detail: str) -> dg.AssetCheckResult:
    """Rows that break a check never reach their table, so what is in it passed."""
    return dg.AssetCheckResult(check_name=check, passed=True, description=detail)


def _detail(materialization: Materialization | None, check: str) -> str:
    if materialization is None:
        return "unchanged since it was checked"
    return next(finding.detail for finding in materialization.findings if finding.check == check)


def _kinds(asset: Asset) -> set[str]:
    if asset.uses_model:
        return {"huggingface", "parquet"}
    if asset.group in ("measurements", "measures"):
        return {"duckdb", "parquet"}
    return {"parquet"} if isinstance(asset, TableAsset) else {"altair"}


def _definition_metadata(asset: Asset, lake: Lake) -> Mapping[str, object]:
    if not isinstance(asset, TableAsset):
        return {}
    columns = [
        dg.TableColumn(column.name, column.type, description=_meaning(column.meaning, column.unit))
        for column in asset.table.columns
    ]
    return {
        "dagster/column_schema": dg.TableSchema(columns),
        "dagster/uri": lake.pattern(asset.table),
        "grain": ", ".join(asset.table.grain),
    }


def _meaning(meaning: str, unit: str) -> str:
    return f"{meaning} ({unit})" if unit else meaning


def _metadata(
    asset: Asset,
    study: Study,
    lake: Lake,
    partition: str | None,
    provenance: Provenance,
    materialization: Materialization | None,
    seconds: float,
) -> dict[str, Any]:
    """What the UI says of an asset, made now or up to date already."""
    metadata: dict[str, Any] = {
        "signature": provenance.signature,
        "data version": provenance.data_version,
    }
    if materialization is None:
        metadata["up to date"] = True
    else:
        metadata |= {"seconds": round(seconds, 2), **materialization.notes}
        if materialization.rows is not None:
            rows = materialization.rows
            metadata["dagster/row_count"] = rows
            metadata["rows per second"] = round(rows / max(seconds, 1e-9), 1)
    if asset.name == SUMMARY.name:
        metadata |= _headlines(lake, study, partition)
    if isinstance(asset, FigureAsset):
        drawn = read_drawn(lake, asset.figure)
        if drawn and drawn.findings:
            metadata["findings"] = dg.MetadataValue.md(_first(drawn.findings))
        image = base64.b64encode(read_preview(lake, asset.figure)).decode()
        metadata["preview"] = dg.MetadataValue.md(f"![preview](data:image/png;base64,{image})")
    return metadata


def _headlines(lake: Lake, study: Study, partition: str | None) -> dict[str, float]:
    """Each measure of a checkpoint as the report's first table has it; the UI plots numbers."""
    checkpoint = study.checkpoint(str(partition))
    decodings = ("-", study.first_decoding(checkpoint))
    values = {}
    for row in lake.read(SUMMARY, checkpoint.name).to_pylist():
        is_whole = row["headline"] and row["collection"] == "*" and row["condition"] == "-"
        if is_whole and row["decoding"] in decodings and row["other"] in ("-", checkpoint.base):
            unit = "" if row["unit"] == "-" else f" ({row['unit']})"
            values[f"{row['measure']}{unit}"] = row["value"]
    return values


def _first(sentences: list[str]) -> str:
    """A list of the first sentences, as many as the UI shows without a click."""
    lines = [f"- {sentence}" for sentence in sentences]
    while len(text := "\n".join(lines)) > _SHOWN_AT_ONCE and len(lines) > 1:
        lines.pop()
    return text[:_SHOWN_AT_ONCE]
