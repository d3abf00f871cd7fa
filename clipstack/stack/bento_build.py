"""A model and a tag in, a bento and an image that carry the model out."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from clipstack.encoders.base import ModelInfo
from clipstack.encoders.choice import choose
from clipstack.encoders.models.catalog import ModelFolder, describe
from clipstack.encoders.models.weights import weights_files
from clipstack.encoders.openvino import export
from clipstack.errors import ClipstackError, PrerequisiteError, UsageError
from clipstack.service import container_image as recipe
from clipstack.service import served_model as served
from clipstack.stack import docker_cli
from clipstack.stack.build_context import build_context, environment, uv_settings
from clipstack.stack.subprocesses import stream

# Docker's name of a machine -> uv's, of a system as new as the image's.
PLATFORMS = {
    "linux/amd64": "x86_64-manylinux_2_36",
    "linux/arm64": "aarch64-manylinux_2_36",
}
_SMALL = {".json", ".txt", ".model", ".jinja"}
_CUDA = re.compile(r"(nvidia-(?!ml-py)|cuda-|triton)\S*?(?===)")
_BUILT = re.compile(r'Bento\(tag="([^"]+)"\)')
# What docker prints of an instruction that takes its time, after `#12 [packages 3/5] `.
_STEPS = {
    r"\[.*\] FROM ": "fetching the base image",
    r"\[.*\] RUN .*pip install -r": "installing the packages",
    r"\[.*\] RUN .*rm -rf": "removing what is not used",
    r"\[.*\] COPY --from": "copying the packages",
    r"\[.*\] COPY .* \. \./": "copying the model and the code",
    r"exporting layers": "writing the image",
}


class Events(Protocol):
    """What a build tells while it runs."""

    def stage(self, text: str) -> None:
        """A stage begins; the one before it is done."""

    def step(self, text: str) -> None:
        """A step of the stage begins."""

    def line(self, text: str) -> None:
        """One line that bentoml or docker printed."""


@dataclass(frozen=True, slots=True)
class Built:
    """What a build made.

    Attributes:
        bento: its tag in BentoML's store.
        model: the model inside.
        stored: the model's tag in BentoML's model store.
        image: the image's tag, or "" if none was asked for.
        size: bytes of the image, 0 without one.
        seconds: the whole build took.
    """

    bento: str
    model: ModelInfo
    stored: str
    image: str
    size: int
    seconds: float


def build(
    model: ModelFolder,
    events: Events,
    *,
    tag: str,
    containerize: bool,
    platform: str | None,
    engine: str = "auto",
) -> Built:
    """Store the model, run `bentoml build` and, unless told not to, `bentoml containerize`.

    Args:
        model: what `encoders.models.resolve` returned.
        tag: the image's name and tag.
        platform: one of PLATFORMS; None for that of Docker's engine.
        engine: what encodes inside, as `encoders.load` takes it; "auto" is OpenVINO on x86.

    Raises:
        PrerequisiteError: Docker can't be used, or PyTorch's CPU build was not to be had.
        UsageError: no such platform or engine, or no valid tag.
        ClipstackError: bentoml or docker failed; the hint has its last lines.
    """
    started = time.monotonic()
    if platform and platform not in PLATFORMS:
        raise UsageError(f"no platform {platform}", hint=f"Platforms are {', '.join(PLATFORMS)}.")
    if not re.fullmatch(r"[a-z0-9][a-z0-9._/:-]*[a-zA-Z0-9._-]*", tag):
        raise UsageError(f"{tag!r} can't be the name of an image")
    docker_engine = docker_cli.docker_engine() if containerize else None
    target = platform or (f"linux/{docker_engine.architecture}" if docker_engine else "")
    runs_on = engine_for(target, engine)
    info = describe(model)
    events.stage("Storing the model")
    stored = store(model, info, runs_on)
    bento = _build(stored, PLATFORMS.get(target), runs_on, events)
    _refuse_cuda(bento)
    size = 0
    if containerize:
        _containerize(bento, tag, platform, events)
        size = docker_cli.image_bytes(tag)
    seconds = time.monotonic() - started
    return Built(bento, info, stored, tag if containerize else "", size, seconds)


def engine_for(platform: str, asked: str = "auto") -> str:
    """The engine of an image for `platform` ("" is this machine's).

    Raises:
        UsageError: there is no such engine, or not for that platform.
        PrerequisiteError: OpenVINO is not here, and was asked for.
    """
    if platform in ("", "linux/amd64"):
        return choose(asked, "cpu")
    if asked == "openvino":
        raise UsageError(f"OpenVINO is not for {platform}", hint="Leave out --engine.")
    return "torch"


def store(model: ModelFolder, info: ModelInfo, engine: str) -> str:
    """Put a model into BentoML's model store, unless it is there.

    For OpenVINO it is the exported graphs, for PyTorch the weights.

    Returns:
        Its tag there: the same for the same files under the same name.
    """
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")  # storing a model is an event it reports
    import bentoml
    from bentoml.exceptions import NotFound

    # A folder's path is of this machine only; its name is enough to know it by.
    name = model.path.name if model.source == "folder" else model.name.partition("@")[0]
    said = f"{name}@{model.revision} {engine} {export.SCHEMA}"
    identity = hashlib.sha256(said.encode()).hexdigest()
    tag = f"{recipe.MODEL}:{info.fingerprint[:12]}-{identity[:6]}"
    try:
        bentoml.models.get(tag)
    except NotFound:
        metadata = {served.NAME: name, served.REVISION: model.revision}
        with bentoml.models.create(tag, metadata=metadata) as made:
            folder = Path(made.path)
            if engine == "openvino":
                shutil.copytree(export.exported(info), export.shipped(folder))
            else:
                _copy_weights(model.path, folder)
    return tag


def _copy_weights(model: Path, folder: Path) -> None:
    """The files of a model that are read: its weights in one format, and its small ones."""
    small = [path for path in model.iterdir() if path.suffix in _SMALL and path.is_file()]
    for file in [*weights_files(model), *small]:
        target = folder / file.relative_to(model)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def _build(stored: str, platform: str | None, engine: str, events: Events) -> str:
    events.stage("bentoml build")
    given = {recipe.VARIABLE: stored, recipe.ENGINE: engine}
    variables = environment(**uv_settings(os.environ), **given)
    # It would be the service's own setting, not the model of the bento.
    variables.pop(served.VARIABLE, None)
    found = []

    def line(text: str) -> None:
        events.line(text)
        if "Locking" in text:
            events.step("choosing the versions of packages")
        found.extend(_BUILT.findall(text))

    command = [sys.executable, "-m", "bentoml", "build"]
    command += ["--platform", platform] if platform else []
    with build_context() as folder:
        try:
            stream(command, "bentoml build", line, folder=folder, environment=variables)
        except ClipstackError as error:
            raise _explained(error) from None
    if not found:
        raise ClipstackError("`bentoml build` did not say what it built")
    return str(found[-1])


def _explained(error: ClipstackError) -> ClipstackError:
    """uv's error of packages it can't get names no way out; this does."""
    if "Failed to lock" not in error.hint:
        return error
    return PrerequisiteError(
        "the packages of the image can't be had: " + _cause(error.hint), hint=_CPU_HINT
    )


_CPU_HINT = (
    "uv looks for PyTorch's CPU build where these variables say:\n"
    "  UV_TORCH_BACKEND=cpu            PyTorch's own index; set where none of these is\n"
    "  UV_EXTRA_INDEX_URL=https://...  a mirror of it; if that has some versions of other\n"
    "                                  packages, also UV_INDEX_STRATEGY=unsafe-best-match\n"
    "  UV_FIND_LINKS=/a/folder         a folder of wheels, also in the base image"
)


def _cause(output: str) -> str:
    lines = [line.strip() for line in output.splitlines()]
    causes = [line for line in lines if re.match(r"(error|cause|Caused by|×|╰|├)", line)]
    return "; ".join(line.lstrip("×╰├─▶ ") for line in causes[:3]) or lines[0]


def _refuse_cuda(bento: str) -> None:
    """An image for the CPU with 4 GB of CUDA in it is a mistake, unless it was asked for."""
    import bentoml

    asked = os.environ.get("UV_TORCH_BACKEND", "cpu")
    locked = Path(bentoml.get(bento).path, "env", "python", "requirements.txt").read_text("utf-8")
    packages = sorted({found.group() for found in map(_CUDA.match, locked.splitlines()) if found})
    if packages and asked == "cpu":
        bentoml.delete(bento)
        raise PrerequisiteError(
            f"PyTorch would come with {len(packages)} packages of CUDA ({packages[0]} and others): "
            "its CPU build was not found",
            hint=f"{_CPU_HINT}\nFor an image with CUDA set UV_TORCH_BACKEND=auto.",
        )


def _containerize(bento: str, tag: str, platform: str | None, events: Events) -> None:
    events.stage("bentoml containerize")
    ahead = dict(_STEPS)

    def line(text: str) -> None:
        events.line(text)
        for pattern in [pattern for pattern in ahead if re.match(r"#\d+ " + pattern, text)]:
            events.step(ahead.pop(pattern))

    arguments = ["containerize", bento, "-t", tag]
    arguments += ["--opt", f"platform={platform}"] if platform else []
    command = [sys.executable, "-m", "bentoml", *arguments]
    events.line(f"$ bentoml {' '.join(arguments)}")
    # Drawn progress would come through the pipe as control characters.
    variables = environment(BUILDKIT_PROGRESS="plain")
    stream(command, "bentoml containerize", line, environment=variables)
