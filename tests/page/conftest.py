"""A running `clipstack page` on 600 scenes, and a real Chromium that looks at it."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.page.pages import ROOT, Served, World, serving
from tests.shared import SHARED

SCENES = 600
expect.set_options(timeout=20_000)  # other tests use the machine too


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """600 scenes of several shapes in `a`, `b` and `c`, imported as `images`; 30 as `few`."""
    from clipstack.scenes import demo_scenes

    made = World(tmp_path_factory.mktemp("page"))
    for number, scene in enumerate(demo_scenes(SCENES)):
        folder = made.pictures / "abc"[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        width, height = ((96, 96), (96, 72), (72, 96))[number % 7 % 3]
        picture = scene.draw(random.Random(number), 96).crop((0, 0, width, height))
        picture.save(folder / f"{scene.name}.{'png' if number % 5 else 'jpg'}")
    for collection, count in (("images", SCENES), ("few", 30)):
        chosen = sorted(made.pictures.rglob("*.*"))[:: SCENES // count]
        some = [made.pictures] if count == SCENES else chosen
        done = made.clipstack("import", *some, "--model", "shapes", "-c", collection)
        assert done.code == 0, done.err
    return made


@pytest.fixture(scope="module")
def served(world: World) -> Iterator[Served]:
    with serving(world) as made:
        yield made


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.base, timeout=60) as made:
        yield made


# Not for the session: Playwright's event loop would be in the way of tests that run their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. Where the other test material is, it must be there or be had."""
    finder = [str(ROOT / "scripts" / "chromium"), *(["--install"] if SHARED.is_dir() else [])]
    found = subprocess.run(finder, capture_output=True, text=True, check=False)
    if found.returncode and not SHARED.is_dir():
        pytest.skip(found.stderr)
    assert found.returncode == 0, found.stderr
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=found.stdout.strip())
        yield made
        made.close()


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[..., Page]]:
    """Opens the page in a new browser; at the end nothing may have gone wrong in it."""
    faults: list[str] = []
    contexts = []

    def said(message: ConsoleMessage) -> None:
        # Chromium's, when a container of another test comes or goes; the page asks again.
        changed = "ERR_NETWORK_CHANGED" in message.text
        if message.type in ("error", "warning") and not changed:
            faults.append(message.text)

    def open_it(url: str = "", *, expect_faults: bool = False, **options: object) -> Page:
        url = url or request.getfixturevalue("served").url
        options = {"viewport": {"width": 1280, "height": 820}} | options
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        if not expect_faults:
            page.on("console", said)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(url)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert not faults
