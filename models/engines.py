"""What makes a checkpoint write, whoever runs the model: transformers, vLLM or a server.

An engine is asked for generations. What needs the probabilities of all tokens, or hidden states, is
done by transformers with the model itself: by `score` and `hidden_states`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from models.completions import Request
from models.endings import STOP_TEXT, Ending, cut_text, cut_tokens
from models.errors import ModelError
from models.randomness import request_seed
from models.rules import check_words, passed_over
from models.sampling import sample
from models.servers.answers import Answer, Question
from models.servers.asking import ask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set

    from models.completions import Completion
    from models.decoding import Decoding
    from models.language_model import LanguageModel
    from models.prompting import PromptFormat, SentPrompt
    from models.servers.server import Server
    from models.vllm import VllmProcess

EngineName = Literal["transformers", "vllm", "openai"]
Ability = Literal["sample", "logprobs", "score", "hidden_states"]
ABILITIES: dict[str, frozenset[Ability]] = {
    "transformers": frozenset(("sample", "score", "hidden_states")),
    # Scoring stays with transformers, as what it counts needs the whole vocabulary.
    "vllm": frozenset(("sample", "score", "hidden_states")),
    "openai": frozenset(("sample", "logprobs")),
}
"""What can be had of a checkpoint that an engine runs.

`sample`: generations. `logprobs`: of its own tokens, and of the likeliest, as it tells them.
`score`: the whole distribution over tokens, of any text. `hidden_states`: those of any text.
"""


@dataclass(frozen=True)
class Prompted:
    """A generation to make.

    Attributes:
        key: What identifies the prompt; its random numbers belong to it.
        prompt: Its text.
        format: How the model is given it.
        sample: The generation's number among its prompt's.
        decoding: How its tokens are chosen.
    """

    key: str
    prompt: str
    format: PromptFormat
    sample: int
    decoding: Decoding


@dataclass(frozen=True)
class Generation:
    """A generation made.

    Attributes:
        asked: What it answers.
        prompt: What was sent: the text, without what the tokenizer puts before it; or, where a
            server applies the chat template, the messages as JSON.
        text: The answer, without special tokens.
        finish_reason: `stop` where the model ended it, `stop_text` where a text of `Ending.stop`
            did, `length` where the limit did, `content_filter` where a server withheld it.
        token_ids: The answer's tokens, the stop token at its end included; None where not told.
        n_tokens: How many; None where not told.
        reasoning: The reasoning trace; None where there is none.
        reasoning_ids: Its tokens, with what opens and closes it.
        logprobs: Log-probability of each of the answer's tokens in nats, as the engine tells it.
        top_logprobs: Of the likeliest tokens at each of its places, the likeliest first.
        forward_passes: How many next tokens' distributions the model gave for it; None where that
            is not known.
    """

    asked: Prompted
    prompt: str
    text: str
    finish_reason: str
    token_ids: tuple[int, ...] | None = None
    n_tokens: int | None = None
    reasoning: str | None = None
    reasoning_ids: tuple[int, ...] | None = None
    logprobs: tuple[float, ...] | None = None
    top_logprobs: tuple[tuple[float, ...], ...] | None = None
    forward_passes: int | None = None


class Engine(ABC):
    """What samples from a checkpoint."""

    @abstractmethod
    def sample(
        self,
        asked: Sequence[Prompted],
        *,
        max_new_tokens: int,
        seed: int,
        ending: Ending,
        finished: Set[Prompted] = frozenset(),
        on_tokens: Callable[[int, int], None],
    ) -> Iterator[list[Generation]]:
        """Makes generations, and gives some as soon as they are finished.

        Args:
            asked: What to generate, in any order.
            max_new_tokens: Tokens at which a generation is cut, reasoning included.
            seed: The study's seed.
            ending: Where answers begin and end.
            finished: Those that were made before. They are passed over, and keep their places in
                the batches, so that the others come out as they would have then.
            on_tokens: Told of tokens drawn and tokens settled, as in `sampling.sample`.

        Raises:
            ModelError: A prompt is too long, or the engine fails; the message says what to do.
        """

    def remarks(self, decodings: Iterable[Decoding]) -> dict[str, str]:
        """What there is to say of sampling with some decodings, by what it is about.

        Raises:
            ModelError: It cannot sample so.
        """
        return {}


class _WithTokens(Engine):
    """An engine that is given tokens and gives tokens.

    Args:
        model: The model's tokenizer and facts; its weights are not looked at.
        draw: Draws the tokens of requests, as `sampling.sample` does.
    """

    def __init__(
        self, model: LanguageModel, draw: Callable[..., Iterator[list[Completion]]]
    ) -> None:
        self._model = model
        self._draw = draw

    def sample(
        self,
        asked: Sequence[Prompted],
        *,
        max_new_tokens: int,
        seed: int,
        ending: Ending,
        finished: Set[Prompted] = frozenset(),
        on_tokens: Callable[[int, int], None],
    ) -> Iterator[list[Generation]]:
        model = self._model
        prompts = {(a.key, a.format): a for a in asked}
        sent = {key: model.sent(a.format, a.prompt) for key, a in prompts.items()}
        _check_room(model, sent, max_new_tokens)
        requests = {
            Request(a.key, sent[a.key, a.format].token_ids, a.sample, a.decoding): a for a in asked
        }
        for completions in self._draw(
            list(requests),
            max_new_tokens=max_new_tokens,
            seed=seed,
            finished={request for request, a in requests.items() if a in finished},
            on_tokens=on_tokens,
        ):
            made = []
            for completion in completions:
                a = requests[completion.request]
                made.append(_answered(model, a, sent[a.key, a.format].text, completion, ending))
            yield made


class TransformersEngine(_WithTokens):
    """The model as transformers runs it, with this project's sampler."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__(model, partial(sample, model))

    def remarks(self, decodings: Iterable[Decoding]) -> dict[str, str]:
        """Which words of the paper's the rules of a decoding pass over, as no token is one."""
        remarks = {}
        for rules in dict.fromkeys(d.rules for d in decodings if d.rules):
            check_words(self._model.tokenizer, rules)
            if missing := passed_over(self._model.tokenizer, rules):
                remarks[f"{rules.name}: words that are not one token"] = ", ".join(
                    map(repr, missing)
                )
        return remarks


