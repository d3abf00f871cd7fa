"""Measurements of every stage of an import, each alone and in turn.

The time is divided between the stages; exporting a model for the first time and loading it come on
top. Nothing is kept but the model's export, which an import would make too.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipstack import encoders
from clipstack.bench import compute_limit, index_throughput
from clipstack.bench.report import BenchReport, ComputeLimit, Stage, StageKind
from clipstack.encoders import choice
from clipstack.encoders.cpu import available_cores
from clipstack.encoders.openvino import export
from clipstack.errors import ImageError, PrerequisiteError, UsageError
from clipstack.events import SILENT, Events
from clipstack.images.decode import Limits, Picture, decode, read_file
from clipstack.images.scan import scan
from clipstack.settings import Settings
from clipstack.units import format_bytes

if TYPE_CHECKING:
    from clipstack.encoders.base import LocalEncoder, ModelInfo

_DRAWN, _DRAWN_EDGE = 48, 640
_SCANNED, _SAMPLED, _SAMPLED_BYTES = 5000, 192, 256 << 20
_IMAGES_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class BenchRequest:
    """What to measure.

    Attributes:
        folder: of pictures, or None for drawn ones.
        seconds: to spend in all, about.
        all: every engine and precision, also those an import would not use.
    """

    folder: Path | None
    seconds: float = 20.0
    all: bool = False


def run(
    settings: Settings,
    model: ModelInfo,
    request: BenchRequest,
    events: Events = SILENT,
) -> BenchReport:
    """Measure every stage.

    Args:
        events: reports what is being measured.

    Raises:
        UsageError: there is no picture in the folder, or none that can be read.
        NotFoundError: there is no such folder.
        PrerequisiteError: the model can't be loaded.
    """
    limits = Limits(max_bytes=settings.max_bytes, max_pixels=settings.max_pixels)
    batch = min(settings.batch_size, _IMAGES_AT_ONCE)
    with _pictures(request.folder, events) as files, _threads() as pool:
        events.note(f"Reading and decoding {len(files)} pictures")
        read, data = _read(pool, files, limits)
        decoded, pictures = _decode(pool, data, model, limits, request.seconds * 0.12)
    encoded, left_out = _encode(settings, model, request, pictures, batch, events)
    limit = _compute_limit(model, encoded, batch, request.seconds * 0.08, events)
    written, searches, unsearched = index_throughput.measure(
        model, settings.batch_size, request.seconds * 0.5, events
    )
    count = len(pictures)
    return BenchReport(
        model=model.name,
        cores=available_cores(),
        folder=str(request.folder or ""),
        pictures=count,
        failed=len(files) - count,
        megapixels=sum(picture.width * picture.height for picture in pictures) / count / 1e6,
        kilobytes=sum(map(len, data)) / len(data) / 1e3,
        stages=[read, decoded, *encoded, written],
        searches=searches,
        limit=limit,
        left_out=[*left_out, *unsearched],
    )


@contextmanager
def _pictures(folder: Path | None, events: Events) -> Iterator[list[str]]:
    """Paths of a sample of the folder's pictures, or of drawn ones that are removed at the end."""
    if folder is not None:
        candidates = [file.path for file in islice(scan([folder]), _SCANNED)]
        if not candidates:
            raise UsageError(f"there is no picture in {folder}")
        yield random.Random(0).sample(candidates, min(len(candidates), _SAMPLED))
        return
    from clipstack.scenes import demo_scenes

    with tempfile.TemporaryDirectory(prefix="clipstack-bench-") as temporary:
        events.note(f"Drawing {_DRAWN} scenes of {_DRAWN_EDGE} x {_DRAWN_EDGE} pixels")
        paths = []
        for scene in demo_scenes(_DRAWN):
            path = Path(temporary) / f"{scene.name}.jpg"
            scene.draw(random.Random(scene.name), _DRAWN_EDGE).save(path, quality=90)
            paths.append(str(path))
        yield paths


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    """As many threads as an import decodes in; Ctrl-C does not wait for what is queued."""
    pool = ThreadPoolExecutor(os.cpu_count() or 1)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _read(
    pool: ThreadPoolExecutor, files: Sequence[str], limits: Limits
) -> tuple[Stage, list[bytes]]:
    """Read files once: a second time they would come from memory."""
    started = time.perf_counter()
    contents, size = [], 0
    for data in pool.map(partial(_attempt, read_file, limits=limits), files):
        if data is not None:
            contents.append(data)
            size += len(data)
        if size > _SAMPLED_BYTES:
            break
    seconds = time.perf_counter() - started
    if not contents:
        raise UsageError("none of the pictures can be read")
    stage = Stage(StageKind.READ, f"{format_bytes(size / seconds)}/s", len(contents) / seconds)
    return stage, contents


