"""A causal language model, ready to run, and the few facts that sampling and the lake need of it.

Where its weights come from, and how they are read, is not asked here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from models.errors import ModelError
from models.memory import free_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.prompting import PromptFormat, SentPrompt

_MEMORY_SHARE = 0.4
"""Share of the free memory that one batch's cache and logits may take."""
_NO_LIMIT = 10**12
"""A tokenizer whose `model_max_length` is beyond this knows of no limit."""
_DEFAULT_CONTEXT = 2048
_MOST_ROWS = 256
"""More rows at once bring no more tokens a second."""


@dataclass
class LanguageModel:
    """A causal language model, ready to run.

    Attributes:
        model: The transformers model, in evaluation mode.
        tokenizer: Its tokenizer.
        stop_token_ids: Tokens that end a generation.
        revision: The commit or version that the weights are, where known.
        batch_tokens: Tokens of one batch at most; by default as many as memory holds.
    """

    model: Any
    tokenizer: Any
    stop_token_ids: frozenset[int]
    revision: str | None = None
    batch_tokens: int | None = None
    config: Any = field(init=False)
    _sent: dict[tuple[PromptFormat, str], SentPrompt] = field(
        init=False, default_factory=dict, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        self.config = self.model.config.get_text_config()
        if self.device.type == "cuda":
            # It is planned anew for each shape, and batches seldom have one that was there before.
            torch.backends.cuda.enable_cudnn_sdp(False)

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        return torch.device(self.model.device)

    @property
    def dtype(self) -> str:
        """The weights' number format, such as `float32`."""
        return str(self.model.dtype).removeprefix("torch.")

    @property
    def n_parameters(self) -> int:
        """Weights, each counted once where layers share them."""
        return sum(p.numel() for p in self.model.parameters())

    @property
    def vocab_size(self) -> int:
        """How many tokens the model gives a probability to."""
        return int(self.config.vocab_size)

    @property
    def tokenizer_digest(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the tokenizer's whole definition."""
        return tokenizer_digest(self.tokenizer)

    @property
    def context_length(self) -> int:
        """Tokens that the model reads at most, found as lm-evaluation-harness finds it."""
        for name in ("n_positions", "max_position_embeddings", "n_ctx"):
            if length := getattr(self.config, name, None):
                return int(length)
        length = self.tokenizer.model_max_length
        return int(length) if length < _NO_LIMIT else _DEFAULT_CONTEXT

    @property
    def start_token_id(self) -> int:
        """What stands before a text that nothing precedes: BOS, or EOS where there is none.

        Raises:
            ModelError: The tokenizer has neither.
        """
        for token_id in (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id):
            if token_id is not None:
                return int(token_id)
        raise ModelError(
            "the tokenizer has neither a BOS nor an EOS token, and a text's first token is "
            "predicted after one; set `bos_token` in its tokenizer_config.json"
        )

    def new_cache(self) -> Any:
        """An empty cache of keys and values."""
        from models.cache import new_cache  # of transformers, which takes long to import

        return new_cache(self.config)

    def forward(
        self,
        ids: Tensor,
        *,
        cache: Any = None,
        attention: Tensor | None = None,
        positions: Tensor | None = None,
        keep: int = 1,
    ) -> Tensor:
        """Reads tokens after those in the cache, and gives the logits of what comes next.

        Args:
            ids: int64 [rows, new].
            cache: Keys and values of what came before; extended in place. None keeps none.
            attention: int64 [rows, seen + new], 0 on padding; None without padding on the left.
            positions: int64 [rows, new]; None without padding on the left.
            keep: After how many of each row's last tokens logits are wanted.

        Returns:
            [rows, keep, vocabulary].
        """
        masks = (
            {} if attention is None else {"attention_mask": attention, "position_ids": positions}
        )
        output = self.model(
            input_ids=ids,
            past_key_values=cache,
            use_cache=cache is not None,
            logits_to_keep=keep,
            **masks,
        )
        logits: Tensor = output.logits
        return logits

    def hidden_states(self, ids: Tensor, layer: int) -> Tensor:
        """What a layer makes of tokens.

        Args:
            ids: int64 [rows, tokens], nothing before them; padding stands on the right.
            layer: After how many of the model's layers; after the last it is what the output layer
                reads.

        Returns:
            [rows, tokens, width].
        """
        output = self.model.base_model(input_ids=ids, output_hidden_states=True, use_cache=False)
        states: Tensor = output.hidden_states[layer]
        return states

    @property
    def n_layers(self) -> int:
        """How many layers stand between the embeddings and the output layer."""
        return int(self.config.num_hidden_layers)

    @property
    def output_weights(self) -> Tensor:
        """[vocabulary, width], which the last hidden state is multiplied with to give logits.

        Raises:
            ModelError: The model's output is not one linear layer.
        """
        layer = self.model.get_output_embeddings()
        if layer is None:
            raise ModelError("the model has no linear output layer that a probe could go through")
        weights: Tensor = layer.weight.detach()
        return weights

    def sent(self, prompt_format: PromptFormat, prompt: str) -> SentPrompt:
        """A prompt as the model is given it, rendered and encoded once, however often it is asked.

        Raises:
            ModelError: As `PromptFormat.send` does.
        """
        key = prompt_format, prompt
        if key not in self._sent:
            self._sent[key] = prompt_format.send(self.tokenizer, prompt)
        return self._sent[key]

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without special ones around it."""
        ids = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return list(ids)

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of a generation, without its special tokens."""
        text: str = self.tokenizer.decode(
            list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    @property
    def cache_bytes(self) -> int:
        """Bytes that the keys and values of one token take."""
        config = self.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        width = (
            getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        )
        return int(2 * config.num_hidden_layers * heads * width * self.model.dtype.itemsize)

    def rows_that_fit(self, length: int) -> int:
        """Sequences of this many tokens whose cache and logits memory holds at once.

        A power of two, so that memory that varies a little from run to run changes no batch.
        """
        if self.batch_tokens is not None:
            return max(1, self.batch_tokens // length)
        # The cache's spare room, and its copy while rows leave, can triple it; logits are held as
        # the model's and as float32 ones, with their exponentials beside them.
        cache = 3 * self.cache_bytes * length
        logits = self.vocab_size * (self.model.dtype.itemsize + 2 * 4)
        free = free_memory(self.device)
        rows = max(1, min(_MOST_ROWS, int(_MEMORY_SHARE * free / (cache + logits))))
        return 1 << (rows.bit_length() - 1)


def tokenizer_digest(tokenizer: Any) -> str:
    """First 16 hexadecimal digits of the SHA-256 of a tokenizer's whole definition."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    definition = backend.to_str() if backend else repr(sorted(tokenizer.get_vocab().items()))
    return hashlib.sha256(definition.encode()).hexdigest()[:16]
