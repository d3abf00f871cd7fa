"""Actions of a person on the page, and what the page shows then."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

from playwright.sync_api import Page, expect


def search_for(page: Page, text: str) -> list[str]:
    """Type `text`; returns the names of the hits."""
    wait_until_settled(page)
    quoted = json.dumps(text)
    with page.expect_response(lambda r: quoted in (r.request.post_data or "")) as response:
        page.fill("#words", text)
    first = response.value.json()["hits"][0]["name"]
    expect(page.locator(".hit img").first).to_have_attribute("alt", first)
    return names(page)


def wait_until_settled(page: Page) -> None:
    """Wait until the page is loaded and no search runs."""
    expect(page.locator("#start-about")).not_to_be_empty()
    expect(page.locator("body")).not_to_have_class(re.compile("busy"))


def names(page: Page) -> list[str]:
    return page.locator(".hit img").evaluate_all("all => all.map(image => image.alt)")


def search_after(page: Page, action) -> list[str]:
    """Do something that starts another search; returns the names of its hits."""
    wait_until_settled(page)
    with page.expect_response("**/search") as response:
        action()
    hits = response.value.json()["hits"]
    expect(page.locator(".hit")).to_have_count(len(hits))
    if hits:
        expect(page.locator(".hit img").first).to_have_attribute("alt", hits[0]["name"])
    return names(page)


def drop(page: Page, file: Path, event: str = "drop") -> None:
    """Drop or paste a picture."""
    wait_until_settled(page)
    data = base64.b64encode(file.read_bytes()).decode()
    page.evaluate(
        """([data, name, event]) => {
            const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, { type: "image/png" }));
            const gesture = event === "paste"
                ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true })
                : new DragEvent(
                    "drop", { dataTransfer: transfer, bubbles: true, cancelable: true },
                );
            document.body.dispatchEvent(gesture);
        }""",
        [data, file.name, event],
    )
