"""A revision of several platforms: what is said of it is of one of them, which is named, and can be looked up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from scripts.release.lines import PlatformImage
from tests.conftest import VERSIONS
from tests.inventories import digest, python
from tests.stock import Stock
from tests.test_catalogue_pages import Page, files

if TYPE_CHECKING:
    from tests.conftest import Repository


@pytest.fixture
def stock(repository: Repository) -> Stock:
    """Two revisions of two platforms, each index 100 above its image for linux/amd64."""
    repository.family("fam", VERSIONS)
    made = Stock(repository)
    for number in (1, 2):
        images = (
            PlatformImage(platform="linux/amd64", digest=digest(number), size=120_000_000),
            PlatformImage(
                platform="linux/arm64", digest=digest(number + 50), size=90_000_000, untested="nothing here runs it"
            ),
        )
        made.publish(number, digest=digest(number + 100), size=210_000_000, platforms=images)
        made.keep(number, python=python(("numpy", f"2.{number}", True)))
    return made


def test_its_contents_are_linked_to_and_there(stock: Stock) -> None:
    found = files(stock)
    links = [a["href"] or "" for tag, a in Page(found["images/app/1-r2.html"]).tags if tag == "a" and a.get("href")]
    (link,) = [link.removeprefix("../../") for link in links if "data/inventories/" in link]
    assert json.loads(found[link])["image"]["digest"] == digest(2)


def test_what_is_compared_finds_its_contents(stock: Stock) -> None:
    found = files(stock)
    rows = json.loads(found["data/search.js"].partition(" = ")[2].strip().removesuffix(";"))["revisions"]
    assert [(row[2], row[7]) for row in rows] == [(digest(102), digest(2)), (digest(101), digest(1))]
    for row in rows:
        assert f"data/inventories/{row[7].replace(':', '-')}.js" in found


def test_what_is_pulled_is_one_platform(stock: Stock) -> None:
    found = files(stock)
    page = Page(found["images/app/1-r2.html"])
    assert page.has("120 MB to pull for linux/amd64", "what is said of contents and size is of this one")
    assert page.has("Platforms linux/amd64, linux/arm64", "Not tested linux/arm64: nothing here runs it")
    assert page.has(f"@{digest(102)}")
    assert Page(found["images/app/1.html"]).has("120 MB to pull for linux/amd64.")
    assert "210 MB" not in page.text


def test_an_image_of_one_platform_says_nothing_of_others(stock: Stock) -> None:
    stock.publish(3)
    stock.keep(3)
    page = Page(files(stock)["images/app/1-r3.html"])
    assert page.has("100 MB to pull, 300 MB unpacked")
    assert not page.has("Platforms")
    assert not page.has("Not tested")
