"""The step of an asset in a run: it runs although some of what it reads was not measured.

Dagster skips a step as soon as one of its inputs did not come. Here all that an asset reads goes
into one list, of which any part is enough: a figure is drawn of what there is, and an asset that
cannot do without what did not come finds so by itself.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import dagster as dg
from dagster._core.definitions.composition import MappedInputPlaceholder

STEP = "materialize"
"""The step's name within its asset."""
_UPSTREAM, _RESULT = "upstream", "result"


def one_step(
    spec: dg.AssetSpec,
    checks: Sequence[dg.AssetCheckSpec],
    compute: Callable[[dg.OpExecutionContext], Iterator[object]],
    *,
    pool: str | None,
    retry_policy: dg.RetryPolicy | None,
    tags: Mapping[str, str],
) -> dg.AssetsDefinition:
    """The definition of an asset that is made in one step.

    Args:
        spec: What Dagster is told of the asset.
        checks: Its checks.
        compute: Makes it. Where it yields no result, the asset is not measured: that is neither a
            materialization nor a passed check.
        pool: What limits how many such steps run at once.
        retry_policy: How often it is tried again.
        tags: The step's tags.
    """
    name = spec.key.to_python_identifier()
    upstream = {dep.asset_key.to_python_identifier(): dep.asset_key for dep in spec.deps}
    outputs = (_RESULT, *(check.name for check in checks))
    step = dg.op(
        name=f"{STEP}_{name}",  # of which a code location may have one
        ins={_UPSTREAM: dg.In(dg.Nothing)} if upstream else {},
        out={output: dg.Out(dg.Nothing, is_required=False) for output in outputs},
        pool=pool,
        retry_policy=retry_policy,
        tags=tags,
    )(compute)
    invocation = dg.NodeInvocation(step.name, alias=STEP)
    gathered = dg.MultiDependencyDefinition([MappedInputPlaceholder] * len(upstream))
    graph = dg.GraphDefinition(
        name=name,
        node_defs=[step],
        dependencies={invocation: {_UPSTREAM: gathered} if upstream else {}},
        input_mappings=[
            dg.InputMapping(
                graph_input_name=input_name,
                mapped_node_name=STEP,
                mapped_node_input_name=_UPSTREAM,
                fan_in_index=i,
            )
            for i, input_name in enumerate(upstream)
        ],
        output_mappings=[
            dg.OutputMapping(output, mapped_node_name=STEP, mapped_node_output_name=output)
            for output in outputs
        ],
    )
    return dg.AssetsDefinition(
        node_def=graph,
        keys_by_input_name=upstream,
        keys_by_output_name={_RESULT: spec.key},
        check_specs_by_output_name={check.name: check for check in checks},
        specs=[spec],
    )


def path_of(step_key: str) -> list[str]:
    """The path of the key of the asset whose step it is."""
    return step_key.removesuffix(f".{STEP}").split("__")
