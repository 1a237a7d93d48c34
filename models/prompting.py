"""From a prompt's text to the tokens that a model is given."""

from __future__ import annotations

from typing import Any

from models.errors import ModelError

CHAT = "chat"
PLAIN = "plain"
PLACEHOLDER = "{prompt}"


def check_prompt_format(prompt_format: str) -> str:
    """Returns the format if it is one of those that `encode_prompt` knows.

    Raises:
        ValueError: It is not.
    """
    if prompt_format not in (CHAT, PLAIN) and PLACEHOLDER not in prompt_format:
        raise ValueError(
            f"{prompt_format!r} is not a prompt format: use {CHAT!r} (the model's chat template), "
            f"{PLAIN!r} (the prompt and a newline) or a text that holds {PLACEHOLDER}"
        )
    return prompt_format


def encode_prompt(tokenizer: Any, prompt: str, prompt_format: str) -> list[int]:
    """The tokens that a generation continues.

    Args:
        tokenizer: A transformers tokenizer.
        prompt: The prompt as the prompt set has it.
        prompt_format: `chat` applies the tokenizer's chat template and opens the assistant's turn;
            `plain` is the prompt and a newline; any other text has `{prompt}` replaced by the
            prompt.

    Returns:
        Token ids, with the special tokens that the model expects.

    Raises:
        ModelError: The tokenizer has no chat template.
    """
    if prompt_format == CHAT:
        if not tokenizer.chat_template:
            raise ModelError(
                "the tokenizer has no chat template; set `prompt_format: plain` for this "
                "checkpoint, or give a text with {prompt} in it"
            )
        turns = [{"role": "user", "content": prompt}]
        encoded = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True)
        return list(encoded["input_ids"])
    template = "{prompt}\n" if prompt_format == PLAIN else prompt_format
    ids = list(tokenizer(template.replace(PLACEHOLDER, prompt))["input_ids"])
    if not ids:
        raise ModelError("the prompt is empty and the tokenizer adds no start token to it")
    return ids
