"""The engine that a checkpoint is sampled with: opened, asked, and what it gives as columns."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from assets.sources.checkpoints import describe_model, load_shards
from models.engines import ServerEngine, TransformersEngine, VllmEngine
from models.loading import plain_folder
from models.servers.server import Server
from models.vllm import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence, Set

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint
    from models.endings import Ending
    from models.engines import Engine, Generation, Prompted


def server_of(checkpoint: Checkpoint) -> Server:
    """The server that a checkpoint is behind.

    Raises:
        ModelError: It cannot or should not be asked as the study says.
    """
    url, _, model = checkpoint.source.location.partition("#")
    access = checkpoint.access
    return Server(
        url=url,
        model=model,
        concurrency=access.concurrency,
        timeout=access.timeout,
        attempts=access.attempts,
        api_key_env=access.api_key_env,
    )


@contextmanager
def opened(
    context: AssetContext,
    checkpoint: Checkpoint,
    asked: Sequence[Prompted],
    max_new_tokens: int | None = None,
) -> Iterator[Engine]:
    """Opens the checkpoint's engine.

    Args:
        context: What the generations are made for.
        checkpoint: The checkpoint.
        asked: What it is going to be asked.
        max_new_tokens: Tokens of a generation at most; by default the study's.

    Raises:
        ModelError: It cannot be opened.
    """
    if checkpoint.engine_name == "openai":
        access = checkpoint.access
        yield ServerEngine(
            server_of(checkpoint), top_logprobs=access.top_logprobs, extra=access.extra
        )
    elif checkpoint.engine_name == "vllm":
        context.models.release()  # both would not fit into a GPU's memory
        model_facts = describe_model(checkpoint)
        n_new = max_new_tokens or context.study.max_new_tokens
        prompts = {(a.prompt, a.format) for a in asked}
        longest = max(len(model_facts.sent(f, prompt).token_ids) for prompt, f in prompts)
        with running(
            plain_folder(checkpoint.loaded_from, dtype=model_facts.dtype),
            dtype=model_facts.dtype,
            max_length=min(longest + n_new, model_facts.context_length),
            device=checkpoint.device,
            tensor_parallel=checkpoint.tensor_parallel,
            batch_tokens=checkpoint.batch_tokens,
            trust_remote_code=checkpoint.allow_remote_code,
        ) as process:
            yield VllmEngine(model_facts, process)
    else:
        yield TransformersEngine(load_shards(context, checkpoint))


def sample_shown(
    context: AssetContext,
    engine: Engine,
    asked: Sequence[Prompted],
    *,
    label: str,
    max_new_tokens: int,
    ending: Ending,
    finished: Set[Prompted] = frozenset(),
    on_drawn: Callable[[int], None] = lambda drawn: None,
) -> Iterator[list[Generation]]:
    """Samples with an engine, and shows how far it is.

    Args:
        context: What the generations are made for.
        engine: The engine.
        asked: What it is asked.
        label: What the progress is of.
        max_new_tokens: Tokens of a generation at most.
        ending: How generations end.
        finished: What was asked before.
        on_drawn: Called with the number of tokens that were drawn since the last call.

    Yields:
        Some generations, as soon as they are finished.

    Raises:
        ModelError: As `Engine.sample` does.
    """

    def on_tokens(drawn: int, settled: int) -> None:
        on_drawn(drawn)
        context.progress.advance(drawn, settled)

    context.progress.start(label, (len(asked) - len(finished)) * max_new_tokens, "tokens")
    try:
        yield from engine.sample(
            asked,
            max_new_tokens=max_new_tokens,
            seed=context.study.seed,
            ending=ending,
            finished=finished,
            on_tokens=on_tokens,
        )
    finally:
        context.progress.finish()


def columns_of(made: Generation, seed: int) -> dict[str, Any]:
    """The columns that every table of generations has."""
    return {
        "decoding": made.asked.decoding.name,
        "text": made.text,
        "token_ids": made.token_ids,
        "n_tokens": made.n_tokens,
        "finish_reason": made.finish_reason,
        "seed": seed,
        "prompt_sent": made.prompt,
        "reasoning": made.reasoning,
        "reasoning_ids": made.reasoning_ids,
    }
