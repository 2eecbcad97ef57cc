"""Base models: local folders that may be used or not, and a hub that is there, gated, typing errors, or gone."""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import MakeTask, autoadapt, environment

from autoadapt.errors import UserError
from autoadapt.model_files import find_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_a_local_folder_is_found(tiny_model: Path) -> None:
    assert find_model(tiny_model.name, tiny_model.parent, download=False) == tiny_model
    with pytest.raises(UserError, match=f"Did you mean '{tiny_model.name}'"):
        find_model("./tinny", tiny_model.parent, download=False)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda f: (f / "config.json").unlink(), "has no config.json"),
        (lambda f: (f / "config.json").write_text("{"), "config.json is not valid JSON"),
        (lambda f: (f / "config.json").write_text('{"auto_map": {"AutoModel": "x.py"}}'), "needs code of its own"),
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "only pickled weights"),
        (lambda f: (f / "model.safetensors").unlink(), "no weights"),
        (lambda f: (f / "tokenizer.json").unlink(), "has no tokenizer"),
    ],
)
def test_a_folder_that_must_not_be_used(tiny_model: Path, tmp_path: Path, change: object, expected: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    change(folder)  # type: ignore[operator]
    with pytest.raises(UserError, match=expected):
        find_model("model", tmp_path, download=True)


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's protocol as fetching a snapshot needs."""

    folder: Path

    def files(self) -> list[Path]:
        return sorted(self.folder.iterdir())

    def do_GET(self) -> None:
        self.answer(body=True)

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def answer(self, body: bool) -> None:
        path = self.path.split("?")[0]
        if path.startswith("/api/models/test/gated"):
            self.reply(403, b"{}", {"X-Error-Code": "GatedRepo"}, body)
        elif path.startswith("/api/models/test/tiny/tree/"):
            listed = [{"type": "file", "path": f.name, "size": f.stat().st_size, "oid": "0" * 40} for f in self.files()]
            self.reply(200, json.dumps(listed).encode(), {"Content-Type": "application/json"}, body)
        elif path.startswith("/api/models/test/tiny"):
            files = [{"rfilename": f.name} for f in self.files()]
            answer = {"id": "test/tiny", "sha": COMMIT, "siblings": files, "private": False, "tags": [], "downloads": 0}
            config = json.loads((self.folder / "config.json").read_text())
            answer["config"] = {name: config[name] for name in ("architectures", "model_type")}
            self.reply(200, json.dumps(answer).encode(), {"Content-Type": "application/json"}, body)
        elif path.startswith(f"/test/tiny/resolve/{COMMIT}/"):
            content = (self.folder / path.rsplit("/", 1)[1]).read_bytes()
            self.reply(200, content, {"ETag": f'"{hash(content):x}"', "X-Repo-Commit": COMMIT}, body)
        else:
            self.reply(404, b"{}", {"X-Error-Code": "RepoNotFound"}, body)

    def reply(self, status: int, content: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub(tiny_model: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a child that knows a hub on this machine with one model, ``test/tiny``."""
    with hub_with(tiny_model, tmp_path) as variables:
        yield variables


@contextlib.contextmanager
def hub_with(model: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The same with another model."""
    handler = type("TinyHub", (Hub,), {"folder": model})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    variables = environment(HF_ENDPOINT=f"http://127.0.0.1:{server.server_port}", HF_HOME=str(tmp_path / "hf"))
    for name in list(variables):
        if name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
            del variables[name]
    yield {**variables, "HF_HUB_OFFLINE": "0"}
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("encoder", [True, False])
def test_a_hub_model_that_is_not_here_is_an_encoder_by_what_the_hub_states(
    tiny_model: Path, tiny_encoder: Path, tmp_path: Path, encoder: bool
) -> None:
    program = (
        "from pathlib import Path; from autoadapt.model_files import names_encoder as n; print(n('test/tiny', Path()))"
    )
    with hub_with(tiny_encoder if encoder else tiny_model, tmp_path) as variables:
        asked = {**variables, "HF_HUB_OFFLINE": "0"}
        done = subprocess.run([sys.executable, "-c", program], env=asked, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(encoder)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_hub_model_is_fetched_once_and_then_works_offline(make_task: MakeTask, hub: dict[str, str]) -> None:
    task = make_task(models=["test/tiny"], methods=["prompt"], budget={"trials": 1})
    checked = autoadapt("check", task, env=hub)
    assert checked.returncode == 0, checked.stderr
    assert not list(Path(hub["HF_HOME"]).rglob("*.safetensors")), "check downloads nothing"
    run = autoadapt("search", task, "--runs", task.parent / "runs", env=hub)
    assert run.returncode == 0, run.stderr
    assert list(Path(hub["HF_HOME"]).rglob("*.safetensors"))
    offline = autoadapt("check", task, env={**hub, "HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"})
    assert offline.returncode == 0, offline.stderr
    listed = json.loads(autoadapt("models", "list", "--json", env={**hub, "HF_HUB_OFFLINE": "1"}).stdout)
    assert {m["name"]: m["family"] for m in listed}["test/tiny"] == "causal_lm"


def test_a_named_model_is_fetched_from_its_commit_on_the_hub(
    tiny_model: Path, hub: dict[str, str], tmp_path: Path
) -> None:
    sha256 = hashlib.sha256((tiny_model / "model.safetensors").read_bytes()).hexdigest()
    code = (
        "import sys\n"
        "from autoadapt.cli import main\n"
        "from autoadapt.named_models import NAMED, HubSource, NamedModel\n"
        f"NAMED['tiny'] = NamedModel(name='tiny', family='causal_lm', parameters=1, licence='MIT', title='a test',\n"
        f"    hub=HubSource('test/tiny', {COMMIT!r}, sys.argv.pop(1)))\n"
        "sys.argv[:] = ['autoadapt', 'models', 'get', 'tiny']\n"
        "main.main()"
    )
    env = {**hub, "AUTOADAPT_CACHE": str(tmp_path / "cache")}
    get = [sys.executable, "-c", code]
    changed = subprocess.run([*get, "0" * 64], env=env, capture_output=True, text=True)
    assert changed.returncode == 4
    assert "test/tiny at 0123" in changed.stderr
    assert "is not the file that was published" in changed.stderr
    run = subprocess.run([*get, sha256], env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    folder = tmp_path / "cache" / "models" / "tiny"
    assert {f.name for f in folder.iterdir()} == {f.name for f in tiny_model.iterdir()} | {"README.md"}
    assert COMMIT in (folder / "README.md").read_text()


def test_a_hub_that_does_not_answer_is_said(make_task: MakeTask, hub: dict[str, str]) -> None:
    task = make_task(models=["test/tiny"], methods=["prompt"], budget={"trials": 1})
    run = autoadapt("check", task, env={**hub, "HF_ENDPOINT": "http://127.0.0.1:9"})
    assert run.returncode == 4, run.stderr
    assert "cannot be reached and it is not in the cache" in run.stderr


@pytest.mark.parametrize(
    ("name", "offline", "code", "expected"),
    [
        ("test/tyny", False, 2, "has no such repository"),
        ("test/gated", False, 7, "is gated: accept its terms"),
        ("test/tiny", True, 4, "cannot be reached and it is not in the cache"),
    ],
)
def test_what_the_hub_cannot_give_is_said(
    make_task: MakeTask, hub: dict[str, str], name: str, offline: bool, code: int, expected: str
) -> None:
    task = make_task(models=[name], methods=["prompt"], budget={"trials": 1})
    run = autoadapt("search", task, "--runs", task.parent / "runs", env={**hub, "HF_HUB_OFFLINE": str(int(offline))})
    assert run.returncode == code, run.stderr
    assert expected in run.stderr
    assert "Traceback" not in run.stderr
    assert os.path.basename(task) in run.stderr


def test_a_half_downloaded_model_is_named(make_task: MakeTask, hub: dict[str, str]) -> None:
    task = make_task(models=["test/tiny"], methods=["prompt"], budget={"trials": 1})
    assert autoadapt("search", task, "--runs", task.parent / "runs", env=hub).returncode == 0
    for file in Path(hub["HF_HOME"]).rglob("*.safetensors"):
        file.unlink()
    run = autoadapt("check", task, env={**hub, "HF_HUB_OFFLINE": "1"})
    assert run.returncode == 4
    assert "in the cache only in part" in run.stderr
