"""Rendering chat templates within bounds of time, memory and length, in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import ModelError, sentence
from models.files import list_files, remembered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.files import File

_WORKER = Path(__file__).with_name("rendering_worker.py")
_SECONDS = 10
"""For which one prompt may be rendered; usual templates take a millisecond."""
_CHARACTERS = 1_000_000
"""That a template may add to what it is given."""
_GROWTH = 4
"""How often it may repeat what it is given."""


class UnboundedError(ModelError):
    """A chat template that has no end."""


class _Process:
    """The process; started when it is first needed, and anew after it was ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Its answer.

        Raises:
            ModelError: The process ended.
        """
        with self._lock:
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            with suppress(BrokenPipeError):
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                status = process.wait()
                self._process = None
                if status == -signal.SIGALRM:
                    raise _unbounded(f"takes longer than {_SECONDS} seconds")
                raise ModelError(
                    f"the process that renders chat templates ended with status {status}; look "
                    "whether the machine has memory left"
                )
            answer: dict[str, Any] = json.loads(line)
            return answer

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(_WORKER)],  # -P: no module beside it is meant
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C is for the run
            )
        return self._process


_process = _Process()


def chat(prompt: str, system: str | None = None) -> list[dict[str, str]]:
    """The turns of a chat that has only begun."""
    before = [{"role": "system", "content": system}] if system is not None else []
    return [*before, {"role": "user", "content": prompt}]


def render(tokenizer: Any, messages: list[dict[str, str]], switches: Mapping[str, Any]) -> str:
    """What a tokenizer's chat template makes of a chat, the assistant's turn opened.

    Args:
        tokenizer: A transformers tokenizer with a chat template.
        messages: The turns.
        switches: Further arguments of the template.

    Raises:
        UnboundedError: The template takes too long or too much memory, or writes too much.
        ModelError: It refuses the turns.
    """
    from transformers import PreTrainedTokenizerBase

    if type(tokenizer).apply_chat_template is not PreTrainedTokenizerBase.apply_chat_template:
        return _without_template(tokenizer, messages, switches)
    try:
        template = tokenizer.get_chat_template()
    except ValueError as error:  # it has several, and none is the default
        raise _refusal(sentence(error)) from error
    return _render(template, messages, {**tokenizer.special_tokens_map, **switches})


def check_template(folder: Path, system: str | None, switches: Mapping[str, Any]) -> None:
    """Looks whether the chat template in a model's folder has an end; of one that it refuses, not.

    Args:
        folder: The model's.
        system: What the system says first.
        switches: Further arguments of the template.

    Raises:
        UnboundedError: It has none.
    """
    names = {"chat_template.jinja", "tokenizer_config.json"}
    files = tuple(file for file in list_files(folder) if file.path.name in names)
    _check_template(files, system, json.dumps(switches, sort_keys=True))


@remembered
def _check_template(files: tuple[File, ...], system: str | None, switches: str) -> None:
    values: dict[str, Any] = {}
    for file in files:  # what stands in a file of its own comes first in the order of names
        with suppress(OSError, ValueError, RecursionError):
            text = file.path.read_text(encoding="utf-8")
            found = {"chat_template": text} if file.path.suffix == ".jinja" else json.loads(text)
            values = {**found, **values}
    template = values.pop("chat_template", None)
    if isinstance(template, str):
        tokens = {key: value for key, value in values.items() if key.endswith("_token")}
        try:
            _render(template, chat("Hello", system), {**tokens, **json.loads(switches)})
        except UnboundedError:
            raise
        except ModelError:  # the tokenizer may know more than stands there
            return


def _render(template: str, messages: list[dict[str, str]], arguments: Mapping[str, Any]) -> str:
    given = sum(len(text) for turn in messages for text in turn.values())
    answer = _process.ask(
        {
            "seconds": _SECONDS,
            "most": _CHARACTERS + _GROWTH * given,
            "arguments": {
                "conversations": [messages],
                "chat_template": template,
                "add_generation_prompt": True,
                **arguments,
            },
        }
    )
    if "too_long" in answer:
        raise _unbounded(f"writes {answer['too_long']:,} characters")
    if "no_memory" in answer:
        raise _unbounded("takes over a gigabyte of memory")
    if "error" in answer:
        name, message = answer["error"]
        raise _refusal(sentence(Exception(message or name)))
    text: str = answer["text"]
    return text


def _without_template(
    tokenizer: Any, messages: list[dict[str, str]], switches: Mapping[str, Any]
) -> str:
    """What a tokenizer makes of a chat that code of transformers writes, and no template."""
    try:
        text: str = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=False, **switches
        )
    except Exception as error:
        raise _refusal(sentence(error)) from error
    return text


def _refusal(reason: str) -> ModelError:
    return ModelError(
        f"the chat template refuses the prompt: {reason}; look at `system:` and "
        "`chat_template_kwargs:`"
    )


def _unbounded(what: str) -> UnboundedError:
    return UnboundedError(
        f"the chat template {what} for one prompt; mend it, or set `prompt_format:` to a text with "
        "{prompt} in it"
    )
