"""A model and a folder of pictures in; an int8 image tower, if it ranks them as fp32 does, out."""

from __future__ import annotations

import hashlib
import os
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipstack.encoders import choice
from clipstack.encoders.base import Encoder, ModelInfo
from clipstack.encoders.models.catalog import describe, resolve
from clipstack.encoders.openvino import export, int8_store, quantization
from clipstack.encoders.openvino.encoder import OpenVinoEncoder
from clipstack.encoders.openvino.ranking_agreement import RankingAgreement, lowest_agreement
from clipstack.errors import ImageError, PrerequisiteError, UsageError
from clipstack.events import Events
from clipstack.images.decode import Limits, decode, read_file
from clipstack.images.scan import scan
from clipstack.settings import Settings, cache_dir

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Vectors = NDArray[np.float32]

LEAST_PICTURES = 200
MOST_CALIBRATION = 300
MOST_HELD_OUT = 2000
_BATCH = 32


@dataclass(slots=True)
class Trial:
    """One attempt at int8: how it was made, how it ranks, and pictures a second."""

    care: str
    agreement: RankingAgreement
    speed: float


@dataclass(slots=True)
class OptimizationReport:
    """The result of an optimization.

    Attributes:
        model: the model; int8 with a fingerprint of its own when one was accepted.
        usual: the precision without int8, "bf16" or "fp32"; `usual_speed` in pictures a second
            and `usual_agreement` with fp32 are its own.
        trials: attempts in their order; the last one counts.
        calibration, held_out: pictures of each part; `failed` could not be read and `same` are
            left out as the same pixels as another.
    """

    model: ModelInfo
    usual: str = "fp32"
    usual_speed: float = 0.0
    usual_agreement: RankingAgreement | None = None
    trials: list[Trial] = field(default_factory=list)
    calibration: int = 0
    held_out: int = 0
    failed: int = 0
    same: int = 0

    @property
    def accepted(self) -> bool:
        """Whether an int8 tower was accepted."""
        return bool(self.model.quantized_from)


def optimize(settings: Settings, name: str, source: str, events: Events) -> OptimizationReport:
    """Quantise the image tower on some of the pictures, judge it on others, keep it if it holds.

    The pictures are decoded once, into a file of at most 2,300 times the pixels of the model, so
    memory stays small however many there are. Of a larger folder some are drawn, by the hash of
    their paths in it: the same folder gives the same ones.

    Args:
        settings: their limits; pictures beyond them are left out.
        name: of a model that is on this machine, as for `catalog.resolve`.
        source: a folder of pictures.

    Raises:
        PrerequisiteError: the model is not here, NNCF or OpenVINO is not installed, or there is
            no room for the pictures.
        NotFoundError: there is no such folder.
        UsageError: it has fewer than 200 different pictures that can be read.
        ClipstackError: NNCF failed.
    """
    choice.choose("openvino", "cpu")
    quantization.check_installed()
    model = describe(resolve(name, download=False))
    limits = Limits(max_bytes=settings.max_bytes, max_pixels=settings.max_pixels)
    cache_dir().mkdir(parents=True, exist_ok=True)
    report = OptimizationReport(model)
    try:
        with tempfile.TemporaryDirectory(prefix="optimize-", dir=cache_dir()) as folder:
            work = Path(folder)
            _write_parts(_read_pictures(model, source, limits, events, report), model, work, report)
            _quantize_and_judge(model, work, events, report)
    except OSError as error:
        raise PrerequisiteError(
            f"the pictures can't be kept in {cache_dir()} for a while: {error.strerror}",
            hint="Make room there, or set CLIPSTACK_CACHE_DIR.",
        ) from None
    return report


def _quantize_and_judge(
    model: ModelInfo, work: Path, events: Events, report: OptimizationReport
) -> None:
    import numpy as np

    held_out: Pixels = np.load(work / "held_out.npy", mmap_mode="r")
    events.stage("Encoding by fp32", len(held_out))
    reference, _ = _encode([OpenVinoEncoder(model, "fp32")], held_out, events)
    usual = OpenVinoEncoder(model)
    report.usual = usual.precision
    for care in quantization.CARES:
        folder = work / care
        folder.mkdir()
        events.stage(f"Quantising, {care}")
        quantization.quantize(model, work / "calibration.npy", folder, care)
        trial = replace(
            model,
            fingerprint=int8_store.fingerprint_of(model, folder),
            quantized_from=model.fingerprint,
        )
        int8 = OpenVinoEncoder(trial, on_trial=folder)
        events.stage("Encoding by int8", 2 * len(held_out))
        vectors, speeds = _encode([usual, int8], held_out, events)
        report.usual_speed = speeds[0]
        report.usual_agreement = lowest_agreement(reference[0], vectors[0])
        report.trials.append(Trial(care, lowest_agreement(reference[0], vectors[1]), speeds[1]))
        if report.trials[-1].agreement.accepted:
            probes = int8.encode_images(export.probe_pictures(model))
            report.model = int8_store.store_tower(model, folder, probes, _measurements(report))
            return


