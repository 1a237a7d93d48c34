"""`anchorlake checkpoints`: what is measured, for people without the UI."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table as Grid

from assets.study.errors import InputError
from orchestration.commands.console import (
    LakeFolder,
    StudyFile,
    existing_lake,
    input_errors,
    lake_at,
    out,
    show,
    writable_lake,
)

if TYPE_CHECKING:
    from warehouse import Lake

app = typer.Typer(
    help="The checkpoints of a study: list them, take one in, or take one out.",
    no_args_is_help=True,
)
Name = Annotated[str, typer.Argument(help="The checkpoint's name.", show_default=False)]


@app.command("list")
def list_checkpoints(study: StudyFile, lake: LakeFolder = Path("lake")) -> None:
    """List a study's checkpoints, what of them is to be measured, and what is new."""
    from assets.registry import build_graph
    from assets.study.registered import as_it_stands
    from assets.study.study import load_study
    from assets.study.watching import look

    with input_errors():
        place = lake_at(lake)
        read = load_study(study)
        standing = as_it_stands(read, place)
        graph = build_graph(standing, place)
        nodes = graph.select(())
        stale = graph.stale(nodes)
        looked = look(read, place, {})
    grid = Grid("checkpoint", "series", "step", "role", "base", "state", box=None, pad_edge=False)
    grid.add_column("source", overflow="fold")
    tables = Counter(partition for _, partition in nodes)
    to_make = Counter(partition for _, partition in stale)
    for checkpoint in standing.checkpoints:
        name = checkpoint.name
        grid.add_row(
            name,
            checkpoint.series or "",
            "" if checkpoint.step is None else f"{checkpoint.step:,}",
            checkpoint.role,
            checkpoint.base or "",
            _state(graph.is_gone(name), to_make[name], tables[name]),
            str(checkpoint.source),
        )
    show(grid)
    for origin in looked.waiting:
        out.print(f"not taken in yet: {origin}")
    for remark in looked.remarks:
        out.print(remark)
    for folder in sorted(place.removed.glob("*")):
        out.print(f"removed: {folder.name}, kept in {folder}")


def _state(gone: bool, to_make: int, of: int) -> str:
    if gone:
        return "its weights are gone" + ("" if of else ", before it was measured")
    if not to_make:
        return "measured"
    return "not measured" if to_make == of else f"{to_make} of {of} tables are to be made"


@app.command()
def add(
    study: StudyFile,
    name: Name,
    source: Annotated[
        str | None,
        typer.Argument(help="Such as dir:PATH or hf:org/name@revision; not for a removed one."),
    ] = None,
    role: Annotated[str | None, typer.Option(help="base, aligned or human.")] = None,
    base: Annotated[str | None, typer.Option(help="The checkpoint it is compared with.")] = None,
    decoding: Annotated[
        list[str] | None, typer.Option(help="Such as top_p=0.9, or greedy. Repeatable.")
    ] = None,
    series: Annotated[str | None, typer.Option(help="The training run it belongs to.")] = None,
    step: Annotated[int | None, typer.Option(help="Its training step.")] = None,
    stage: Annotated[
        str | None, typer.Option(help="Its stage of post-training, such as dpo.")
    ] = None,
    controlled: Annotated[
        bool | None,
        typer.Option("--controlled", help="It was made from its base.", show_default=False),
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="What samples from it: transformers, vllm or openai.")
    ] = None,
    adapter_on: Annotated[
        str | None, typer.Option(help="What an adapter is put on, such as hf:org/name.")
    ] = None,
    lake: LakeFolder = Path("lake"),
) -> None:
    """Take a checkpoint in; the next run, or the sensor, measures it."""
    from assets.study.registered import alone, as_it_stands, register, registered, restore
    from assets.study.study import load_study
    from orchestration.instance import open_instance
    from orchestration.partitions import register as make_partitions

    given = {
        "role": role,
        "base": base,
        "decodings": decoding,
        "series": series,
        "step": step,
        "stage": stage,
        "controlled": controlled,
        "engine": engine,
        "adapter_on": adapter_on,
        "source": source,
    }
    with input_errors():
        place = writable_lake(lake)
        _check_folder(place)
        read = load_study(study)
        values = registered(place, read, name) or {}
        values["name"] = name
        values |= {key: value for key, value in given.items() if value is not None}
        if "source" not in values:
            raise InputError(f"{name} was never taken in; say where it is, such as dir:PATH")
        if source is not None:
            values |= _at(source, values.get("origin"))
        if values.get("base") is not None:
            read.checkpoint(str(values["base"]))
        with alone(place):
            checkpoint = register(place, read, values)
            restore(place, name)
        standing = as_it_stands(read, place)
    with open_instance(place) as instance:
        make_partitions(instance, standing)
    out.print(f"{checkpoint.name} is taken in; `anchorlake run {study}` measures it")


def _at(text: str, origin: str | None) -> dict[str, Any]:
    """What is known of a source; where it is another than before, nothing else is."""
    from models import Source
    from models.sources.folders import snapshot

    try:
        source = Source.parse(text, Path.cwd())
    except ValueError as error:
        raise InputError(str(error)) from None
    if str(source) == origin:
        return {"source": origin}
    seen = snapshot(Path(source.location)) if source.scheme == "dir" else ""
    place = {"source": str(source), "origin": str(source), "seen": seen}
    return place | {"found_by": "", "weights": "", "superseded": False}


def _check_folder(lake: Lake) -> None:
    """Raises `InputError` for a lake in a bucket, which what was taken in later is not put into."""
    if lake.is_in_bucket:
        raise InputError(
            f"{lake.address} is in a bucket, where checkpoints are those of the study file; write "
            "it into that, or take it out there"
        )


@app.command()
def remove(
    study: StudyFile,
    name: Annotated[list[str], typer.Argument(help="Names of checkpoints.", show_default=False)],
    lake: LakeFolder = Path("lake"),
) -> None:
    """Take checkpoints out of the lake; what was measured of them is kept aside."""
    from assets.study.registered import remove as take_out
    from assets.study.study import load_study
    from orchestration.instance import open_instance
    from orchestration.partitions import forget
    from orchestration.places import check_place

    with input_errors():
        place = existing_lake(lake)
        check_place(place)
        _check_folder(place)
        read = load_study(study)
        kept = take_out(place, read, name)
    for one, aside in zip(name, kept, strict=True):
        out.print(f"{one} is taken out; its tables are kept in {aside}")
    with open_instance(place) as instance:
        forget(instance, read, name)
    out.print(f"`anchorlake checkpoints add {study} NAME` brings one back")
