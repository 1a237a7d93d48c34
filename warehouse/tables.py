"""The tables that assets fill; those that SQL derives are declared in their own files."""

from __future__ import annotations

from warehouse.schema import COMMON_COLUMNS, Column, Table


def _common(*names: str) -> tuple[Column, ...]:
    return tuple(COMMON_COLUMNS[name] for name in names)


PROMPTS = Table(
    name="prompts",
    description="The prompts that checkpoints are asked to continue.",
    grain=("prompt_set", "prompt_id"),
    columns=(
        *_common("prompt_set", "prompt_id"),
        Column("category", "VARCHAR", "kind of prompt"),
        Column("text", "VARCHAR", "the prompt, before any chat template"),
        Column("corpus", "VARCHAR", "corpus it was cut from, if it was"),
        Column("document_id", "VARCHAR", "document it was cut from, if it was"),
    ),
    partitioned=False,
)

CHECKPOINTS = Table(
    name="checkpoints",
    description="The checkpoints measured, and what they are.",
    grain=("checkpoint",),
    columns=(
        *_common("checkpoint"),
        Column("role", "VARCHAR", "base (pretrained) or aligned"),
        Column("base", "VARCHAR", "the checkpoint it is compared with"),
        Column("revision", "VARCHAR", "commit or version of the weights, where known"),
        Column("step", "BIGINT", "training step, where known", "steps"),
        Column("n_parameters", "BIGINT", "weights, shared ones counted once", "parameters"),
        Column("vocab_size", "INTEGER", "tokens that it gives a probability to", "tokens"),
        Column("tokenizer", "VARCHAR", "digest of the tokenizer; equal digests, equal token ids"),
        Column("engine", "VARCHAR", "what ran it, and its version"),
        Column("dtype", "VARCHAR", "number format of the weights while it ran"),
    ),
)

GENERATIONS = Table(
    name="generations",
    description="What checkpoints wrote, one row a generation.",
    grain=("checkpoint", "decoding", "prompt_set", "prompt_id", "sample"),
    columns=(
        *_common("checkpoint", "decoding", "prompt_set", "prompt_id", "sample"),
        Column("text", "VARCHAR", "the generation, without prompt and special tokens"),
        Column("token_ids", "INTEGER[]", "its tokens, the stop token included; null if imported"),
        Column("n_tokens", "INTEGER", "how many; null if imported", "tokens"),
        Column("finish_reason", "VARCHAR", "stop (the model ended it) or length (the limit did)"),
        Column("seed", "BIGINT", "seed of the study; null if imported"),
    ),
)

BASE_TABLES = (PROMPTS, CHECKPOINTS, GENERATIONS)