def _measurements(report: OptimizationReport) -> dict[str, Any]:
    last = report.trials[-1]
    return {
        "made": time.time(),
        "care": last.care,
        "agreement": asdict(last.agreement),
        "images_per_second": {report.usual: report.usual_speed, "int8": last.speed},
        "calibration": report.calibration,
        "held_out": report.held_out,
        "versions": quantization.versions(),
    }


def _encode(
    encoders: Sequence[Encoder], pixels: Pixels, events: Events
) -> tuple[list[Vectors], list[float]]:
    """Vectors by each encoder, and pictures a second: the median of batches that the encoders
    take in turn, so that whatever else the machine does slows all of them."""
    import numpy as np

    vectors: list[list[Vectors]] = [[] for _ in encoders]
    seconds: list[list[float]] = [[] for _ in encoders]
    for encoder in encoders:  # compiles it
        encoder.encode_images(np.array(pixels[:_BATCH]))
    for at in range(0, len(pixels), _BATCH):
        batch = np.array(pixels[at : at + _BATCH])
        for number, encoder in enumerate(encoders):
            started = time.perf_counter()
            vectors[number].append(encoder.encode_images(batch))
            seconds[number].append((time.perf_counter() - started) / len(batch))
            events.advance(len(batch))
    return [np.concatenate(parts) for parts in vectors], [1 / statistics.median(s) for s in seconds]


def _read_pictures(
    model: ModelInfo,
    source: str,
    limits: Limits,
    events: Events,
    report: OptimizationReport,
) -> Iterator[tuple[str, Pixels]]:
    """Different pictures with the digests of their pixels, at most as many as are used."""
    errors: list[ImageError] = []
    events.stage("Looking for pictures")
    paths = [file.path for file in scan([source], on_error=errors.append)]
    root = os.path.commonpath(paths) if paths else ""
    paths.sort(key=lambda path: _digest(os.fsencode(os.path.relpath(path, root))))
    report.failed = len(errors)
    limit = MOST_CALIBRATION + MOST_HELD_OUT
    events.stage("Reading pictures", min(limit, len(paths)))
    seen: set[str] = set()

    def decode_file(path: str) -> Pixels:
        return decode(read_file(path, limits), model.geometry, limits, path=path).pixels

    for result in _decode_ahead(decode_file, paths):
        try:
            pixels = result()
        except ImageError:
            report.failed += 1
            continue
        events.advance(1)
        digest = _digest(pixels.tobytes())
        if digest in seen:
            report.same += 1
            continue
        seen.add(digest)
        yield digest, pixels
        if len(seen) == limit:
            return


def _write_parts(
    decoded: Iterable[tuple[str, Pixels]],
    model: ModelInfo,
    work: Path,
    report: OptimizationReport,
) -> None:
    """Write calibration.npy and held_out.npy: by digest, so one picture is never in both."""
    import numpy as np

    rows = work / "pixels"
    digests = []
    with rows.open("wb") as file:
        for digest, pixels in decoded:
            digests.append(digest)
            file.write(np.ascontiguousarray(pixels).tobytes())
    if len(digests) < LEAST_PICTURES:
        left_out = f"; {report.failed} could not be read" if report.failed else ""
        left_out += f"; {report.same} are the same as others" if report.same else ""
        raise UsageError(
            f"int8 needs at least {LEAST_PICTURES} different pictures to be made and judged by, "
            f"there are {len(digests)}{left_out}",
            hint="Name a folder with more of your pictures: --calibrate DIR.",
        )
    shape = (*model.geometry.shape, 3)
    pictures = np.memmap(rows, np.uint8, "r", shape=(len(digests), *shape))
    order = sorted(range(len(digests)), key=digests.__getitem__)
    report.calibration = min(MOST_CALIBRATION, len(order) // 3)
    parts = {"calibration": order[: report.calibration], "held_out": order[report.calibration :]}
    report.held_out = len(parts["held_out"])
    for name, chosen in parts.items():
        out = np.lib.format.open_memmap(
            work / f"{name}.npy", "w+", np.uint8, shape=(len(chosen), *shape)
        )
        for row, number in enumerate(chosen):
            out[row] = pictures[number]
        out.flush()


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _decode_ahead(
    work: Callable[[str], Pixels], paths: Iterable[str]
) -> Iterator[Callable[[], Pixels]]:
    """The results of `work` for the paths, in their order, by threads that run a little ahead."""
    rest = iter(paths)
    threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="decode")
    try:
        ahead: deque[Future[Pixels]] = deque()
        while True:
            ahead.extend(threads.submit(work, path) for path in islice(rest, 64 - len(ahead)))
            if not ahead:
                return
            yield ahead.popleft().result
    finally:
        threads.shutdown(wait=True, cancel_futures=True)
