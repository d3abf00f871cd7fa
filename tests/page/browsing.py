"""What a person does on the page, and what is then seen there."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

from playwright.sync_api import Page, expect


def look_for(page: Page, text: str) -> list[str]:
    """Type `text` and give the names of the hits that come."""
    settled(page)
    said = json.dumps(text)
    with page.expect_response(lambda one: said in (one.request.post_data or "")) as answer:
        page.fill("#words", text)
    first = answer.value.json()["hits"][0]["name"]
    expect(page.locator(".hit img").first).to_have_attribute("alt", first)
    return names(page)


def settled(page: Page) -> None:
    """Wait until the page is loaded and no search runs."""
    expect(page.locator("#start-about")).not_to_be_empty()
    expect(page.locator("body")).not_to_have_class(re.compile("busy"))


def names(page: Page) -> list[str]:
    return page.locator(".hit img").evaluate_all("all => all.map(one => one.alt)")


def changes(page: Page, act) -> list[str]:
    """Do something that makes another search; the names of its hits."""
    settled(page)
    with page.expect_response("**/search") as answer:
        act()
    hits = answer.value.json()["hits"]
    expect(page.locator(".hit")).to_have_count(len(hits))
    if hits:
        expect(page.locator(".hit img").first).to_have_attribute("alt", hits[0]["name"])
    return names(page)


def drop(page: Page, file: Path, event: str = "drop") -> None:
    """Drop or paste a picture."""
    settled(page)
    data = base64.b64encode(file.read_bytes()).decode()
    page.evaluate(
        """([data, name, event]) => {
            const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
            const carried = new DataTransfer();
            carried.items.add(new File([bytes], name, { type: "image/png" }));
            const made = event === "paste"
                ? new ClipboardEvent("paste", { clipboardData: carried, bubbles: true })
                : new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true });
            document.body.dispatchEvent(made);
        }""",
        [data, file.name, event],
    )
