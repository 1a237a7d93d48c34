"""From a prompt's text to what a model is given."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.errors import ModelError
from models.rendering import chat, check_template, render

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Turns = tuple[tuple[str, str], ...]
"""A conversation that is to be answered: (role, content) pairs, what is answered last."""

CHAT = "chat"
PLAIN = "plain"
PLACEHOLDER = "{prompt}"
NOT_SWITCHES = frozenset(
    {
        "add_generation_prompt",
        "chat_template",
        "continue_final_message",
        "conversation",
        "conversations",
        "max_length",
        "messages",
        "padding",
        "return_assistant_tokens_mask",
        "return_dict",
        "return_tensors",
        "sanitize_control_tokens",
        "tokenize",
        "tokenizer_kwargs",
        "truncation",
    }
)
"""What transformers is told beside the switches of a template, under names of the same kind."""


@dataclass(frozen=True)
class SentPrompt:
    """A prompt as a model is given it.

    Attributes:
        text: What is sent, without what the tokenizer puts before it.
        token_ids: The tokens that a generation continues, with the special ones that the model
            expects.
    """

    text: str
    token_ids: tuple[int, ...]


@dataclass(frozen=True)
class PromptFormat:
    """How a model is given a prompt: what a user says, or a conversation.

    Attributes:
        template: `chat` applies the tokenizer's chat template and opens the assistant's turn;
            `plain` is the prompt and a newline; any other text has `{prompt}` replaced by the
            prompt, such as one that begins with solved examples (Lin et al., 2023, URIAL).
        system: What the system says first in a chat.
        switches: Arguments of the chat template, such as `enable_thinking`, as a JSON object.
    """

    template: str
    system: str | None = None
    switches: str = "{}"

    def __post_init__(self) -> None:
        if self.template not in (CHAT, PLAIN) and PLACEHOLDER not in self.template:
            raise ValueError(
                f"{self.template!r} is not a prompt format: use {CHAT!r} (the model's chat "
                f"template), {PLAIN!r} (the prompt and a newline) or a text that holds "
                f"{PLACEHOLDER}"
            )

    @classmethod
    def chat(
        cls, *, system: str | None = None, switches: Mapping[str, object] | None = None
    ) -> PromptFormat:
        """A chat, with what the system says and arguments of the template."""
        return cls(CHAT, system, json.dumps(switches or {}, sort_keys=True))

    @property
    def is_chat(self) -> bool:
        """Whether the model's chat template is applied."""
        return self.template == CHAT

    def messages(self, prompt: str | Turns) -> list[dict[str, str]]:
        """The turns of a chat; what a conversation's own system says stands for this one's."""
        if isinstance(prompt, str):
            return chat(prompt, self.system)
        turns = [{"role": role, "content": content} for role, content in prompt]
        if self.system is None or turns[0]["role"] == "system":
            return turns
        return [{"role": "system", "content": self.system}, *turns]

    def text(self, prompt: str | Turns) -> str:
        """What is sent where no chat template is applied.

        A conversation stands in the place of the prompt, a blank line between its turns.
        """
        if not isinstance(prompt, str):
            prompt = "\n\n".join(content for _, content in prompt)
        template = f"{PLACEHOLDER}\n" if self.template == PLAIN else self.template
        return template.replace(PLACEHOLDER, prompt)

    def render(self, tokenizer: Any, prompt: str | Turns) -> str:
        """What is sent, the chat template applied; without what the tokenizer puts before it.

        Args:
            tokenizer: A transformers tokenizer.
            prompt: The prompt as the prompt set has it, or a conversation.

        Raises:
            ModelError: The tokenizer has no chat template, it refuses these turns, or has no end.
        """
        if not self.is_chat:
            return self.text(prompt)
        if not tokenizer.chat_template:
            raise ModelError(
                "the tokenizer has no chat template; set `prompt_format: plain` for this "
                "checkpoint, or give a text with {prompt} in it"
            )
        return render(tokenizer, self.messages(prompt), json.loads(self.switches))

    def check(self, folder: Path) -> None:
        """Looks whether a chat with the model in a folder has an end, as far as its files tell.

        Raises:
            ModelError: Its chat template has none.
        """
        if self.is_chat:
            check_template(folder, self.system, json.loads(self.switches))

    def send(self, tokenizer: Any, prompt: str | Turns) -> SentPrompt:
        """Renders and encodes a prompt; `LanguageModel.sent` does so once for each.

        Raises:
            ModelError: As `render` does, or there is no token.
        """
        rendered = self.render(tokenizer, prompt)
        # A chat template says itself where special tokens stand.
        token_ids = tokenizer(rendered, add_special_tokens=not self.is_chat)["input_ids"]
        if not token_ids:
            raise ModelError("the prompt is empty and the tokenizer adds no start token to it")
        return SentPrompt(rendered, tuple(token_ids))

    @property
    def parameters(self) -> object:
        """What tells it from others, as a JSON value."""
        plain = self.system is None and self.switches == "{}"
        return self.template if plain else [self.template, self.system, self.switches]
