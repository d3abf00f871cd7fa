"""The service against decoding and encoding in this process: 32 in flight, and one at a time.

    python benchmarks/service.py [--rounds 5] [--pictures 96] [--size 1024x768] [--soak 60]

Runs `bentoml serve service:svc` with a ViT-B/32 of random weights (605 MB, made once; needs
`pip install --no-deps open_clip_torch` for its vocabulary) and prints Markdown tables. Both sides
take turns in each round, on the same generated pictures. `--soak` also keeps 64 connections busy
for that many seconds with good and broken pictures, and looks at memory and wrong answers.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import io
import itertools
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
IN_FLIGHT = 32
CONNECTIONS = 64


def pictures(count: int, width: int, height: int) -> list[bytes]:
    """JPEGs with the detail of photographs: noise of several scales."""
    generator = np.random.default_rng(0)
    made = []
    for _ in range(count):
        values = np.zeros((height, width, 3))
        for scale in (8, 32, 128, 512):
            shape = (max(2, height // scale), max(2, width // scale), 3)
            noise = Image.fromarray(generator.integers(0, 255, shape, dtype=np.uint8))
            values += np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC)) / 4
        out = io.BytesIO()
        Image.fromarray(values.astype(np.uint8)).save(out, "JPEG", quality=90)
        made.append(out.getvalue())
    return made


@contextlib.contextmanager
def served(model: Path) -> Iterator[tuple[int, psutil.Process]]:
    """A service on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        own = {"CLIPSTACK_MODEL": str(model), "BENTOML_HOME": home, "BENTOML_DO_NOT_TRACK": "True"}
        line = [sys.executable, "-m", "bentoml", "serve", "service:svc", "--port", str(port)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(line, cwd=ROOT, env=os.environ | own, **quiet)
        try:
            while not is_ready(port):
                time.sleep(0.2)
            yield port, psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(30)


def is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


class Caller(threading.local):
    """One connection per thread."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def __call__(self, data: bytes) -> tuple[int, bytes]:
        try:
            return self._ask(data)
        except (http.client.RemoteDisconnected, ConnectionError):  # closed after 5 idle seconds
            self.connection.close()
            return self._ask(data)

    def _ask(self, data: bytes) -> tuple[int, bytes]:
        self.connection.request("POST", "/vectorize", data, {"Content-Type": "image/jpeg"})
        answer = self.connection.getresponse()
        return answer.status, answer.read()


def expect_ok(answer: tuple[int, bytes]) -> None:
    if answer[0] != 200:
        raise SystemExit(f"the service answered {answer}")


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def row(what: str, values: list[float], unit: str) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"| {what} | {middle:.1f} {unit} | {low:.1f} to {high:.1f} {unit} |"


def compare(port: int, model: Path, asked: argparse.Namespace) -> None:
    """Prints the table of throughput and latency."""
    from clipstack.encoders import load
    from clipstack.encoders.models.catalog import describe
    from clipstack.images.decode import decode

    encoder = load(describe(model))
    geometry = encoder.info.geometry
    width, height = map(int, asked.size.split("x"))
    files = pictures(asked.pictures, width, height)
    call = Caller(port)
    threads = ThreadPoolExecutor(os.cpu_count())
    callers = ThreadPoolExecutor(IN_FLIGHT)

    def in_process() -> None:
        """Decodes in threads while it encodes in batches of 32."""
        waiting = [threads.submit(lambda data: decode(data, geometry).pixels, f) for f in files]
        for start in range(0, len(files), 32):
            batch = [future.result() for future in waiting[start : start + 32]]
            encoder.encode_images(np.stack(batch))

    def by_service() -> None:
        for answer in callers.map(call, files):
            expect_ok(answer)

    def one_here(data: bytes) -> None:
        encoder.encode_images(np.stack([decode(data, geometry).pixels]))

    found: dict[str, list[float]] = {"here": [], "there": [], "one here": [], "one there": []}
    in_process()
    by_service()
    for _ in range(asked.rounds):
        found["here"].append(len(files) / seconds(in_process))
        found["there"].append(len(files) / seconds(by_service))
        for data in files[:10]:
            found["one here"].append(1000 * seconds(lambda d=data: one_here(d)))
        for data in files[:10]:
            found["one there"].append(1000 * seconds(lambda d=data: expect_ok(call(d))))
    print("| what | median | from, to |\n|---|---|---|")
    print(row("in this process, batches of 32", found["here"], "images/s"))
    print(row(f"service, {IN_FLIGHT} in flight", found["there"], "images/s"))
    print(row("decode and encode one", found["one here"], "ms"))
    print(row("service, one at a time", found["one there"], "ms"))
    medians = {name: statistics.median(values) for name, values in found.items()}
    print(f"\nThroughput: {medians['there'] / medians['here']:.2f} of that in this process.")
    print(f"Latency: {medians['one there'] / medians['one here']:.2f} times that in this process.")


def soak(port: int, service: psutil.Process, span: int) -> None:
    """Prints what 64 busy connections leave behind."""
    from tests.faults.corpus import make_corpus

    with tempfile.TemporaryDirectory() as folder:
        _, bad = make_corpus(Path(folder) / "corpus")
        broken = [p.read_bytes() for p in bad if p.is_file() and p.stat().st_size < 1 << 20]
    good = pictures(8, 320, 240)
    call = Caller(port)
    wanted = [call(data)[1] for data in good]
    workers = {child.pid for child in service.children(recursive=True)}
    until = time.monotonic() + span
    counts: Counter[str] = Counter()
    numbers = itertools.count()

    def busy() -> None:
        while time.monotonic() < until:
            number = next(numbers)
            if number % 2:
                status, _ = call(broken[number % len(broken)])
                counts[f"broken: {status}"] += 1
            else:
                status, body = call(good[number // 2 % len(good)])
                right = status == 200 and close(body, wanted[number // 2 % len(good)])
                counts["good: right" if right else f"good: {status}"] += 1

    def memory() -> float:
        return sum(p.memory_info().rss for p in service.children(recursive=True)) / 2**20

    samples = []
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        for _ in range(CONNECTIONS):
            threads.submit(busy)
        while time.monotonic() < until:
            time.sleep(span / 12)
            samples.append(memory())
    alive = workers == {child.pid for child in service.children(recursive=True)}
    print(f"\n{CONNECTIONS} connections for {span} s, every second picture broken:\n")
    print("| answer | requests |\n|---|---|")
    for name, count in sorted(counts.items()):
        print(f"| {name} | {count} |")
    print(f"\nMemory in MiB: {', '.join(f'{sample:.0f}' for sample in samples)}.")
    print("Every worker is alive." if alive else "A worker died.")


def close(one: bytes, other: bytes) -> bool:
    """Whether two answers hold the same vector, as far as the batch's size lets them."""
    import json

    a, b = (np.array(json.loads(body)["vector"]) for body in (one, other))
    return bool(a @ b > 0.99999 * np.linalg.norm(a) * np.linalg.norm(b))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=96)
    parser.add_argument("--size", default="1024x768")
    parser.add_argument("--soak", type=int, default=0, metavar="SECONDS")
    parser.add_argument("--model", type=Path, help="another model's folder")
    asked = parser.parse_args()
    from tests.models import vit_b_32

    model = asked.model or vit_b_32()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, ")
    print(f"{asked.pictures} JPEGs of {asked.size}, {asked.rounds} rounds\n")
    with served(model) as (port, process):
        compare(port, model, asked)
        if asked.soak:
            soak(port, process, asked.soak)


if __name__ == "__main__":
    main()
