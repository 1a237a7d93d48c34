"""Sampling with vLLM, in a process of its own.

Its memory is free again once the process has ended, and the libraries that it pins need not be the
ones installed here: it runs under the Python that `ANCHORLAKE_VLLM_PYTHON` names, or else ours.
"""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from models.completions import Completion
from models.errors import ModelError, sentence
from models.randomness import request_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence, Set

    from models.completions import Request
    from models.decoding import Decoding

_PYTHON = "ANCHORLAKE_VLLM_PYTHON"
_WORKER = Path(__file__).with_name("vllm_worker.py")
_ASK_VERSION = (  # whatever the distribution is called that brings it
    "from importlib.metadata import packages_distributions, version;"
    "print(version(packages_distributions()['vllm'][0]))"
)
_DTYPES = ("float32", "bfloat16", "float16")
_COLDEST = 0.01
"""vLLM raises lower temperatures to this one."""
_GRACE = 5.0
"""Seconds in which the process may end by itself."""
_CLEARING = 1.0
"""Seconds in which those that it started may end after it."""
_LOOK = 0.5
"""Seconds between looks at whether a silent process is still there."""
_TAIL = 1 << 16
"""Bytes that are read from the end of what the process has printed."""
_RAISED = re.compile(r"(?:Error|Exception|Interrupt): (?P<message>.*\S)")


def vllm_version() -> str:
    """The version of vLLM that `running` would run; it is not loaded.

    Raises:
        ModelError: It is not installed.
    """
    version = _installed_version(_python())
    if version is None:
        raise _not_installed()
    return version


@lru_cache
def _installed_version(python: str) -> str | None:
    try:
        asked = subprocess.run(
            [python, "-P", "-c", _ASK_VERSION], check=False, capture_output=True, text=True
        )
    except OSError as error:
        raise _no_interpreter(error) from None
    return None if asked.returncode else asked.stdout.strip()


@contextmanager
def running(
    folder: Path,
    *,
    dtype: str,
    max_length: int,
    device: str | None = None,
    tensor_parallel: int = 1,
    batch_tokens: int | None = None,
    trust_remote_code: bool = False,
) -> Iterator[VllmProcess]:
    """Runs vLLM, with a checkpoint's weights in memory, until the context closes.

    Args:
        folder: The checkpoint, in the format of transformers; one that `check_folder` lets pass.
        dtype: `float32`, `bfloat16` or `float16`.
        max_length: Tokens of the longest prompt and its generation together.
        device: `cpu`, `cuda` or `cuda:N`; by default what vLLM was built for.
        tensor_parallel: GPUs that share the weights; from the N-th on where `device` names one.
        batch_tokens: Tokens that one step reads at most; by default what vLLM finds right.
        trust_remote_code: Whether code that comes with the checkpoint may run.

    Yields:
        The process; it has ended, with all that it started, when the context has closed.

    Raises:
        ModelError: vLLM is not installed, or cannot run the checkpoint.
    """
    if dtype not in _DTYPES:
        raise ModelError(f"{dtype!r} is no dtype for vLLM; use {', '.join(_DTYPES)}")
    settings = {
        "folder": str(folder.absolute()),
        "dtype": dtype,
        "max_length": max_length,
        "device": None if device is None else device.partition(":")[0],
        "tensor_parallel": tensor_parallel,
        "batch_tokens": batch_tokens,
        "trust_remote_code": trust_remote_code,
    }
    with tempfile.TemporaryFile() as printed:
        process = _start(_environment(device, tensor_parallel), printed)
        try:
            yield VllmProcess(process, printed, settings)
        finally:
            _end(process)


