"""The search page: from a key press to hits, and its process's memory over many searches.

    python benchmarks/page.py [--quick] [--rounds 100]

In a real headless Chromium, on 20,000 made-up rows with vectors of a ViT-B/32, a thousand of which
have a picture. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import common
import databases
import photos
import psutil
import synthetic
from common import Unavailable, say
from indexing import copies

DIMENSION = 512
WORDS = ("dog", "red boat", "a house by the sea", "two children", "snow", "night street", "cat")
# Runs in the page: types each text letter by letter and measures from the last key press until the
# hits stand in the page, and until the first pictures are drawn.
_TYPED = """async (text) => {
    const field = document.getElementById("words");
    const list = document.getElementById("hits");
    const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    field.value = text.slice(0, -1);
    field.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise((done) => setTimeout(done, 400));
    const changed = new Promise((done) => {
        const watch = new MutationObserver(() => { watch.disconnect(); done(); });
        watch.observe(list, { childList: true });
    });
    const started = performance.now();
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    await changed;
    await painted();
    const hits = performance.now() - started;
    const first = [...list.querySelectorAll("img")].slice(0, 12);
    await Promise.all(first.map((one) => one.decode().catch(() => 0)));
    return [hits, performance.now() - started, list.children.length];
}"""


class Bench:
    """A database of made-up rows.

    Args:
        pictures: how many files the rows are of, in turn, so that each hit has a picture to show;
            0 for rows without files.
    """

    def __init__(self, asked: argparse.Namespace, count: int, pictures: int = 0) -> None:
        self.work: Path = asked.work
        self.data = self.work / "page-data"
        self.env = common.own_environment(self.work, self.data)
        info = databases.model_info(common.model(asked), self.env)
        shutil.rmtree(self.data, ignore_errors=True)
        if not pictures:
            shutil.copytree(databases.cached_database(self.work, info, count), self.data)
            return
        say(f"Making {pictures} pictures and {count} rows")
        files = photos.make(self.work / "photos" / "page", pictures, (1024, 768))
        with databases.open_collection(self.data, info) as collection:
            for some, vectors in synthetic.blocks(0, count, DIMENSION, "/pictures"):
                databases.write(collection, some, vectors, files)

    @contextmanager
    def page(self) -> Iterator[tuple[str, psutil.Process]]:
        """A running page: its address and its process."""
        line = common.clipstack("page", "--port", "8897")
        running = subprocess.Popen(line, env=self.env, stdout=subprocess.PIPE, text=True)
        try:
            assert running.stdout is not None
            yield running.stdout.readline().strip(), psutil.Process(running.pid)
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(20)


def typed(url: str, rounds: int) -> list[list[float]]:
    """For each round milliseconds to hits and to the first pictures, and how many hits."""
    from playwright.sync_api import sync_playwright

    chromium = common.run([common.ROOT / "scripts" / "chromium"]).out.strip()
    chosen = random.Random(0)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        page = browser.new_page(viewport={"width": 1280, "height": 820})
        page.goto(url)
        page.wait_for_selector("#start:not([hidden])")
        found = []
        for number in range(rounds + 1):
            text = f"{chosen.choice(WORDS)} {chosen.choice(WORDS)} {number}"
            one = page.evaluate(_TYPED, text)
            if number:
                found.append(one)
        browser.close()
    return found


def asked_again(url: str, process: psutil.Process, count: int) -> tuple[list[float], list[int]]:
    """Milliseconds of each of `count` searches over HTTP, and resident bytes along the way."""
    times, memory = [], []
    for number in range(count):
        times.append(_search(url, f"{WORDS[number % 7]} {number}"))
        if number % (count // 10) == count // 10 - 1:
            memory.append(process.memory_info().rss)
    return times, memory


def after_another(url: str, bench: Bench, rounds: int) -> list[float]:
    """Milliseconds of a search right after another process wrote into the collection."""
    photo = photos.make(bench.work / "photos" / "query", 1, (500, 375))[0]
    times = []
    for number in range(rounds):
        folder = bench.data / "new" / str(number)
        copies([photo], folder, 1, first=number)
        common.run(common.clipstack("import", folder, "-q"), env=bench.env)
        times.append(_search(url, f"dog {number}"))
    return times


def _search(url: str, text: str) -> float:
    """Milliseconds of one search over HTTP."""
    body = json.dumps({"terms": [{"kind": "text", "value": text}]}).encode()
    request = urllib.request.Request(f"{url}search", body, {"Content-Type": "application/json"})
    started = time.perf_counter()
    with urllib.request.urlopen(request) as answer:
        answer.read()
    return 1000 * (time.perf_counter() - started)


def main() -> None:
    asked = common.options(__doc__).parse_args()
    rounds = asked.rounds or (10 if asked.quick else 100)
    count = 2000 if asked.quick else 20_000
    print(common.machine() + "\n")
    bench = Bench(asked, count, 100 if asked.quick else 1000)
    with bench.page() as (url, process):
        say(f"Typing {rounds} times")
        try:
            shown = typed(url, rounds)
        except Unavailable as error:
            say(f"  not run: {error}")
            shown = []
        say("Searching 1,000 times")
        times, memory = asked_again(url, process, 200 if asked.quick else 1000)
        say("Searching after another wrote")
        after = after_another(url, bench, 3 if asked.quick else 9)
    lines = []
    for name, values in (
        ("from the key press to hits in the page", [one[0] for one in shown]),
        ("to the first twelve pictures", [one[1] for one in shown]),
        ("a search over HTTP", times),
        ("the same, the first after another process wrote", after),
    ):
        if not values:
            lines.append([name, "not run: no Chromium", "", ""])
            continue
        most = sorted(values)[int(0.95 * (len(values) - 1))]
        spread = common.spread(values, "ms", 0)
        lines.append([name, f"{common.middle(values):.0f} ms", f"{most:.0f} ms", spread])
    print(common.table([f"{count:,} rows, 60 hits", "median", "95 %", "from, to"], lines))
    told = ", ".join(common.megabytes(one) for one in memory)
    print(f"\nMemory of its process after each tenth of {len(times)} searches: {told}.")


if __name__ == "__main__":
    main()
