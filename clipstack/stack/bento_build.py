"""Building a bento and an image with a model inside."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from clipstack.encoders.base import ModelInfo
from clipstack.encoders.choice import choose
from clipstack.encoders.models.catalog import ModelFolder, describe
from clipstack.encoders.models.weights import weights_files
from clipstack.encoders.openvino import export
from clipstack.errors import ClipstackError, PrerequisiteError, UsageError
from clipstack.events import Events
from clipstack.service import container_image as recipe
from clipstack.service import served_model as served
from clipstack.stack import containers, endpoint
from clipstack.stack.build_context import (
    bentoml_environment,
    bentoml_home,
    build_context,
    home_folder,
    uv_settings,
)
from clipstack.stack.subprocesses import stream

# Docker's name of a platform -> uv's, with the glibc of the image.
PLATFORMS = {
    "linux/amd64": "x86_64-manylinux_2_36",
    "linux/arm64": "aarch64-manylinux_2_36",
}
_SMALL = {".json", ".txt", ".model", ".jinja"}
_CUDA = re.compile(r"(nvidia-(?!ml-py)|cuda-|triton)\S*?(?===)")
_BUILT = re.compile(r'Bento\(tag="([^"]+)"\)')
# https://github.com/distribution/reference, without a digest; \w is ASCII.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:\[[0-9a-fA-F:]+\]|[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?)(?::[0-9]+)?"
_IMAGE = re.compile(
    rf"(?=.{{1,255}}(?::|$))(?:{_HOST}/)?{_COMPONENT}(?:/{_COMPONENT})*(?::\w[\w.-]{{0,127}})?",
    re.ASCII,
)
# What docker prints, after `#12 [packages 3/5] `, for an instruction that takes long.
_STEPS = {
    r"\[.*\] FROM ": "fetching the base image",
    r"\[.*\] RUN .*pip install -r": "installing the packages",
    r"\[.*\] RUN .*rm -rf": "removing unused packages",
    r"\[.*\] COPY --from": "copying the packages",
    r"\[.*\] COPY .* \. \./": "copying the model and the code",
    r"exporting layers": "writing the image",
}


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What a build made.

    Attributes:
        bento: the bento's tag in BentoML's store.
        model: the model inside.
        model_tag: the model's tag in BentoML's model store.
        image: the image's tag, or "" without one.
        size: bytes of the image, 0 without one.
        seconds: for the whole build.
    """

    bento: str
    model: ModelInfo
    model_tag: str
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
) -> BuildResult:
    """Store the model, run `bentoml build` and, unless told not to, `bentoml containerize`.

    Args:
        model: what `encoders.models.resolve` returned.
        tag: the image's name and tag.
        platform: one of PLATFORMS; None for that of Docker's daemon.
        engine: of the service in the image, as for `encoders.load`; "auto" is OpenVINO on x86.

    Raises:
        PrerequisiteError: Docker can't be used, or PyTorch's CPU build can't be fetched.
        UsageError: no such platform or engine, or no valid tag.
        ClipstackError: bentoml or docker failed; the hint has its last lines.
    """
    started = time.monotonic()
    if platform and platform not in PLATFORMS:
        raise UsageError(f"no platform {platform}", hint=f"Platforms are {', '.join(PLATFORMS)}.")
    if not _IMAGE.fullmatch(tag):
        raise UsageError(
            f"{tag!r} can't be the name of an image",
            hint="Write NAME, NAME:TAG or REGISTRY/NAME:TAG, the name in lower case.",
        )
    architecture = _docker_architecture() if containerize else ""
    target = platform or (f"linux/{architecture}" if containerize else "")
    engine = choose_engine(target, engine)
    info = describe(model)
    events.stage("Storing the model")
    model_tag = store_model(model, info, engine)
    bento = _build(model_tag, PLATFORMS.get(target), engine, events)
    _refuse_cuda(bento)
    size = 0
    if containerize:
        _containerize(bento, tag, platform, events)
        size = containers.image_bytes(containers.client(), tag)
    seconds = time.monotonic() - started
    return BuildResult(bento, info, model_tag, tag if containerize else "", size, seconds)


def _docker_architecture() -> str:
    """The architecture of Docker's machine, in Docker's words, such as "amd64"."""
    try:
        with containers.translate_errors():
            return str(containers.client().version()["Arch"])
    except PrerequisiteError as error:
        hint = f"{error.hint} Or add --no-containerize."
        raise PrerequisiteError(error.message, hint=hint) from None


def choose_engine(platform: str, engine: str) -> str:
    """The engine of an image.

    Args:
        platform: of the image; "" for this machine's.
        engine: as for `encoders.load`.

    Raises:
        UsageError: there is no such engine, or not for that platform.
        PrerequisiteError: the engine is OpenVINO, which is not installed.
    """
    if platform in ("", "linux/amd64"):
        return choose(engine, "cpu")
    if engine == "openvino":
        raise UsageError(f"OpenVINO is not for {platform}", hint="Leave out --engine.")
    return "torch"


