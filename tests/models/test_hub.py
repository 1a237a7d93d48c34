import json
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import huggingface_hub
import pytest
from huggingface_hub import constants

from models import ModelError, Source
from models.errors import IncompleteError, RefusedError
from models.hub import _sizes, check_commit, download, hub_commit, revisions
from models.loading import load

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
    """

    def __init__(self):
        self.files = {COMMIT: WHOLE}
        self.branches = {"main": COMMIT}
        self.tags = {}
        self.asked = []

    def answer(self, path):
        """The status, headers and body of the answer to a request."""
        self.asked.append(path)
        if found := re.fullmatch(rf"/{NAME}/resolve/(\w+)/(.+)", path):
            commit, file = found.groups()
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
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, headers, body = hub.answer(unquote(urlsplit(self.path).path))
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
        _sizes.cache_clear()
        yield hub
        huggingface_hub.close_session()
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
