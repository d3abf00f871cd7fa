"""A running `clipstack page` on 600 scenes, and a real Chromium that looks at it."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.page.pages import ROOT, PageServer, Workspace, run_page
from tests.shared import SHARED

SCENES = 600
expect.set_options(timeout=20_000)  # other tests use the machine too


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """600 scenes of several shapes in `a`, `b` and `c`, imported as `images`; 30 as `few`."""
    from clipstack.scenes import demo_scenes

    workspace = Workspace(tmp_path_factory.mktemp("page"))
    for number, scene in enumerate(demo_scenes(SCENES)):
        folder = workspace.pictures / "abc"[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        width, height = ((96, 96), (96, 72), (72, 96))[number % 7 % 3]
        picture = scene.draw(random.Random(number), 96).crop((0, 0, width, height))
        picture.save(folder / f"{scene.name}.{'png' if number % 5 else 'jpg'}")
    for collection, count in (("images", SCENES), ("few", 30)):
        sample = sorted(workspace.pictures.rglob("*.*"))[:: SCENES // count]
        sources = [workspace.pictures] if count == SCENES else sample
        result = workspace.clipstack("import", *sources, "--model", "shapes", "-c", collection)
        assert result.code == 0, result.err
    return workspace


@pytest.fixture(scope="module")
def server(workspace: Workspace) -> Iterator[PageServer]:
    with run_page(workspace) as page:
        yield page


@pytest.fixture
def client(server: PageServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.base_url, timeout=60) as client:
        yield client


# Not for the session: Playwright's event loop would disturb tests that run their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. Tests are skipped without it, unless the shared test material is present."""
    finder = [str(ROOT / "scripts" / "chromium"), *(["--install"] if SHARED.is_dir() else [])]
    result = subprocess.run(finder, capture_output=True, text=True, check=False)
    if result.returncode and not SHARED.is_dir():
        pytest.skip(result.stderr)
    assert result.returncode == 0, result.stderr
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=result.stdout.strip())
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[..., Page]]:
    """Opens the page in a new browser context; at the end there may be no error in it."""
    errors: list[str] = []
    contexts = []

    def on_console(message: ConsoleMessage) -> None:
        # From Chromium, when a container of another test starts or stops; the page retries.
        is_network_change = "ERR_NETWORK_CHANGED" in message.text
        if message.type in ("error", "warning") and not is_network_change:
            errors.append(message.text)

    def open_page(url: str = "", *, expect_errors: bool = False, **options: object) -> Page:
        url = url or request.getfixturevalue("server").url
        options = {"viewport": {"width": 1280, "height": 820}} | options
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        if not expect_errors:
            page.on("console", on_console)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not errors