class VllmProcess:
    """vLLM with a checkpoint in memory.

    Attributes:
        version: vLLM's.
    """

    def __init__(
        self, process: subprocess.Popen[str], printed: IO[bytes], settings: dict[str, Any]
    ) -> None:
        self._process = process
        self._printed = printed
        self._max_length = settings["max_length"]
        self._n_asked = 0
        self._sampling = False
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

        failed = f"vLLM cannot run {settings['folder']}"
        self._send(settings)
        (answer,) = self._receive(failed)
        if "missing" in answer:
            raise _not_installed()
        self.version: str = answer["version"]

    def sample(
        self,
        requests: Sequence[Request],
        *,
        stop_token_ids: Collection[int],
        max_new_tokens: int,
        seed: int,
        finished: Set[Request] = frozenset(),
        on_tokens: Callable[[int, int], None] = lambda drawn, settled: None,
    ) -> Iterator[list[Completion]]:
        """Makes the generations, many at once.

        A generation's random numbers depend on nothing but (seed, prompt, sample). The floating
        point of vLLM's forward pass depends on what else is in its batch, though: the same requests
        give the same generations again, in whatever order they are asked for, while among others a
        few may take another turn where two tokens are all but equally likely.

        Args:
            requests: What to generate, in any order.
            stop_token_ids: Tokens that end a generation.
            max_new_tokens: Tokens at which a generation is cut, at least 1.
            seed: The study's seed.
            finished: Those that were made before, and are passed over.
            on_tokens: Called after each generation with its tokens, and with `max_new_tokens`.

        Yields:
            What has been finished since the last list, at least one completion.

        Raises:
            ModelError: A request cannot be made so, or the process has died.
        """
        if self._sampling:
            raise RuntimeError("one sample() must end before the next one begins")
        # One order for all, so that batches do not depend on the order of what is asked for.
        left = (request for request in requests if request not in finished)
        queued = sorted(left, key=lambda r: (len(r.prompt_ids), r.prompt_ids, _identity(r)))
        for request in queued:
            self._check(request, max_new_tokens)
        pending: dict[int, Request] = {}
        by_prompt: dict[tuple[int, ...], list[tuple[int, int, dict[str, float]]]] = {}
        for request in queued:
            by_prompt.setdefault(request.prompt_ids, []).append(
                (
                    self._n_asked,
                    request_seed(seed, request.prompt_key, request.sample),
                    _parameters(request.decoding),
                )
            )
            pending[self._n_asked] = request
            self._n_asked += 1

        failed = "vLLM's process died before all generations were finished"
        self._sampling = True
        try:
            for prompt_ids, generations in by_prompt.items():
                line = {
                    "prompt_ids": prompt_ids,
                    "max_tokens": max_new_tokens,
                    "stop_token_ids": sorted(stop_token_ids),
                    "generations": generations,
                }
                self._send(line)
            self._send({"begin": True})
            while pending:
                completions = []
                for answer in self._receive(failed):
                    made = pending.pop(answer["id"], None)
                    if made is None:  # asked for by a call that was left early
                        continue
                    ids = tuple(answer["token_ids"])
                    on_tokens(len(ids), max_new_tokens)
                    completions.append(
                        Completion(made, ids, answer["finish_reason"], tuple(answer["logprobs"]))
                    )
                if completions:
                    yield completions
        finally:
            self._sampling = False
            if pending:
                self._send({"cancel": True})

    def _check(self, request: Request, max_new_tokens: int) -> None:
        if len(request.prompt_ids) + max_new_tokens > self._max_length:
            raise ModelError(
                f"prompt {request.prompt_key!r} has {len(request.prompt_ids)} tokens, which with "
                f"{max_new_tokens} more are over the {self._max_length} that vLLM was started for"
            )
        check_decoding(request.decoding)

    def _send(self, line: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):  # it has died: `_receive` finds out, and why
            self._process.stdin.write(f"{json.dumps(line)}\n")
            self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with suppress(ValueError):  # a line that was cut off as the process died, or closed
            for line in self._process.stdout:
                self._answers.put(json.loads(line))

    def _receive(self, failed: str) -> list[dict[str, Any]]:
        """What has been answered since the last call, at least one line."""
        answers: list[dict[str, Any]] = []
        while not answers:
            # The end of its output is no sign of its death: what it started may hold that open.
            dead = self._process.poll() is not None
            with suppress(queue.Empty):
                answers.append(self._answers.get(timeout=_LOOK))
                while True:
                    answers.append(self._answers.get_nowait())
            if dead and not answers:
                raise self._death(failed)
        return answers

    def _death(self, failed: str) -> ModelError:
        _end(self._process)
        status = self._process.returncode
        how = f" (signal {-status})" if status < 0 else ""
        return ModelError(f"{failed}{how}: {_last_words(self._printed)}")


def check_decoding(decoding: Decoding) -> None:
    """Looks whether vLLM can sample so.

    Raises:
        ModelError: It would sample otherwise.
    """
    if decoding.treatment:
        raise ModelError(
            f"vLLM cannot sample with {decoding.name}, which looks at all logits of each step; "
            "take engine: transformers"
        )
    if decoding.temperature < _COLDEST:
        raise ModelError(
            f"temperature is {decoding.temperature}, and vLLM samples at {_COLDEST} "
            "and above; take a higher one or another engine"
        )
    # The shares that top_p goes by would be those of what min_p has left.
    if decoding.min_p and decoding.top_p < 1:
        raise ModelError(
            f"vLLM applies min_p before top_p, so that {decoding.name} would be another decoding; "
            "take one of the two, or engine: transformers"
        )