def store_model(model: ModelFolder, info: ModelInfo, engine: str) -> str:
    """Put a model into BentoML's model store, unless it is there.

    For OpenVINO these are the exported graphs, for PyTorch the weights.

    Returns:
        The model's tag there, which is the same for the same files under the same name.
    """
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")  # storing a model is an event it reports
    import bentoml
    from bentoml.exceptions import BentoMLException, NotFound

    # The path of a folder means nothing on another machine, so its name has to identify it.
    name = model.path.name if model.source == "folder" else model.name.partition("@")[0]
    identity = f"{name}@{model.revision} {engine} {export.SCHEMA}"
    digest = hashlib.sha256(identity.encode()).hexdigest()
    tag = f"{recipe.MODEL}:{info.fingerprint[:12]}-{digest[:6]}"
    try:
        try:
            bentoml.models.get(tag)
        except NotFound:
            metadata = {served.NAME: name, served.REVISION: model.revision}
            with bentoml.models.create(tag, metadata=metadata) as stored:
                folder = Path(stored.path)
                if engine == "openvino":
                    shutil.copytree(export.ensure_export(info), export.shipped(folder))
                else:
                    _copy_weights(model.path, folder)
    except (BentoMLException, OSError) as error:
        raise PrerequisiteError(
            f"BentoML can't store the model: {error}",
            hint=f"Its folder is {home_folder()}; set BENTOML_HOME to another, or mend it.",
        ) from None
    return tag


def _copy_weights(model: Path, folder: Path) -> None:
    """Copy what is needed of a model: its weights in one format, and its small files."""
    small = [path for path in model.iterdir() if path.suffix in _SMALL and path.is_file()]
    for file in [*weights_files(model), *small]:
        target = folder / file.relative_to(model)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def _build(model_tag: str, platform: str | None, engine: str, events: Events) -> str:
    events.stage("bentoml build")
    arguments = {recipe.MODEL_VARIABLE: model_tag, recipe.ENGINE_VARIABLE: engine}
    variables = bentoml_environment(**uv_settings(os.environ), **arguments)
    # The setting of a running service, which would replace the model of the bento.
    variables.pop(served.MODEL_VARIABLE, None)
    bentos = []

    def on_line(line: str) -> None:
        events.detail(line)
        if "Locking" in line:
            events.step("choosing the versions of packages")
        bentos.extend(_BUILT.findall(line))

    command = [sys.executable, "-m", "bentoml", "build"]
    command += ["--platform", platform] if platform else []
    with build_context() as folder, bentoml_home() as home:
        variables["BENTOML_HOME"] = str(home)
        try:
            stream(command, "bentoml build", on_line, folder=folder, environment=variables)
        except ClipstackError as error:
            raise _explain_failure(error) from None
    if not bentos:
        raise ClipstackError("`bentoml build` did not say what it built")
    return str(bentos[-1])


def _explain_failure(error: ClipstackError) -> ClipstackError:
    """The error of a build with a hint what to do, where packages could not be locked."""
    if "Failed to lock" not in error.hint:
        return error
    return PrerequisiteError(
        "the packages of the image can't be fetched: " + _lock_error(error.hint), hint=_CPU_HINT
    )


_CPU_HINT = (
    "uv looks for PyTorch's CPU build where these variables say:\n"
    "  UV_TORCH_BACKEND=cpu            PyTorch's own index; set where none of these is\n"
    "  UV_EXTRA_INDEX_URL=https://...  a mirror of it; if that has some versions of other\n"
    "                                  packages, also UV_INDEX_STRATEGY=unsafe-best-match\n"
    "  UV_FIND_LINKS=/a/folder         a folder of wheels, also in the base image"
)


def _lock_error(output: str) -> str:
    lines = [line.strip() for line in output.splitlines()]
    causes = [line for line in lines if re.match(r"(error|cause|Caused by|×|╰|├)", line)]
    return "; ".join(line.lstrip("×╰├─▶ ") for line in causes[:3]) or lines[0]


def _refuse_cuda(bento: str) -> None:
    """Delete a bento for the CPU that would have 4 GB of CUDA in its image."""
    import bentoml

    backend = os.environ.get("UV_TORCH_BACKEND", "cpu")
    locked = Path(bentoml.get(bento).path, "env", "python", "requirements.txt").read_text("utf-8")
    packages = sorted({match.group() for match in map(_CUDA.match, locked.splitlines()) if match})
    if packages and backend == "cpu":
        bentoml.delete(bento)
        raise PrerequisiteError(
            f"PyTorch would come with {len(packages)} packages of CUDA ({packages[0]} and others): "
            "its CPU build was not found",
            hint=f"{_CPU_HINT}\nFor an image with CUDA set UV_TORCH_BACKEND=auto.",
        )


def _containerize(bento: str, tag: str, platform: str | None, events: Events) -> None:
    events.stage("bentoml containerize")
    remaining = dict(_STEPS)

    def on_line(line: str) -> None:
        events.detail(line)
        for pattern in [pattern for pattern in remaining if re.match(r"#\d+ " + pattern, line)]:
            events.step(remaining.pop(pattern))

    arguments = ["containerize", bento, "-t", tag]
    arguments += ["--opt", f"platform={platform}"] if platform else []
    command = [sys.executable, "-m", "bentoml", *arguments]
    events.detail(f"$ bentoml {' '.join(arguments)}")
    # Other progress has control characters, in a pipe too.
    variables = bentoml_environment(BUILDKIT_PROGRESS="plain")
    environment = endpoint.current().environment(variables)
    stream(command, "bentoml containerize", on_line, environment=environment)
