"""A page with several who search at once: what each waits, and an import beside them.

    python benchmarks/searchers.py [--quick] [--rows 1000000] [--seconds 30] [--pictures 2000]

Eight search a collection of made-up rows over HTTP, each text a new one: without a pause; then with
a second between an answer and the next search while `clipstack import` brings photographs into the
same collection. The import's rate is beside that of one alone. Prints Markdown.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import common
import page
import photos
from common import say
from indexing import copies

SEARCHERS = 8
_numbers = itertools.count()


@dataclass
class Latencies:
    """Latencies of searches in seconds, and errors."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def line(self, name: str) -> list[str]:
        """A line of a table: quantiles in milliseconds, the number of searches and of errors."""
        ordered = sorted(self.seconds)
        quantiles = (ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.95, 0.99, 1))
        return [
            name,
            *(f"{1000 * seconds:.0f} ms" for seconds in quantiles),
            f"{len(ordered):,}",
            str(len(self.errors)),
        ]


@contextmanager
def concurrent_searches(url: str, pause: float) -> Iterator[Latencies]:
    """Eight concurrent users search the page at `url` until the end of the block, with `pause`
    seconds between a response and the next search."""
    latencies, done = Latencies(), threading.Event()
    threads = [
        threading.Thread(
            target=_search_repeatedly,
            args=(url, pause * number / SEARCHERS, pause, latencies, done),
        )
        for number in range(SEARCHERS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield latencies
    finally:
        done.set()
        for thread in threads:
            thread.join()


def _search_repeatedly(
    url: str, delay: float, pause: float, latencies: Latencies, done: threading.Event
) -> None:
    """Search until `done` is set, after an initial `delay` in seconds."""
    address = urlsplit(url)
    done.wait(delay)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    while not done.is_set():
        number = next(_numbers)
        text = f"{page.WORDS[number % len(page.WORDS)]} {number}"
        body = json.dumps({"terms": [{"kind": "text", "value": text}]})
        started = time.perf_counter()
        try:
            connection.request("POST", "/search", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = json.loads(answer.read())
            if answer.status != 200 or not content["hits"]:
                latencies.errors.append(f"{answer.status}: {content}"[:200])
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            latencies.errors.append(repr(error))
            connection.close()
        latencies.seconds.append(time.perf_counter() - started)
        done.wait(pause)


class Imports:
    """Imports of new photographs into the page's collection."""

    def __init__(self, bench: page.Bench, options: argparse.Namespace, count: int) -> None:
        self._bench = bench
        self._count = count
        self._model = common.model(options)
        originals = min(count, 1000)
        small = photos.make(bench.work / "photos" / f"small-{originals}", originals, (500, 375))
        self._originals = small[:originals]
        self.folder = bench.work / "page-imports"

    def rate(self, number: int) -> float:
        """Photographs a second of one import, as a whole process."""
        folder = self.folder / str(number)
        shutil.rmtree(folder, ignore_errors=True)
        copies(self._originals, folder, self._count, first=number * self._count)
        line = common.clipstack("import", folder, "--model", self._model, "--json")
        ran = common.run(line, env=self._bench.env)
        if ran.json["counts"]["new"] != self._count:
            raise common.Unavailable(f"imported {ran.json['counts']}, not {self._count}")
        return self._count / ran.seconds


def main() -> None:
    parser = common.options(__doc__ or "")
    parser.add_argument("--rows", type=int, help="1,000,000 by default")
    parser.add_argument("--seconds", type=float, help="of searches without a pause; 30 by default")
    parser.add_argument("--pictures", type=int, help="of each import; 2,000 by default")
    options = parser.parse_args()
    count = options.rows or (10_000 if options.quick else 1_000_000)
    seconds = options.seconds or (5 if options.quick else 30)
    machine = common.machine()
    bench = page.Bench(options, count)
    imports = Imports(bench, options, options.pictures or (100 if options.quick else 2000))
    with bench.page() as (url, process):
        say(f"{SEARCHERS} search without a pause for {seconds:.0f} s")
        with concurrent_searches(url, 0.0) as without_pause:
            time.sleep(seconds)
        memory = common.memory_of(process)
        say("An import alone")
        rate_alone = imports.rate(0)
        say(f"An import beside {SEARCHERS} who search")
        with concurrent_searches(url, 1.0) as with_import:
            rate = imports.rate(1)
    for folder in (bench.data, imports.folder):
        shutil.rmtree(folder, ignore_errors=True)
    lines = [
        without_pause.line("without a pause"),
        with_import.line("with a second between, beside an import"),
    ]
    headings = [f"{SEARCHERS} who search {count:,} rows", *["median", "95 %", "99 %", "longest"]]
    print(machine + "\n")
    print(common.table([*headings, "searches", "errors"], lines))
    searches = len(without_pause.seconds) / seconds
    resident, private = map(common.megabytes, memory)
    print(
        f"\nThe import: {rate:.1f} images/s beside them, {rate_alone:.1f} alone: "
        f"{rate / rate_alone:.2f} of it. {searches:.1f} searches a second without a pause; "
        f"the page's process then had {resident} resident, {private} of it no pages of files."
    )
    for error in [*without_pause.errors, *with_import.errors][:3]:
        say(error)


if __name__ == "__main__":
    main()
