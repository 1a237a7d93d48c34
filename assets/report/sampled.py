"""What was really sampled of each checkpoint, which need not be what its study asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from assets.drawing.figure_asset import samples_in, shown_in
from warehouse import session
from warehouse.sessions import bind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from assets.drawing.figure import Samples
    from assets.lineage.context import AssetContext


def sampled(context: AssetContext, facts: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Such as `16 samples of 8 prompts`, by checkpoint.

    Args:
        context: What the report is made for.
        facts: Rows of `checkpoints`, by name.
    """
    with session(context.lake, context.limits) as connection:
        bind(connection, context.lake, [context.tables["generations"]], facts)
        connection.register("shown", shown_in(context, facts))
        samples = samples_in(connection)
    return {name: _text(of_checkpoint) for name, of_checkpoint in samples.items()}


def in_words(by_checkpoint: Mapping[str, str], names: Iterable[str]) -> str:
    """A sentence of how many checkpoints there are, and what was sampled of them."""
    listed = list(names)
    count = f"{len(listed)} {'checkpoint' if len(listed) == 1 else 'checkpoints'}"
    different = set(by_checkpoint.values())
    if not different:
        return f"{count}, without generations."
    if len(different) > 1:
        return f"{count}; how often each was sampled stands below its name."
    each = "" if len(listed) == 1 else "each with "
    return f"{count}, {each}{different.pop()}."


def _text(samples: Samples) -> str:
    number = f"{samples.most:,}"
    if samples.fewest < samples.most:
        number = f"{samples.fewest:,} to {number}"
    several = "sample" if samples.most == 1 else "samples"
    prompts = "prompt" if samples.n_prompts == 1 else "prompts"
    return f"{number} {several} of {samples.n_prompts:,} {prompts}"
