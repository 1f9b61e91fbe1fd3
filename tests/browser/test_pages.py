"""The other pages in a browser: an image, a revision, the comparison, without JavaScript, and for everybody (axe)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it has no types
from playwright.sync_api import expect

from tests.shop import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    Look = Callable[..., Page]

PAGES = {
    "index": "index.html",
    "search": "index.html#q=numpy",
    "image": "images/torch/2.3.1-cuda12.1.html",
    "deprecated": "images/tensorflow/2.14.0-cuda12.3.html",
    "revision": "images/torch/2.3.1-cuda12.1-r3.html",
    "yanked": "images/torch/2.3.1-cuda12.1-r2.html",
    "hostile": "images/torch/2.1.0-cuda11.8-r1.html",
    "compare": "compare.html#old=torch:2.3.1-cuda12.1-r1&new=torch:2.6.0-cuda12.4-r3",
    "about": "about.html",
}
NARROW = ("index", "image", "revision", "compare")
"""Pages with all that may be too wide for a phone."""
LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": {"width": 390, "has_touch": True},
}


@pytest.mark.parametrize(
    ("name", "form"), [(name, form) for name in PAGES for form in LOOKS if form != "phone" or name in NARROW]
)
def test_everybody_can_read_it(look: Look, shots: Path, name: str, form: str) -> None:
    """No serious finding of axe; nothing wider than the window; and a picture of it to look at."""
    page = look(PAGES[name], **LOOKS[form])
    if name == "search":
        expect(page.locator("#found-packages tbody tr")).to_have_count(2)
    if name == "compare":
        expect(page.locator("#result h2").first).to_be_visible()
    for details in page.locator("details").all():
        details.evaluate("item => { item.open = true; }")
    page.screenshot(path=shots / f"{name}-{form}.png", full_page=True)
    # It would fetch the style sheet once more, which a page of ours may not.
    found = Axe().run(page, options={"preload": False}).response["violations"]
    bad = [item for item in found if item["impact"] in {"serious", "critical"}]
    assert [(item["id"], [node["html"] for node in item["nodes"]]) for item in bad] == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_dark_is_dark_and_the_choice_is_kept(look: Look, served: str) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    dark = look("index.html", at=served, color_scheme="dark").evaluate(colour)
    page = look("index.html", at=served, color_scheme="light")
    light = page.evaluate(colour)
    assert dark != light
    button = page.get_by_role("button", name="Theme")
    button.click()
    button.click()
    expect(button).to_have_text("Theme: dark")
    assert page.evaluate(colour) == dark
    page.get_by_role("link", name="Compare").click()
    assert page.evaluate(colour) == dark


def test_an_image_tells_all_there_is(look: Look) -> None:
    page = look(PAGES["image"])
    main = page.locator("main")
    for words in (
        "525.60.13, as measured",
        "PyTorch: sm_80 sm_90 compute_90",
        "Ubuntu 22.04 (jammy)",
        "6 passed, 0 failed, 1 skipped",
    ):
        expect(main).to_contain_text(words)
    row = page.locator("table tr", has=page.get_by_role("rowheader", name="PyTorch")).first
    assert row.locator("td").all_inner_texts() == ["2.3.1", "2.3.1"]
    expect(page.locator("svg.stack").nth(0).locator("rect")).to_have_count(3)
    expect(page.locator("svg.stack").nth(1).locator("rect")).to_have_count(13)
    expect(main.get_by_role("row", name="torch 2.3.1 240 MB")).to_be_attached()
    expect(page.locator("svg.plot circle")).to_have_count(6)
    expect(page.locator("svg.plot circle.yanked")).to_have_count(2)
    expect(page.locator(".revisions tr.yanked s")).to_have_text("r2")
    assert page.locator(".revisions tbody tr").count() == 3
    expect(page.locator(".revisions tr.yanked")).to_contain_text("numpy 2.4.0 reads past the end of arrays; use r3")
    page.get_by_role("link", name="Compare r2 with r3").click()
    expect(page.locator("#result")).to_contain_text("xgboost")


def test_a_revision_tells_what_changed_and_what_is_in_it(look: Look) -> None:
    page = look(PAGES["revision"])
    changes = page.locator("section", has=page.get_by_role("heading", name="Changes since r2"))
    expect(changes).to_contain_text("numpy 2.4.0 to 2.4.1")
    expect(changes.get_by_role("row", name="xgboost")).to_contain_text("3.1.0")
    expect(page.locator("dl.packages").first).to_contain_text("jupyterlab")
    page.get_by_role("link", name="← r2").click()
    expect(page.locator(".note.bad")).to_contain_text("Yanked on 2026-11-10, do not use it")


def test_what_should_be_left_says_what_to_use(look: Look) -> None:
    page = look(PAGES["deprecated"])
    note = page.locator(".note.bad")
    expect(note).to_contain_text("This image is deprecated since 2024-07-01.")
    note.get_by_role("link", name="python:3.11").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("python:3.11")


def test_words_of_others_do_nothing(look: Look) -> None:
    for path in (
        PAGES["hostile"],
        "index.html#q=evil-package",
        "compare.html#old=torch:2.1.0-cuda11.8-r1&new=python:3.11-r1",
    ):
        page = look(path)
        expect(page.get_by_text(HOSTILE).first).to_be_attached()
        assert page.title() not in {"1", "2"}
        assert page.locator("main img").count() == 0


@pytest.mark.parametrize("at", ["file", "server"])
def test_any_two_revisions_are_compared(look: Look, site: Path, served: str, at: str) -> None:
    page = look("compare.html", at=f"file://{site}" if at == "file" else served)
    expect(page.locator("#said")).to_have_text("Choose two revisions.")
    page.get_by_label("From").fill("python:3.11-r1")
    page.get_by_label("To", exact=True).fill("python:3.11")
    page.get_by_label("To", exact=True).press("Enter")
    result = page.locator("#result")
    expect(result).to_contain_text("From python:3.11-r1 to python:3.11-r3: who has the first pulls")
    row = result.get_by_role("row", name="numpy")
    assert row.locator("td").all_inner_texts() == ["2.4.6", "2.4.1"]
    # As the page of a revision counts them: one that is of another architecture now is no other package.
    said = ["Python packages: 3", "Distribution packages: 2"]
    assert result.get_by_role("heading", level=2).all_inner_texts() == said
    page.get_by_role("button", name="Swap").click()
    expect(row.locator("td").first).to_have_text("2.4.1")
    page.go_back()
    expect(row.locator("td").first).to_have_text("2.4.6")
    page.get_by_label("From").fill("python:3.11-r77")
    page.get_by_label("From").press("Enter")
    expect(page.locator("#said")).to_have_text("There is no revision python:3.11-r77.")


def test_what_is_being_typed_is_not_lost(look: Look) -> None:
    """The browser tells of the new address a moment later, when the other revision is being typed already."""
    page = look("compare.html")
    page.evaluate(
        """() => {
          const { old, new: now } = document.getElementById("compare").elements;
          old.value = "python:3.11-r1";
          old.dispatchEvent(new Event("change", { bubbles: true }));
          now.value = "python:3.1";
        }"""
    )
    page.wait_for_url("**#old=python*")
    page.evaluate("() => new Promise((resolve) => setTimeout(resolve, 50))")
    expect(page.get_by_label("To", exact=True)).to_have_value("python:3.1")
    page.get_by_label("To", exact=True).fill("python:3.11-r2")
    page.get_by_label("To", exact=True).press("Enter")
    expect(page.locator("#result")).to_contain_text("From python:3.11-r1 to python:3.11-r2")
    page.go_back()
    page.go_back()
    expect(page.get_by_label("From")).to_have_value("")
    page.go_forward()
    expect(page.get_by_label("From")).to_have_value("python:3.11-r1")
    expect(page.get_by_label("To", exact=True)).to_have_value("")


def test_all_of_it_is_there_without_javascript(look: Look) -> None:
    page = look("index.html", java_script_enabled=False)
    expect(page.locator("#images tbody tr")).to_have_count(6)
    expect(page.locator("#filters")).to_be_hidden()
    expect(page.locator("button:visible")).to_have_count(0)
    page.get_by_role("link", name="torch:2.3.1-cuda12.1", exact=True).first.click()
    expect(page.get_by_text("docker pull").first).to_be_visible()
    page.locator(".revisions").get_by_role("link", name="r3", exact=True).click()
    expect(page.get_by_role("heading", name="Changes since r2")).to_be_visible()
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_text("invoke diff A B")).to_be_visible()