class VllmEngine(_WithTokens):
    """vLLM in a process of its own.

    Args:
        model: What is known of the model without its weights.
        process: Has it loaded.
    """

    def __init__(self, model: LanguageModel, process: VllmProcess) -> None:
        super().__init__(model, partial(process.sample, stop_token_ids=model.stop_token_ids))


def _check_room(
    model: LanguageModel, sent: Mapping[tuple[str, PromptFormat], SentPrompt], n_new: int
) -> None:
    """Models write nonsense, or nothing, beyond the length that they were trained to read."""
    n_tokens = {key: len(prompt.token_ids) for (key, _), prompt in sent.items()}
    longest = max(n_tokens, key=n_tokens.__getitem__)
    if n_tokens[longest] + n_new > model.context_length:
        raise ModelError(
            f"the prompt {longest!r} has {n_tokens[longest]} tokens; {n_new} more is over the "
            f"{model.context_length} that the model reads; shorten it, or lower max_new_tokens"
        )


def _answered(
    model: LanguageModel, asked: Prompted, sent: str, completion: Completion, ending: Ending
) -> Generation:
    ids, logprobs = completion.token_ids, completion.logprobs
    if not ending.cuts:
        return Generation(
            asked,
            sent,
            model.decode(ids),
            completion.finish_reason,
            token_ids=ids,
            n_tokens=len(ids),
            logprobs=logprobs,
            forward_passes=completion.forward_passes,
        )
    cut = cut_tokens(ids, model.tokenizer, sent, ending)
    answer = ids[cut.answer : cut.end]
    trace = ids[: cut.answer]
    return Generation(
        asked,
        sent,
        model.decode(answer),
        STOP_TEXT if cut.stopped else completion.finish_reason,
        token_ids=answer,
        n_tokens=len(answer),
        reasoning=_trace(model.decode(trace), ending) if trace else None,
        reasoning_ids=trace or None,
        logprobs=None if logprobs is None else logprobs[cut.answer : cut.end],
        forward_passes=completion.forward_passes,
    )


