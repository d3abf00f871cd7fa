"""The page as a person uses it, in a real Chromium."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.page.browsing import drop, names, search_after, search_for, wait_until_settled
from tests.page.pages import PageServer, run_page

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


def test_hits_appear_while_typing(visit) -> None:
    page = visit()
    expect(page.locator("#start-about")).to_have_text("600 pictures in images")
    page.locator("#words").press_sequentially("a red circle", delay=30)
    expect(page.locator("#status")).to_have_text("60 pictures, more below")
    expect(page.locator(".hit.ready").nth(5)).to_be_visible()
    hits = search_for(page, "red circle")[:5]
    assert sum("red" in name and "circle" in name for name in hits) >= 4
    page.fill("#words", "")
    expect(page.locator("#start")).to_be_visible()
    expect(page.locator(".hit")).to_have_count(0)


@pytest.mark.parametrize("way", ["drop", "paste", "pick"])
def test_a_picture_finds_itself(visit, server: PageServer, way: str) -> None:
    file = sorted(server.workspace.pictures.glob("b/*.png"))[7]
    page = visit()
    if way == "pick":
        action = lambda: page.set_input_files("#file", file)  # noqa: E731
    else:
        action = lambda: drop(page, file, way)  # noqa: E731
    hits = search_after(page, action)
    assert hits[0] == file.name
    expect(page.locator(".chip .label")).to_have_text(file.name)
    expect(page.locator(".chip img")).to_have_js_property("complete", True)


def test_more_and_less_like_this(visit) -> None:
    page = visit()
    before = search_for(page, "a star")
    red = next(n for n, name in enumerate(before) if "red" in name)
    picture = page.locator(".hit").nth(red)
    picture.hover()
    more = search_after(page, lambda: picture.get_by_role("button", name="More like this").click())
    assert before[red] not in more
    assert sum("red" in name for name in more[:10]) > sum("red" in name for name in before[:10])
    less = search_after(page, lambda: page.locator(".chip .sign").click())
    assert sum("red" in name for name in less[:10]) < sum("red" in name for name in more[:10])
    expect(page.locator(".chip")).to_have_class("chip minus")
    weight = page.locator(".chip input")
    weight.fill("0.1")
    assert search_after(page, lambda: weight.press("Tab"))[:10] != less[:10]
    again = search_after(page, lambda: page.locator(".chip .remove").click())
    assert again == before


def test_added_and_subtracted_words(visit) -> None:
    page = visit()
    search_for(page, "a circle")
    page.fill("#unlike", "red")
    without = search_after(page, lambda: page.press("#unlike", "Enter"))
    assert not any("red" in name for name in without[:10])
    page.fill("#also", "blue")
    both = search_after(page, lambda: page.press("#also", "Enter"))
    assert sum("blue" in name for name in both[:10]) > sum("blue" in name for name in without[:10])


def test_filters(visit, server: PageServer) -> None:
    page = visit()
    search_for(page, "a heart")
    folder = server.workspace.pictures / "b"
    hits = search_after(page, lambda: page.fill("#under", str(folder)))
    assert hits
    assert all((folder / name).exists() for name in hits)
    hits = search_after(page, lambda: page.select_option("#format", "JPEG"))
    assert hits
    assert all(name.endswith(".jpg") for name in hits)
    hits = search_after(page, lambda: page.fill("#min_width", "97"))
    assert hits == []
    expect(page.locator("#status")).to_have_text("No picture fits.")
    expect(page.locator("#refine-open")).to_have_attribute("aria-label", "Filters, 3 set")


@pytest.mark.parametrize(("field", "value"), [("since", "2024-13"), ("near", "91,0,5")])
def test_a_wrong_filter_is_named(visit, field: str, value: str) -> None:
    page = visit(expect_errors=True)  # the browser itself reports the 400
    search_for(page, "a heart")
    page.fill(f"#{field}", value)
    expect(page.locator("#problem")).to_contain_text(field)
    expect(page.locator(f"#{field}")).to_have_attribute("aria-invalid", "true")
    page.fill(f"#{field}", "")
    expect(page.locator("#problem")).to_be_hidden()
    expect(page.locator(".hit")).to_have_count(60)


def test_a_cut_off_by_score(visit) -> None:
    page = visit()
    search_for(page, "a green star")
    scores = page.locator(".score").evaluate_all("all => all.map(score => +score.textContent)")
    slider = page.locator("#cut-value")
    middle = (scores[0] + scores[-1]) / 2
    with page.expect_response("**/search") as response:
        slider.evaluate(
            "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input',"
            " { bubbles: true })); }",
            middle,
        )
    hits = response.value.json()["hits"]
    assert 0 < len(hits) < 60
    least = float(slider.input_value())
    assert all(hit["score"] >= least - 1e-4 for hit in hits)
    expect(page.locator("#cut-shown")).to_contain_text("≥")


def test_auto_and_a_prompt_are_in_the_query(visit) -> None:
    page = visit()
    search_for(page, "a green star")
    with page.expect_request("**/search") as request:
        page.get_by_role("radio", name="Auto").check()
    assert request.value.post_data_json["min_score"] == "auto"
    page.get_by_text("For experts").click()
    page.select_option("#prompt", "own")
    wait_until_settled(page)
    with page.expect_request("**/search") as request:
        page.fill("#template", "a drawing of a {}")
    query = request.value.post_data_json
    assert query["prompt"] == "a drawing of a {}"
    page.get_by_role("button", name="Clear all").click()
    expect(page.locator("#start")).to_be_visible()
    expect(page.locator("#refine-count")).to_be_hidden()


def test_one_for_each_folder_and_by_path(visit) -> None:
    page = visit()
    search_for(page, "a ring")
    hits = search_after(page, lambda: page.select_option("#variety", "folder"))
    assert len(hits) == 3
    page.select_option("#variety", "")
    expect(page.locator(".hit")).to_have_count(60)
    wait_until_settled(page)
    with page.expect_response("**/search") as response:
        page.select_option("#sort", "path")
    paths = [hit["path"] for hit in response.value.json()["hits"]]
    assert paths == sorted(paths)


def test_another_collection(visit) -> None:
    page = visit()
    search_for(page, "a ring")
    hits = search_after(page, lambda: page.select_option("#collection", "few"))
    assert len(hits) == 30
    expect(page.locator("#more")).to_be_hidden()


def test_five_hundred_hits_by_scrolling(visit) -> None:
    page = visit()
    search_for(page, "a square")
    deadline = time.monotonic() + 60
    while page.locator(".hit").count() < 500 and time.monotonic() < deadline:
        page.mouse.wheel(0, 4000)
        page.wait_for_timeout(50)
    hits = names(page)
    assert len(hits) >= 500
    assert len(set(hits)) == len(hits)
    last = page.locator(".hit").nth(499)
    last.scroll_into_view_if_needed()
    expect(last).to_have_class(re.compile("ready"))


def test_the_large_view_by_keyboard(visit) -> None:
    page = visit()
    hits = search_for(page, "a purple triangle")
    page.locator(".picture").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    title = page.locator("#viewer-name")
    expect(title).to_have_text(hits[1])
    expect(page.locator("#viewer-facts dt").first).to_have_text("Folder")
    expect(page.locator("#viewer-facts")).to_contain_text("96 pixels")
    for key, index in (("ArrowRight", 2), ("ArrowLeft", 1), ("Home", 0), ("End", 59)):
        page.keyboard.press(key)
        expect(title).to_have_text(hits[index])
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body"
            " || document.querySelector('dialog').contains(document.activeElement)"
        )
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    expect(page.locator(":focus img")).to_have_attribute("alt", hits[59])


def test_copy_path(visit, server: PageServer) -> None:
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    hits = search_for(page, "a cross")
    page.locator(".picture").first.click()
    page.get_by_role("button", name="Copy path").click()
    expect(page.locator("#copy")).to_have_text("Copied")
    copied = Path(page.evaluate("navigator.clipboard.readText()"))
    assert copied.name == hits[0]
    assert copied.is_file()


def test_on_a_phone(visit) -> None:
    page = visit(**PHONE)
    search_for(page, "a yellow ring")
    expect(page.locator(".hit.ready").nth(3)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator("#refine-open").tap()
    page.locator("#format").scroll_into_view_if_needed()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator("#refine-close").scroll_into_view_if_needed()
    page.locator("#refine-close").tap()
    page.locator(".picture").first.tap()
    expect(page.locator("#viewer-picture")).to_have_js_property("complete", True)
    page.go_back()
    expect(page.locator("#viewer")).to_be_hidden()
    expect(page.locator(".hit")).to_have_count(60)


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_axe_finds_no_serious_violation(visit, look: str) -> None:
    page = visit(**(PHONE if look == "phone" else {"color_scheme": look}))
    _accessible(page)
    hits = search_for(page, "a blue heart")
    search_after(page, lambda: page.locator(".hit .plus").first.click())
    expect(page.locator(".hit.ready").nth(3)).to_be_visible()
    if look == "phone":
        page.locator("#refine-open").tap()
        _accessible(page)
        page.locator("#refine-close").click()
    _accessible(page)
    page.locator(".picture").first.click()
    expect(page.locator("#viewer-facts dt").first).to_be_visible()
    _accessible(page)
    assert hits


def _accessible(page: Page) -> None:
    page.wait_for_timeout(300)  # what fades in has no contrast yet
    violations = Axe().run(page).response["violations"]
    serious = [v for v in violations if v["impact"] in ("serious", "critical")]
    assert not serious, [(v["id"], [node["html"] for node in v["nodes"]]) for v in serious]


def test_the_theme_stays(visit) -> None:
    page = visit(color_scheme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Dark theme").click()
    dark = page.evaluate(background)
    assert dark != light
    page.reload()
    expect(page.get_by_role("button", name="Light theme")).to_be_visible()
    assert page.evaluate(background) == dark


def test_the_token_is_accepted_and_removed_from_the_address(visit, workspace) -> None:
    with run_page(workspace, "--token", "correct-horse") as server:
        assert server.url.endswith("#token=correct-horse")
        page = visit(server.url, expect_errors=True)
        assert search_for(page, "a star")
        assert "correct" not in page.url
        cookie = page.context.cookies()[0]
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Strict"
        assert "correct" not in cookie["value"]
        other = visit(server.base_url, expect_errors=True)
        other.fill("#token", "wrong-horse-1")
        other.press("#token", "Enter")
        expect(other.locator("#problem")).to_contain_text("not the page's token")
        other.fill("#token", "correct-horse")
        other.press("#token", "Enter")
        expect(other.locator("#start-about")).to_have_text("600 pictures in images")


def test_other_commands_may_use_the_database(visit, server: PageServer) -> None:
    page = visit()
    search_for(page, "a star")
    result = server.workspace.clipstack("search", "a star", "-k", "1")
    assert result.code == 0, result.err
    assert search_for(page, "a heart")
