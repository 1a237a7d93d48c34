"""The process that vLLM runs in: settings and requests come in, generations go out.

A script for an interpreter that has vLLM, and may have nothing of this project; it is run with
`-P`, so that no module beside it is taken for one of vLLM's. Each line that it reads and writes is
one JSON object. The first line read holds the engine's settings, and is answered by vLLM's version
once the weights are in memory. Then come lines of three kinds:

- `prompt_ids`, `max_tokens`, `stop_token_ids` and `generations`, a list of
  [id, seed, parameters]: what to generate after one prompt, the parameters those of sampling, as
  vLLM calls them; temperature 0 is greedy.
- `begin`: all of a batch has been said. Waiting for it makes the engine's batches those of the
  requests, not of how fast they came.
- `cancel`: nothing that was asked for is wanted any more.

Each generation is answered as soon as it is finished. The process ends when its input does.
"""

from __future__ import annotations

import importlib.util
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections import deque
from typing import Any, TextIO

_GRACE = 5.0
"""Seconds that the main thread has to end by itself once the input has ended."""
_CACHE_SHARE, _MOST_CACHE, _LEAST_CACHE = 4, 4 << 30, 1 << 28
"""On a CPU keys and values take a quarter of the free memory, within these bounds in bytes."""


def main() -> None:
    """Answers until the input ends."""
    # vLLM and what it runs print to standard output: answers go through a copy of it, which is not
    # inherited, and the rest is sent where errors go.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        if importlib.util.find_spec("vllm") is None:
            _answer(answers, missing=True)
            return
        lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=_read, args=(lines,), daemon=True).start()
        settings = lines.get()
        if settings is None:
            return
        import vllm

        engine = _engine(settings)
        _answer(answers, version=vllm.__version__)
        _serve(engine, lines, answers)
        engine.engine_core.shutdown()
        os._exit(0)  # at once, because the interpreter's own end takes seconds
    except Exception as error:
        traceback.print_exc()
        # Some messages have several lines, of which the last says least.
        message = " ".join(str(error).split())
        print(f"{type(error).__name__}: {message}", file=sys.stderr, flush=True)
        os._exit(1)


def _read(lines: queue.Queue[dict[str, Any] | None]) -> None:
    """Passes on the input's lines, and sees to it that the process ends when they do."""
    try:
        for line in sys.stdin:
            lines.put(json.loads(line))
    except ValueError:  # a line that was cut off as the parent was killed
        pass
    lines.put(None)
    time.sleep(_GRACE)
    # The parent is gone, or does not want to wait: a step or a load may take minutes.
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)  # with the engine's own processes
    os._exit(1)


def _engine(settings: dict[str, Any]) -> Any:
    from vllm.platforms import current_platform

    on_cpu = current_platform.is_cpu()
    if settings["device"] is not None and (settings["device"] == "cpu") != on_cpu:
        built = "CPUs" if on_cpu else "GPUs"
        raise ValueError(f"this build of vLLM is for {built}, and device is {settings['device']}")
    optional: dict[str, Any] = {}
    if on_cpu:
        # Nothing is compiled: that takes longer than it saves here, and needs a C++ compiler.
        os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
        optional["enforce_eager"] = True
        # A prompt that is read in parts sets back its random numbers, which CPUs have no way to do.
        optional["enable_chunked_prefill"] = False
        if not os.environ.get("VLLM_CPU_KVCACHE_SPACE"):
            optional["kv_cache_memory_bytes"] = _cache_bytes()
    from vllm import EngineArgs, LLMEngine  # after what is set in the environment
    from vllm.usage.usage_lib import UsageContext

    if settings["batch_tokens"] is not None:
        least = settings["max_length"] if on_cpu else 1
        optional["max_num_batched_tokens"] = max(settings["batch_tokens"], least)
    arguments = EngineArgs(
        model=settings["folder"],
        skip_tokenizer_init=True,  # it reads and writes token ids
        trust_remote_code=settings["trust_remote_code"],
        dtype=settings["dtype"],
        seed=0,  # of nothing that is drawn: each generation has its own
        tensor_parallel_size=settings["tensor_parallel"],
        max_model_len=settings["max_length"],
        enable_prefix_caching=False,  # so that what was generated before changes nothing
        logprobs_mode="raw_logprobs",
        generation_config="vllm",  # a checkpoint's own defaults do not change the sampling
        disable_log_stats=True,
        **optional,
    )
    return LLMEngine.from_engine_args(arguments, usage_context=UsageContext.LLM_CLASS)


def _cache_bytes() -> int:
    """Memory for keys and values on a CPU."""
    try:
        with open("/proc/meminfo") as file:
            (line,) = (line for line in file if line.startswith("MemAvailable:"))
        free = int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return 2 << 30
    return max(_LEAST_CACHE, min(_MOST_CACHE, free // _CACHE_SHARE))


def _serve(engine: Any, lines: queue.Queue[dict[str, Any] | None], answers: TextIO) -> None:
    """Generates what is asked for until the input ends."""
    most = 2 * engine.vllm_config.scheduler_config.max_num_seqs
    waiting: deque[tuple[str, list[int], Any]] = deque()
    running: set[str] = set()
    begun = False
    while True:
        while not (begun and (waiting or running)) or not lines.empty():
            line = lines.get()
            if line is None:
                return
            if "cancel" in line:
                engine.abort_request(sorted(running))
                waiting.clear()
                running.clear()
                begun = False
            elif "begin" in line:
                begun = True
            else:
                begun = False
                waiting.extend(_requests(line))
        # The engine copies each prompt, so it is not given more than it has use for.
        while waiting and len(running) < most:
            name, prompt_ids, parameters = waiting.popleft()
            engine.add_request(name, {"prompt_token_ids": prompt_ids}, parameters)
            running.add(name)
        for output in engine.step():
            if output.finished and output.request_id in running:
                running.remove(output.request_id)
                _answer(answers, **_generation(output))


def _requests(line: dict[str, Any]) -> list[tuple[str, list[int], Any]]:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return [
        (
            str(name),
            line["prompt_ids"],
            SamplingParams(
                **parameters,
                seed=seed,
                max_tokens=line["max_tokens"],
                stop_token_ids=line["stop_token_ids"],
                ignore_eos=True,  # only the tokens named stop it
                logprobs=0,  # of the token drawn alone
                flat_logprobs=True,  # an object a position would be slow
                detokenize=False,
                output_kind=RequestOutputKind.FINAL_ONLY,
            ),
        )
        for name, seed, parameters in line["generations"]
    ]


def _generation(output: Any) -> dict[str, Any]:
    (made,) = output.outputs
    if made.finish_reason not in ("stop", "length"):
        raise RuntimeError(f"a generation ended by {made.finish_reason!r}")
    token_ids = list(made.token_ids)
    logprobs = [made.logprobs[i][token].logprob for i, token in enumerate(token_ids)]
    return {
        "id": int(output.request_id),
        "token_ids": token_ids,
        "logprobs": logprobs,
        "finish_reason": made.finish_reason,
    }


def _answer(answers: TextIO, **values: Any) -> None:
    answers.write(f"{json.dumps(values)}\n")
    answers.flush()


if __name__ == "__main__":  # vLLM's own processes import this file under another name
    main()