def _parameters(decoding: Decoding) -> dict[str, float]:
    """What vLLM is told of a decoding."""
    if decoding.is_greedy:
        return {"temperature": 0.0, "top_p": 1.0}
    parameters = {"temperature": decoding.temperature, "top_p": decoding.top_p}
    if decoding.top_k:
        parameters["top_k"] = decoding.top_k
    if decoding.min_p:
        parameters["min_p"] = decoding.min_p
    return parameters


def _identity(request: Request) -> tuple[str, int, str]:
    return request.prompt_key, request.sample, request.decoding.name


def _python() -> str:
    return os.environ.get(_PYTHON) or sys.executable


def _not_installed() -> ModelError:
    return ModelError(
        f"vLLM is not installed for {_python()}: make an environment for it alone, since it pins "
        "other versions of our libraries (`python -m venv vllm`, then "
        f"`vllm/bin/pip install 'vllm>=0.32'`), and set {_PYTHON} to its Python"
    )


def _no_interpreter(error: OSError) -> ModelError:
    return ModelError(f"{_PYTHON} is {_python()}, which cannot run: {sentence(error)}")


def _environment(device: str | None, tensor_parallel: int) -> dict[str, str]:
    """What the process sees of ours: no GPU but those it is to use, and no reports of its use."""
    python = shutil.which(_python()) or _python()
    environment = {
        "VLLM_LOGGING_LEVEL": "WARNING",
        **os.environ,
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        # The engine runs in the process itself, and not in a second one: when it takes up a request
        # is then no question of time, and the same requests make the same batches.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        # Tools that it compiles kernels with are installed beside its interpreter.
        "PATH": os.pathsep.join(
            [str(Path(python).absolute().parent), os.environ.get("PATH", os.defpath)]
        ),
    }
    number = (device or "").partition(":")[2]
    if number and not number.isdecimal():
        raise ModelError(f"{device!r} is no device for vLLM; use cpu, cuda or cuda:N")
    if number:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        wanted = range(int(number), int(number) + tensor_parallel)
        try:
            names = [visible.split(",")[i] if visible else str(i) for i in wanted]
        except IndexError:
            raise ModelError(
                f"device is {device} for {tensor_parallel} of them, and CUDA_VISIBLE_DEVICES is "
                f"{visible}"
            ) from None
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(names)
    return environment


def _start(environment: dict[str, str], printed: IO[bytes]) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            # Without -P a module beside the script could be taken for one of vLLM's: this one.
            [_python(), "-P", str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=printed,
            env=environment,
            text=True,
            encoding="utf-8",
            # Ctrl-C does not reach it, so that it is ended once, by us, with all that it started.
            start_new_session=True,
        )
    except OSError as error:
        raise _no_interpreter(error) from None


def _end(process: subprocess.Popen[str]) -> None:
    """Ends the process and those that it started, and waits for it."""
    assert process.stdin is not None
    try:
        with suppress(OSError):  # what could not be written to a process that is gone
            process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
        # Not killed at once, so that Python's tracker of shared memory can clear up after the rest.
        end = time.monotonic() + _CLEARING
        while _signal_all(process, signal.SIGTERM) and time.monotonic() < end:
            time.sleep(0.02)
    finally:
        _signal_all(process, signal.SIGKILL)
        process.wait()


def _signal_all(process: subprocess.Popen[str], number: int) -> bool:
    """Signals the process and those that it started; whether there were any."""
    process.poll()  # one that has ended counts until it has been waited for
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):  # a zombie alone is not permitted on some systems
        return False
    return True


def _last_words(printed: IO[bytes]) -> str:
    """The last line of what the process has printed that says why it ended."""
    printed.seek(max(0, printed.seek(0, os.SEEK_END) - _TAIL))
    lines = printed.read().decode(errors="replace").splitlines()
    spoken = [line.strip() for line in lines if line.strip()]
    raised = [match["message"] for line in spoken if (match := _RAISED.search(line))]
    # Those that tell of another process's error only point to it.
    causes = [message for message in raised if "root cause" not in message]
    last = (causes or raised or spoken or ["it printed nothing"])[-1]
    return sentence(ValueError(last))
