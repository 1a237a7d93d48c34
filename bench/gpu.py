"""What scoring and sampling cost on a GPU, for random models of two shapes, in bfloat16.

    python -m bench.gpu [--documents 512] [--rows 64 256] [--tokens 256] [--repeat 3]

Scoring is held against the bare forward passes in it, whose logits nobody reads. Sampling is held
against `transformers.generate` at the same settings, and against the time in which the GPU's memory
gives what a step must read: the weights, and the keys and values. No generation stops early.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import TYPE_CHECKING, Any

import torch
import transformers
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, LlamaConfig, LlamaForCausalLM

from bench.scoring import forward_alone, ours, recorded
from models import Decoding, LanguageModel, Request, Text, sample
from models.scoring import positions_at_once

if TYPE_CHECKING:
    from collections.abc import Callable

DOCUMENT = 1023
"""Tokens of a document; one more comes before it."""
PROMPT = 100
"""Tokens of the prompt."""
BUDGET = 1.15
"""Scoring, over the bare forward passes."""
_LOGITS = 5.3
"""Standard deviation of a row's logits: as many are likely as are to Gemma 3 270M on English."""

GEMMA = {
    "vocab_size": 262_144,
    "hidden_size": 640,
    "intermediate_size": 2048,
    "num_hidden_layers": 18,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "head_dim": 256,
    "query_pre_attn_scalar": 256,
    "sliding_window": 512,
    "layer_types": (["sliding_attention"] * 5 + ["full_attention"]) * 3,
}
LLAMA = {
    "vocab_size": 128_256,
    "hidden_size": 4096,
    "intermediate_size": 14_336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 8192,
}


def random_model(name: str) -> LanguageModel:
    """A model of the shape of Gemma 3 270M or Llama 3 8B, with weights drawn at random."""
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        if name == "gemma":
            model: Any = Gemma3ForCausalLM(Gemma3TextConfig(**GEMMA))
        else:
            model = LlamaForCausalLM(LlamaConfig(**LLAMA))
    torch.set_default_dtype(torch.float32)
    # The last norm's scale is that of the logits; Gemma adds 1 to it.
    scale = _LOGITS / (0.02 * model.config.hidden_size**0.5)
    model.model.norm.weight.data.fill_(scale - (name == "gemma"))
    return LanguageModel(model.eval().requires_grad_(False), None, frozenset())


def seconds(function: Callable[[], object], repeat: int, *, warm_up: bool = True) -> float:
    """The median of some runs, by default after one that sets up what is set up once."""
    taken = []
    for _ in range(repeat + warm_up):
        torch.cuda.synchronize()
        start = time.perf_counter()
        function()
        torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[warm_up:])


def bandwidth() -> float:
    """Bytes a second that a copy within the GPU's memory reads and writes."""
    source = torch.randint(256, (1 << 30,), dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)

    def copies() -> None:
        for _ in range(20):
            target.copy_(source)

    return 20 * 2 * len(source) / seconds(copies, 3)


def scoring(name: str, model: LanguageModel, documents: int, repeat: int) -> None:
    """Prints how long scoring takes, and how much of it the forward passes would."""
    generator = torch.Generator().manual_seed(0)
    texts = [
        Text(
            str(i),
            (2,),
            torch.randint(3, model.vocab_size, (DOCUMENT,), generator=generator).tolist(),
        )
        for i in range(documents)
    ]
    calls = recorded(model, ours, model, texts)
    alone = seconds(lambda: forward_alone(model, calls), repeat)
    whole = seconds(lambda: ours(model, texts), repeat)
    n_tokens = documents * DOCUMENT
    print(
        f"{name:6} scoring  {positions_at_once(model):6} positions at once  "
        f"forward {n_tokens / alone:9,.0f} tokens/s  score {n_tokens / whole:9,.0f} tokens/s  "
        f"ratio {whole / alone:.3f}, budget {BUDGET}",
        flush=True,
    )


def drawn(model: LanguageModel, prompt: list[int], rows: int, tokens: int) -> None:
    requests = [Request("prompt", tuple(prompt), i, Decoding(top_p=0.9)) for i in range(rows)]
    list(sample(model, requests, max_new_tokens=tokens, seed=0, batch_size=rows))


def generated(model: LanguageModel, prompt: list[int], rows: int, tokens: int) -> None:
    inputs = torch.tensor([prompt], device="cuda")
    model.model.generate(
        inputs,
        attention_mask=torch.ones_like(inputs),
        do_sample=True,
        top_p=0.9,
        top_k=0,
        num_return_sequences=rows,
        max_new_tokens=tokens,
        min_new_tokens=tokens,
        pad_token_id=0,
    )


def least_seconds(model: LanguageModel, rows: int, tokens: int, rate: float) -> float:
    """The time in which memory gives the weights, keys and values that the steps must read."""
    weights = model.n_parameters * model.model.dtype.itemsize
    if not model.config.tie_word_embeddings:  # of the input's, a step reads a few rows
        weights -= model.output_weights.nbytes
    config = model.config
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    of_token = 2 * config.num_hidden_layers * config.num_key_value_heads * head * 2
    length = PROMPT + tokens / 2
    return tokens * (weights + rows * length * of_token) / rate


def sampling(
    name: str, model: LanguageModel, rows: int, tokens: int, repeat: int, rate: float
) -> None:
    """Prints tokens a second of both samplers, and at most."""
    prompt = torch.randint(3, model.vocab_size, (PROMPT,)).tolist()
    made = rows * tokens
    mine = made / seconds(lambda: drawn(model, prompt, rows, tokens), repeat)
    generated(model, prompt, 2, 2)
    torch.backends.cuda.enable_cudnn_sdp(True)  # as it is by default
    first = made / seconds(lambda: generated(model, prompt, rows, tokens), 1, warm_up=False)
    torch.backends.cuda.enable_cudnn_sdp(False)
    theirs = made / seconds(lambda: generated(model, prompt, rows, tokens), 1, warm_up=False)
    bound = made / least_seconds(model, rows, tokens, rate)
    print(
        f"{name:6} sampling {rows:6} rows  models.sample {mine:9,.0f} tokens/s  "
        f"generate {first:7,.0f}, without cuDNN's attention {theirs:7,.0f}  "
        f"ratio {mine / first:.1f}, {mine / theirs:.1f}  "
        f"memory allows {bound:9,.0f}  share {mine / bound:.2f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--documents", type=int, default=512, help="that are scored")
    parser.add_argument("--rows", type=int, nargs="+", default=[64, 256], help="sampled at once")
    parser.add_argument("--tokens", type=int, default=256, help="sampled of each")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each")
    parser.add_argument("--models", nargs="+", default=["gemma", "llama"], help="shapes")
    parser.add_argument("--no-sampling", dest="sampling", action="store_false")
    options = parser.parse_args()
    rate = bandwidth()
    print(
        f"{torch.cuda.get_device_name()}, copies at {rate / 1e12:.2f} TB/s; "
        f"transformers {transformers.__version__}, torch {torch.__version__}"
    )
    for name in options.models:
        model = random_model(name)
        scoring(name, model, options.documents, options.repeat)
        for rows in options.rows if options.sampling else ():
            sampling(name, model, rows, options.tokens, options.repeat, rate)
        del model
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
