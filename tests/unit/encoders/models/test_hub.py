"""Pulling from a hub on this machine with the real client; every pull in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from clipstack.encoders.models.catalog import describe, list_models, resolve
from clipstack.encoders.models.hub import _within, needed, parse
from clipstack.errors import PrerequisiteError
from tests.unit.encoders.models.hub_server import COMMIT, serving

# huggingface_hub reads HF_ENDPOINT and HF_HOME when it is imported, hence the processes.
PULL = """
import json, sys
from clipstack.encoders.models import catalog as models
from clipstack.errors import ClipstackError
from clipstack.events import Events
seen = []
class Downloads(Events):
    def download(self, name, done, total):
        seen.append((done, total))
try:
    call = getattr(models, sys.argv[1])
    options = {"download": True} if sys.argv[1] == "resolve" else {}
    found = call(sys.argv[2], events=Downloads(), **options)
    answer = {"path": str(found.path), "revision": found.revision, "name": found.name}
except ClipstackError as error:
    answer = {"error": type(error).__name__, "code": error.code, "message": error.message}
    answer["hint"] = error.hint
print(json.dumps(answer | {"progress": seen}))
"""


def run(name, endpoint, call="pull", **environment):
    root = str(Path(__file__).parents[4])
    given = os.environ | {"PYTHONPATH": root, "HF_ENDPOINT": endpoint} | environment
    command = [sys.executable, "-c", PULL, call, name]
    done = subprocess.run(command, capture_output=True, text=True, env=given, timeout=120)
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.fixture
def hub(clip, tmp_path):
    """A hub with org/tiny, which has other frameworks' files too."""
    folder = tmp_path / "published"
    shutil.copytree(clip, folder)
    for name in ("pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "README.md"):
        (folder / name).write_bytes(b"0" * 1000)
    for name in ("open_clip_pytorch_model.bin", "model.onnx", "training_args.bin"):
        (folder / name).write_bytes(b"0" * 1000)
    with serving({"org/tiny": folder}) as running:
        yield running


def test_a_pull_fetches_what_is_needed_and_no_more(hub, clip):
    answer = run("org/tiny", hub.url)
    assert (answer["revision"], answer["name"]) == (COMMIT, "org/tiny")
    assert sorted(hub.fetched) == sorted(file.name for file in clip.iterdir())
    total = sum(file.stat().st_size for file in clip.iterdir())
    assert answer["progress"][-1] == [total, total]
    done = [step[0] for step in answer["progress"]]
    assert done == sorted(done)

    folder = resolve("org/tiny", download=False)
    assert str(folder.path) == answer["path"]
    assert describe(folder).fingerprint == describe(clip).fingerprint
    assert [model.name for model in list_models()] == ["shapes", "org/tiny"]


def test_a_second_pull_fetches_nothing(hub):
    first = run("org/tiny", hub.url)
    hub.fetched.clear()
    assert run("org/tiny", hub.url)["path"] == first["path"]
    assert hub.fetched == []


def test_resolve_downloads_only_what_is_not_there(hub):
    path = run("org/tiny", hub.url, "resolve")["path"]
    Path(path, "model.safetensors").resolve().unlink()
    Path(path, "model.safetensors").unlink()
    hub.fetched.clear()
    assert run("org/tiny", hub.url, "resolve")["path"] == path
    assert hub.fetched == ["model.safetensors"]
    hub.status["org/tiny"] = (500, "")
    assert run("org/tiny", hub.url, "resolve")["path"] == path


def test_pytorch_weights_where_there_are_no_safetensors(hub):
    (hub.repos["org/tiny"] / "model.safetensors").unlink()
    run("org/tiny", hub.url)
    assert "pytorch_model.bin" in hub.fetched
    assert not {"open_clip_pytorch_model.bin", "tf_model.h5"} & set(hub.fetched)


def test_a_pull_of_a_commit(hub):
    assert run(f"org/tiny@{COMMIT}", hub.url)["revision"] == COMMIT
    assert resolve(f"org/tiny@{COMMIT}", download=False).revision == COMMIT


@pytest.mark.parametrize(
    ("name", "status", "error", "words"),
    [
        ("org/none", None, "NotFoundError", "no model org/none"),
        ("org/tiny@v9", None, "NotFoundError", "no revision v9"),
        ("org/tiny", (403, "GatedRepo"), "PrerequisiteError", "behind a form"),
        ("org/tiny", (503, ""), "PrerequisiteError", "can't be reached"),
    ],
)
def test_what_the_hub_refuses(hub, name, status, error, words):
    if status:
        hub.status["org/tiny"] = status
    answer = run(name, hub.url)
    assert answer["error"] == error
    assert words in answer["message"]
    assert answer["hint"] or "revision" in words


def test_a_repository_of_another_format(hub):
    (hub.repos["org/tiny"] / "model.safetensors").unlink()
    (hub.repos["org/tiny"] / "pytorch_model.bin").unlink()
    answer = run("org/tiny", hub.url)
    assert answer["error"] == "PrerequisiteError"
    assert "neither model.safetensors nor pytorch_model.bin" in answer["message"]
    assert hub.fetched == []


def test_a_download_that_breaks_goes_on_where_it_stopped(hub):
    hub.broken.add("model.safetensors")
    answer = run("org/tiny", hub.url)
    assert answer["error"] == "PrerequisiteError"
    with pytest.raises(PrerequisiteError, match="missing"):
        resolve("org/tiny", download=False)
    arrived = set(hub.fetched) - hub.broken
    hub.broken.clear()
    hub.fetched.clear()
    assert "path" in run("org/tiny", hub.url)
    assert "model.safetensors" in hub.fetched
    assert not arrived & set(hub.fetched)


def three_ways(answer):
    assert (answer["error"], answer["code"]) == ("PrerequisiteError", 4)
    assert len(answer["hint"].splitlines()) == 3
    return answer["message"]


def test_no_network():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        assert "can't be reached" in three_ways(run("org/tiny", endpoint, "resolve"))


def test_a_network_that_never_answers_is_given_up():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert "can't be reached" in three_ways(run("org/tiny", endpoint, "resolve"))


def test_a_call_that_hangs_is_given_up():
    """As a name look-up or a host with many dead addresses does, beyond any timeout of a socket."""
    released = threading.Event()
    try:
        with pytest.raises(TimeoutError, match="no answer"):
            _within(0.05, lambda: released.wait(20))
    finally:
        released.set()
    assert _within(20, lambda: "answer") == "answer"
    with pytest.raises(ZeroDivisionError):
        _within(20, lambda: 1 / 0)


def test_the_hub_switched_off(hub):
    message = three_ways(run("org/tiny", hub.url, "resolve", HF_HUB_OFFLINE="1"))
    assert "HF_HUB_OFFLINE" in message
    assert hub.fetched == []


def test_needed_files_of_weights_in_parts():
    parts = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    files = ["config.json", "model.safetensors.index.json", *parts, "pytorch_model.bin", "x.h5"]
    files.append(f"{parts[0]}.bak")
    assert needed(files) == ["config.json", "model.safetensors.index.json", *parts]
    bins = ["pytorch_model.bin.index.json", "pytorch_model-00001-of-00001.bin", "model.onnx"]
    assert needed(bins) == bins[:2]


@pytest.mark.parametrize(
    ("name", "repo", "revision"),
    [
        ("openai/clip-vit-base-patch32", "openai/clip-vit-base-patch32", ""),
        ("a/b@refs/pr/1", "a/b", "refs/pr/1"),
        (
            "laion/CLIP-ViT-B-32-laion2B-s34B-b79K@main",
            "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
            "main",
        ),
    ],
)
def test_names_of_the_hub(name, repo, revision):
    parsed = parse(name)
    assert (parsed.repo, parsed.revision, str(parsed)) == (repo, revision, name)


@pytest.mark.parametrize("name", ["a", "a/b/c", "a/b@", "a/b@../x", "a b/c", "../b", ""])
def test_what_is_no_name_of_the_hub(name):
    assert parse(name) is None
