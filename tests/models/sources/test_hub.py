import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from models import ModelError, Source
from models.errors import IncompleteError, RefusedError
from models.loading import load
from models.sources import hub as hub_module
from models.sources.hub import _sizes, check_commit, download, hub_commit, revisions

NAME = "org/name"
COMMIT = "c" * 40
WHOLE = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.json": b"{}",
    "model.safetensors": b"weights",
    "original/consolidated.bin": b"not read",
}
PARTS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
SHARDED = {
    "config.json": b'{"model_type": "llama"}',
    "vocab.txt": b"a",
    "model.safetensors.index.json": json.dumps(
        {"weight_map": {"a": PARTS[0], "b": PARTS[1]}}
    ).encode(),
    **dict.fromkeys(PARTS, b"weights"),
}


class Hub:
    """A hub of one model, as far as its routes are asked for here.

    Attributes:
        files: What each commit holds.
        branches: The commit of each branch.
        tags: The commit of each tag.
        asked: The paths that were asked for.
        tokens: What was sent with them to say who asks.
        gated: Whether files are for those only who have accepted the terms.
        hangs: Whether it says nothing at all.
    """

    def __init__(self):
        self.files = {COMMIT: WHOLE}
        self.branches = {"main": COMMIT}
        self.tags = {}
        self.asked = []
        self.tokens = set()
        self.gated = self.hangs = False

    def answer(self, path, token=None):
        """The status, headers and body of the answer to a request."""
        self.asked.append(path)
        if NAME in path:  # the library asks for things of its own, too
            self.tokens.add(token)
        if found := re.fullmatch(rf"/{NAME}/resolve/(\w+)/(.+)", path):
            commit, file = found.groups()
            if self.gated:
                return 403, {"X-Error-Code": "GatedRepo"}, b""
            if file not in self.files.get(commit, {}):
                return 404, {"X-Error-Code": "EntryNotFound"}, b""
            headers = {"X-Repo-Commit": commit, "ETag": f'"{commit}{file.replace("/", "-")}"'}
            return 200, headers, self.files[commit][file]
        if not path.startswith(f"/api/models/{NAME}"):
            return 404, {"X-Error-Code": "RepoNotFound"}, b""
        if path.endswith("/refs"):
            refs = {"branches": self.branches, "tags": self.tags, "converts": {}}
            return self.say(
                {
                    kind: [{"name": n, "ref": f"refs/{kind}/{n}", "targetCommit": c} for n, c in of]
                    for kind, of in ((kind, named.items()) for kind, named in refs.items())
                }
            )
        revision = path.rpartition("/")[2] if path != f"/api/models/{NAME}" else "main"
        commit = (self.branches | self.tags).get(revision, revision)
        if commit not in self.files:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        sizes = {file: len(content) for file, content in self.files[commit].items()}
        if "/tree/" in path:
            kind = {"type": "file", "oid": commit}
            return self.say([{"path": file, "size": n, **kind} for file, n in sizes.items()])
        siblings = [{"rfilename": file, "size": size} for file, size in sizes.items()]
        return self.say({"id": NAME, "sha": commit, "siblings": siblings})

    @staticmethod
    def say(value):
        return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub on this machine, which the hub's library takes for the real one."""
    hub, over = Hub(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if hub.hangs:
                over.wait()
                return
            path = unquote(urlsplit(self.path).path)
            status, headers, body = hub.answer(path, self.headers["Authorization"])
            self.send_response(status)
            for name, value in {**headers, "Content-Length": len(body)}.items():
                self.send_header(name, str(value))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("ANCHORLAKE_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            endpoint + "/{repo_id}/resolve/{revision}/{filename}",
        )
        monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", endpoint)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        huggingface_hub.close_session()  # it may know of a proxy
        for remembered in (_sizes, hub_module._ask_hub, hub_module._ask_adapter_config):
            remembered.cache_clear()
        hub.endpoint = endpoint
        yield hub
        huggingface_hub.close_session()
        over.set()
        server.shutdown()


def test_revisions_are_branches_and_tags(hub):
    hub.branches["step100"], hub.tags["v1"] = "a" * 40, "b" * 40
    assert revisions(NAME) == {"main": COMMIT, "step100": "a" * 40, "v1": "b" * 40}
    hub.branches["step200"] = "d" * 40
    assert revisions(NAME)["step200"] == "d" * 40


def test_what_the_hub_does_not_have_is_said(hub):
    with pytest.raises(ModelError, match="hf:org/other is not on the hub, or needs") as caught:
        revisions("org/other")
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="hf:org/name@v9 has no such revision"):
        check_commit(NAME, "v9")