def _trace(text: str, ending: Ending) -> str:
    """A reasoning trace without what opens and closes it."""
    assert ending.reasoning is not None
    text = text.strip().removeprefix(ending.reasoning.start)
    return text.partition(ending.reasoning.end)[0].strip()


class ServerEngine(Engine):
    """A model behind an OpenAI-compatible server.

    Args:
        server: The server and its model.
        top_logprobs: Of how many of the likeliest tokens log-probabilities are asked for.
        extra: Further parameters of each request.
    """

    def __init__(
        self, server: Server, *, top_logprobs: int, extra: Mapping[str, object] | None = None
    ) -> None:
        self._server = server
        self._top_logprobs = top_logprobs
        self._extra = dict(extra or {})

    def sample(
        self,
        asked: Sequence[Prompted],
        *,
        max_new_tokens: int,
        seed: int,
        ending: Ending,
        finished: Set[Prompted] = frozenset(),
        on_tokens: Callable[[int, int], None],
    ) -> Iterator[list[Generation]]:
        """As `Engine.sample` says; a template's arguments are sent as vLLM takes them."""
        formats = {a.format for a in asked}
        for format_ in sorted(formats, key=str):  # each has its own arguments of the template
            questions = [
                _question(a, seed) for a in asked if a.format == format_ and a not in finished
            ]
            switches = json.loads(format_.switches)
            with closing(
                ask(
                    self._server,
                    questions,
                    max_new_tokens=max_new_tokens,
                    # It would end a trace, too.
                    stop=ending.stop if ending.reasoning is None else (),
                    extra=self._extra | ({"chat_template_kwargs": switches} if switches else {}),
                    top_logprobs=self._top_logprobs or None,
                )
            ) as asking:
                for answers in asking:
                    for answer in answers:
                        on_tokens(answer.n_tokens or 0, max_new_tokens)
                    yield [_told(answer, ending) for answer in answers]


def _question(asked: Prompted, seed: int) -> Question:
    format_ = asked.format
    messages = None
    if format_.is_chat:
        messages = tuple((m["role"], m["content"]) for m in format_.messages(asked.prompt))
    return Question(
        prompt=format_.text(asked.prompt) if messages is None else "",
        messages=messages,
        decoding=asked.decoding,
        seed=request_seed(seed, asked.key, asked.sample),
        key=asked,
    )


def _told(answer: Answer, ending: Ending) -> Generation:
    asked = answer.question.key
    assert isinstance(asked, Prompted)
    sent = answer.question.prompt
    if answer.question.messages is not None:
        sent = json.dumps(asked.format.messages(asked.prompt), ensure_ascii=False)
    # Whether the chat template opens a trace is not told; one that was cut off did not close it.
    opened = sent
    if ending.reasoning and answer.question.messages and answer.finish_reason == "length":
        opened = ending.reasoning.start
    cut = cut_text(answer.text, opened, ending)
    # Which tokens a part has is not told, nor whether those of a text that stops are among them.
    stopped = bool(ending.stop) and answer.finish_reason == "stop"
    untouched = cut.answer == 0 and cut.end == len(answer.text)
    whole = untouched and answer.reasoning is None and not stopped
    reasoning = answer.reasoning
    if cut.answer:
        reasoning = _trace(answer.text[: cut.answer], ending)
    return Generation(
        asked,
        sent,
        answer.text[cut.answer : cut.end],
        STOP_TEXT if cut.stopped else answer.finish_reason,
        n_tokens=answer.n_tokens if whole else None,
        reasoning=reasoning,
        logprobs=answer.logprobs if whole else None,
        top_logprobs=answer.top_logprobs if whole else None,
    )
