"""The index as people use it: search, filters, order, copying, links and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.shop import Shop

    Look = Callable[..., Page]

ALL = [
    "python:3.11", "torch:2.6.0-cuda12.4", "torch:2.3.1-cuda12.1", "python:3.9", "tensorflow:2.14.0-cuda12.3", "torch:2.1.0-cuda11.8",
]  # fmt: skip


def names(page: Page) -> list[str]:
    """The images that are shown, in their order."""
    links = page.locator("#images tbody tr:visible th > .id")
    return [text.strip() for text in links.all_inner_texts()]


def count(page: Page, text: str) -> None:
    expect(page.locator("#count")).to_have_text(text)


def test_all_images_are_there_those_to_be_used_first(look: Look) -> None:
    page = look("index.html")
    count(page, "6 images")
    assert names(page) == ALL
    page.get_by_text("Declared, and not published yet: 1").click()
    expect(page.get_by_text("python:3.13", exact=True)).to_be_visible()


def test_search_finds_images_revisions_digests_and_packages(look: Look) -> None:
    page = look("index.html")
    search = page.get_by_role("searchbox")
    search.fill("torch 12.4")
    count(page, "1 of 6 images")
    assert names(page) == ["torch:2.6.0-cuda12.4"]
    search.fill("xgboost")
    expect(page.locator("#found-packages tbody tr")).to_have_count(1)
    expect(page.locator("#found-packages tbody")).to_contain_text("3.1.0")
    expect(page.locator("#found-revisions tbody tr")).to_have_count(4)
    page.locator("#found-packages").get_by_role("link", name="torch:2.3.1-cuda12.1").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("torch:2.3.1-cuda12.1")
    page.go_back()
    expect(page.get_by_role("searchbox")).to_have_value("xgboost")
    expect(page.locator("#found-revisions tbody tr")).to_have_count(4)


def test_a_digest_leads_to_its_revision(look: Look) -> None:
    page = look("images/python/3.11-r2.html")
    digest = page.locator("dd.id", has_text="sha256:").first.inner_text()
    page = look("index.html")
    page.get_by_role("searchbox").fill(digest[:24])
    page.locator("#found-revisions").get_by_role("link", name="python:3.11-r2").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("python:3.11-r2")


def test_nothing_fits_and_all_is_back_with_a_click(look: Look) -> None:
    page = look("index.html#q=no-such-thing&state=frozen")
    count(page, "0 of 6 images")
    page.get_by_role("button", name="Clear the search and all filters").click()
    count(page, "6 images")
    assert page.url.rstrip("#").endswith("index.html")


@pytest.mark.parametrize(
    ("label", "choice", "found"),
    [
        ("Family", "cpu", ["python:3.11", "python:3.9"]),
        ("Python", "3.9", ["python:3.9"]),
        ("CUDA", "12.1", ["torch:2.3.1-cuda12.1"]),
        ("CUDA", "none", ["python:3.11", "python:3.9"]),
        ("PyTorch", "2.6.0", ["torch:2.6.0-cuda12.4"]),
        ("TensorFlow", "2.14.0", ["tensorflow:2.14.0-cuda12.3"]),
        ("State", "deprecated", ["tensorflow:2.14.0-cuda12.3"]),
        ("State", "retired", ["torch:2.1.0-cuda11.8"]),
        ("Platform", "linux/amd64", ALL),
        ("Size", "up to 500 MB", ALL),
    ],
)
def test_filters(look: Look, label: str, choice: str, found: list[str]) -> None:
    page = look("index.html")
    page.get_by_label(label, exact=True).select_option(label=choice)
    count(page, f"{len(found)} of 6 images")
    assert names(page) == found


def test_a_driver_that_is_too_old_hides_what_needs_a_newer_one(look: Look) -> None:
    page = look("index.html")
    driver = page.get_by_label("My driver")
    driver.fill("470.82")
    assert names(page) == ["python:3.11", "python:3.9"]
    driver.fill("535")
    count(page, "6 of 6 images")


def test_order_goes_up_down_and_back(look: Look) -> None:
    page = look("index.html")
    head = page.locator("#images thead th", has_text="PyTorch")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert names(page)[-1] == "python:3.11"
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    assert names(page)[:2] == ["python:3.11", "python:3.9"]
    head.get_by_role("button").click()
    expect(head).not_to_have_attribute("aria-sort", "descending")
    assert names(page) == ALL


def test_a_link_has_search_filters_and_order_and_the_way_back_goes_step_by_step(look: Look, served: str) -> None:
    page = look("index.html#family=cuda&sort=-cuda", at=served)
    assert names(page) == ["torch:2.6.0-cuda12.4", "torch:2.3.1-cuda12.1", "torch:2.1.0-cuda11.8"]
    expect(page.get_by_label("Family")).to_have_value("cuda")
    page.get_by_label("State", exact=True).select_option("retired")
    count(page, "1 of 6 images")
    page.get_by_role("searchbox").press_sequentially("nothing")
    count(page, "0 of 6 images")
    page.go_back()
    count(page, "1 of 6 images")
    page.go_back()
    count(page, "3 of 6 images")
    page.go_forward()
    count(page, "1 of 6 images")
    page.reload()
    count(page, "1 of 6 images")


def test_what_an_old_link_asks_for_and_is_no_more_is_left_out(look: Look) -> None:
    page = look("index.html#family=gone&sort=colour&x=%3Cscript%3E")
    assert names(page) == ALL


@pytest.mark.parametrize("at", ["file", "server"])
def test_copy_by_tag_and_by_digest(look: Look, site: Path, served: str, shop: Shop, at: str) -> None:
    page = look("index.html", at=f"file://{site}" if at == "file" else served)
    search = page.get_by_role("searchbox")
    for what, wanted in (("tag", ":3.11"), ("digest", "@sha256:")):
        page.get_by_role("button", name=f"Copy docker pull of python:3.11 by {what}").click()
        expect(page.locator(".live")).to_contain_text("Copied: docker pull")
        search.fill("")
        search.press("Control+v")
        expect(search).to_have_value(f"docker pull {shop.settings.registry}/python{wanted}") if what == "tag" else None
        assert search.input_value().startswith(f"docker pull {shop.settings.registry}/python{wanted}")
        search.fill("")


def test_only_the_keyboard(look: Look) -> None:
    page = look("index.html")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("2.6.0")
    count(page, "1 of 6 images")
    page.get_by_role("link", name="torch:2.6.0-cuda12.4", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("torch:2.6.0-cuda12.4")