def test_a_hub_out_of_reach_is_said(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for ask in (lambda: revisions(NAME), lambda: check_commit(NAME, COMMIT)):
        with pytest.raises(ModelError, match=r"the hub cannot be asked for hf:org/name.*try again"):
            ask()
    assert not hub.asked


def test_a_commit_is_known_without_the_hub(hub):
    assert hub_commit(f"{NAME}@{COMMIT}") == COMMIT
    assert hub_commit(f"org/data@{'0' * 40}", kind="dataset") == "0" * 40
    assert not hub.asked
    hub.tags[COMMIT[:39]] = COMMIT
    assert hub_commit(f"{NAME}@{COMMIT[:39]}") == COMMIT
    assert hub.asked


@pytest.mark.parametrize("files", [WHOLE, SHARDED])
def test_a_whole_commit_is_whole(files, hub):
    hub.files[COMMIT] = files
    check_commit(NAME, COMMIT)
    assert not any(path.endswith(".safetensors") for path in hub.asked)


@pytest.mark.parametrize(
    ("files", "changes", "message"),
    [
        (WHOLE, {"config.json": None}, "there is no config.json in it"),
        (WHOLE, {"config.json": b"{"}, "config.json is not a whole JSON object"),
        (WHOLE, {"tokenizer.json": None}, "has no tokenizer"),
        (WHOLE, {"tokenizer.json": b""}, "has no tokenizer"),
        (WHOLE, {"model.safetensors": None}, "has no weights as safetensors"),
        (WHOLE, {"model.safetensors": b""}, "model.safetensors is empty"),
        (SHARDED, {PARTS[1]: None}, f"lacks the weights {PARTS[1]}"),
        (SHARDED, {PARTS[0]: b""}, f"{PARTS[0]} is empty"),
        (SHARDED, {"model.safetensors.index.json": None}, "is a part"),
    ],
)
def test_a_commit_that_lacks_something_is_not_whole(files, changes, message, hub):
    changed = (files | changes).items()
    hub.files[COMMIT] = {name: content for name, content in changed if content is not None}
    with pytest.raises(IncompleteError, match=re.escape(message)) as caught:
        check_commit(NAME, COMMIT)
    assert str(caught.value).startswith(f"hf:{NAME}@{COMMIT}")


REMOTE = b'{"model_type": "strange", "auto_map": {"AutoConfig": "strange.Config"}}'


def test_a_commit_that_would_run_code_is_refused(hub):
    pickle = {name: content for name, content in WHOLE.items() if name != "model.safetensors"}
    hub.files[COMMIT] = {**pickle, "pytorch_model.bin": b"weights"}
    with pytest.raises(RefusedError, match=r"pytorch_model\.bin is a pickle.*allow_pickle: true"):
        check_commit(NAME, COMMIT)
    check_commit(NAME, COMMIT, allow_pickle=True)
    other = "d" * 40
    hub.files[other] = WHOLE | {"config.json": REMOTE}
    with pytest.raises(RefusedError, match=r"config\.json asks for code.*allow_remote_code: true"):
        check_commit(NAME, other)
    check_commit(NAME, other, allow_remote_code=True)


@pytest.mark.parametrize(
    ("options", "safetensors", "extra"),
    [
        ({}, True, set()),
        ({"allow_pickle": True}, True, set()),
        ({"allow_pickle": True}, False, {"pytorch_model.bin"}),
        ({"allow_remote_code": True}, True, {"strange.py"}),
        (
            {"allow_pickle": True, "allow_remote_code": True},
            False,
            {"pytorch_model.bin", "strange.py"},
        ),
    ],
)
def test_only_what_may_be_read_is_downloaded(options, safetensors, extra, hub):
    files = {"config.json", "tokenizer.json", *["model.safetensors"] * safetensors}
    hub.files[COMMIT] = {
        **{name: WHOLE[name] for name in files},
        **dict.fromkeys(["pytorch_model.bin", "strange.py", "README.md"], b"x"),
    }
    folder, commit = download(f"{NAME}@main", **options)
    assert commit == COMMIT
    assert {path.name for path in folder.iterdir()} == files | extra
    assert Source("hf", f"{NAME}@main", **options).locate().folder == folder


def test_a_model_of_the_hub_loads_with_its_code_where_it_may(
    hub, llama_source, strange_code, tmp_path
):
    folder = tmp_path / "model"
    shutil.copytree(llama_source.location, folder)
    strange_code(folder)
    hub.files[COMMIT] = {path.name: path.read_bytes() for path in folder.iterdir()}
    location = f"{NAME}@{COMMIT}"
    model = load(Source("hf", location, allow_remote_code=True))
    assert type(model.model).__name__ == "StrangeForCausalLM"
    assert model.revision == COMMIT
    with pytest.raises(RefusedError, match="allow_remote_code: true"):
        load(Source("hf", location))


def test_a_gated_model_says_how_to_get_at_it(hub):
    hub.gated = True
    for ask in (
        lambda: check_commit(NAME, COMMIT),
        lambda: download(NAME),
        lambda: load(Source("hf", NAME)),
    ):
        with pytest.raises(ModelError) as caught:
            ask()
        assert re.fullmatch(
            rf"hf:{NAME}(@{COMMIT})? is gated: accept its terms at {hub.endpoint}/{NAME}, "
            "then say `hf auth login` or set HF_TOKEN",
            str(caught.value),
        )


TOKEN = "hf_secret"


def test_the_users_token_goes_to_the_hub_and_nowhere_else(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    revisions(NAME)
    check_commit(NAME, COMMIT)
    download(f"{NAME}@main")
    assert hub.tokens == {f"Bearer {TOKEN}"}
    hub.gated = True
    other = "d" * 40
    hub.files[other] = WHOLE
    for ask in (
        lambda: revisions("org/other"),
        lambda: check_commit(NAME, other),
        lambda: check_commit(NAME, "v9"),
        lambda: download(f"{NAME}@{other}"),
        lambda: hub_commit("org/other"),
    ):
        with pytest.raises(ModelError) as caught:
            ask()
        assert TOKEN not in str(caught.value)


@pytest.mark.slow
def test_what_the_environment_says_of_the_hub_is_heard(hub, tmp_path):
    program = (
        "from models.sources.hub import download, hub_commit, revisions\n"
        f"print(hub_commit('{NAME}'), revisions('{NAME}'), download('{NAME}')[0])"
    )
    said = {
        **{name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"},
        "HF_ENDPOINT": hub.endpoint,
        "HF_TOKEN": TOKEN,
        "HF_HOME": str(tmp_path / "home"),
    }

    def run(**more):
        command = [sys.executable, "-c", program]
        return subprocess.run(command, env=said | more, capture_output=True, text=True, check=False)

    found = run()
    assert found.returncode == 0, found.stderr
    assert COMMIT in found.stdout
    assert str(tmp_path / "home") in found.stdout
    assert hub.tokens == {f"Bearer {TOKEN}"}
    hub.asked.clear()
    offline = run(HF_HUB_OFFLINE="1")
    assert "ModelError: the hub cannot be asked" in offline.stderr  # for its branches
    assert not hub.asked


def test_without_the_hub_what_was_downloaded_is_used(hub, llama_source, monkeypatch):
    folder = Path(llama_source.location)
    hub.files[COMMIT] = {path.name: path.read_bytes() for path in folder.iterdir()}
    source = Source("hf", f"{NAME}@main")
    digest = source.digest()
    with monkeypatch.context() as context:
        context.setattr(constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(ModelError) as caught:
            load(source)
    assert str(caught.value) == (
        f"hf:{NAME}@main is not in the local cache, and the hub cannot be reached"
    )
    load(source)
    hub.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load(source).revision == COMMIT
    assert source.digest() == digest
    assert not hub.asked


def test_a_branch_that_moves_is_another_model(hub, monkeypatch):
    monkeypatch.setattr(hub_module, "_ANSWER_LASTS", 1e-9)
    source = Source("hf", f"{NAME}@main")
    digest = source.digest()
    assert source.locate().revision == COMMIT
    moved = hub.branches["main"] = "d" * 40
    hub.files[moved] = WHOLE
    assert source.digest() != digest
    assert source.locate().revision == moved
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert source.digest() != digest
    assert source.locate().revision == moved


@pytest.mark.whole
def test_a_hub_that_says_nothing_holds_nobody_up(hub, monkeypatch):
    monkeypatch.setattr(hub_module, "_PATIENCE", 0.2)
    hub.hangs = True
    started = time.perf_counter()
    for ask in (
        lambda: revisions(NAME),
        lambda: check_commit(NAME, COMMIT),
        lambda: hub_commit(NAME),
    ):
        with pytest.raises(ModelError):
            ask()
    assert time.perf_counter() - started < 5


def test_an_adapter_on_the_hub_is_put_on_its_base(hub, llama_source, tmp_path, monkeypatch):
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(llama_source.location),
        LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False),
    )
    model.eval().save_pretrained(tmp_path / "adapter")
    files = {path.name: path.read_bytes() for path in (tmp_path / "adapter").iterdir()}
    hub.files[COMMIT] = files
    check_commit(NAME, COMMIT)
    source = Source("hf", NAME)
    assert source.base() == Source("dir", llama_source.location)
    loaded = load(source)
    assert loaded.revision == COMMIT
    ids = torch.tensor([[0, 70, 90]])
    with torch.inference_mode():
        torch.testing.assert_close(loaded.model(ids).logits, model(ids).logits)
    digest = source.digest()
    on = Source("hf", NAME, adapter_on=Source("hf", f"org/base@{COMMIT}"))
    assert on.digest() not in (digest, Source("hf", f"{NAME}@main").digest())
    # That it is one is known from then on, and of what was downloaded without the hub.
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for heard in ("none", "adapters"):
        shutil.rmtree(tmp_path / "cache" / heard, ignore_errors=True)
        hub_module._ask_adapter_config.cache_clear()
        assert source.digest() == digest
        load(source)