def _decode(
    pool: ThreadPoolExecutor,
    data: Sequence[bytes],
    model: ModelInfo,
    limits: Limits,
    seconds: float,
) -> tuple[Stage, list[Picture]]:
    """Decode again and again until the time is over, but once at least."""
    decode_one = partial(_attempt, partial(decode, geometry=model.geometry), limits=limits)
    started = time.perf_counter()
    pictures = [picture for picture in pool.map(decode_one, data) if picture is not None]
    done = len(data)
    while time.perf_counter() - started < seconds:
        part = data[: max(2 * available_cores(), len(data) // 4)]
        done += len(list(pool.map(decode_one, part)))
    elapsed = time.perf_counter() - started
    if not pictures:
        raise UsageError("none of the pictures can be decoded")
    return Stage(StageKind.DECODE, f"{os.cpu_count()} threads", done / elapsed), pictures


def _attempt(work: Callable[..., Any], *args: Any, **options: Any) -> Any:
    try:
        return work(*args, **options)
    except ImageError:
        return None


def _encode(
    settings: Settings,
    model: ModelInfo,
    request: BenchRequest,
    pictures: Sequence[Picture],
    batch: int,
    events: Events,
) -> tuple[list[Stage], list[str]]:
    """Every engine asked for; the first is the one an import would use."""
    import numpy as np

    pixels = np.stack([pictures[at % len(pictures)].pixels for at in range(batch)])
    engines = _engines(settings, request.all)
    stages: list[Stage] = []
    left_out: list[str] = []
    for engine, device, precision in engines:
        name = f"{engine} {precision}"
        if name in {stage.what for stage in stages}:
            continue
        events.note(f"Loading {model.name} into {engine}")
        try:
            encoder = encoders.load(
                model, engine=engine, device=device, precision=precision, events=events
            )
            name = f"{encoder.engine} {encoder.precision}"
            if name in {stage.what for stage in stages}:
                continue
            events.note(f"Encoding with {name}")
            rate, best = _rate(encoder, pixels, request.seconds * 0.3 / len(engines))
        except PrerequisiteError as error:
            if not stages:
                raise
            left_out.append(f"{name}: {error.message}")
            continue
        on_cores = str(getattr(encoder, "device", "cpu")) == "cpu"
        used = not stages
        stages.append(Stage(StageKind.ENCODE, name, rate, used=used, on_cores=on_cores, best=best))
        del encoder
    return stages, left_out


def _engines(settings: Settings, everything: bool) -> list[tuple[str, str, str]]:
    """(engine, device, precision) to measure, that of an import first."""
    engine = choice.choose(settings.engine, settings.device)
    engines = [(engine, settings.device, settings.precision)]
    if choice.has_openvino():
        from clipstack.encoders.openvino.encoder import PRECISIONS

        precisions = [name for name in PRECISIONS if name != "auto"]
        chosen = [name for name in precisions if everything or name in compute_limit.PRECISIONS]
        engines += [("openvino", "cpu", name) for name in chosen]
    if choice.has_gpu():
        engines.append(("torch", "auto", "auto"))
    if everything or engine == "torch":
        engines.append(("torch", "cpu", "fp32"))
    return list(dict.fromkeys(engines))


def _rate(encoder: LocalEncoder, pixels: Any, seconds: float) -> tuple[float, float]:
    """Pictures a second, of all batches and of the fastest; the first batch, which compiles or
    warms up, is left out."""
    encoder.encode_images(pixels)
    times: list[float] = []
    while not times or sum(times) < seconds:
        started = time.perf_counter()
        encoder.encode_images(pixels)
        times.append(time.perf_counter() - started)
    return len(pixels) * len(times) / sum(times), len(pixels) / min(times)


def _compute_limit(
    model: ModelInfo,
    encoded: Sequence[Stage],
    batch: int,
    seconds: float,
    events: Events,
) -> ComputeLimit | None:
    """What the matrix product of the cores allows, in the precision an import would use."""
    engine, _, precision = encoded[0].what.partition(" ")
    if engine != "openvino" or precision not in compute_limit.PRECISIONS:
        return None
    events.note(f"Measuring what this machine's matrix product allows in {precision}")
    graph = export.ensure_export(model) / export.IMAGES
    return compute_limit.measure(
        graph, *model.geometry.shape, precision=precision, batch=batch, seconds=seconds
    )
