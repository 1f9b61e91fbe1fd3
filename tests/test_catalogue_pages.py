"""The pages, feeds and data: nothing but what is known, every word of others escaped, the same bytes each time."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from scripts.catalogue.files import files_of
from scripts.contents.inventory import System
from scripts.release.lines import Gone, Yanked
from tests.conftest import VERSIONS, Repository
from tests.inventories import apt, config, digest, layer, python
from tests.stock import Stock

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>\u202e\x07 </textarea>'
FROZEN = '[[image]]\nversion = "0"\nbase = "python:3.9"\npython = "3.9"\nstate = "frozen"\nreason = "Old <b>"\nsince = 2025-10-31\n'
VOID = {"meta", "link", "br", "input", "img"}
ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture
def stock(repository: Repository) -> Stock:
    repository.family("fam", VERSIONS + FROZEN)
    return Stock(repository)


def files(stock: Stock) -> dict[str, str]:
    found = list(files_of(stock.collect(), stock.shelf))
    assert len(dict(found)) == len(found), "two files of one name"
    return dict(found)


class Page(HTMLParser):
    """The elements, attributes and text of a page, which has to close what it opens."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.text += " "
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def has(self, *words: str) -> bool:
        return all(word in " ".join(self.text.split()) for word in words)


def test_an_empty_repository_has_pages_that_say_so(stock: Stock) -> None:
    found = files(stock)
    page = Page(found["index.html"])
    assert page.has("Nothing is published yet.", "There is no revision in the ledgers of localhost:5000/x")
    assert page.has("Declared, and not published yet: 2", "app:1")
    assert "<table id" not in found["index.html"]
    assert json.loads(found["data/catalogue.json"])["images"][0]["revisions"] == []
    assert ET.fromstring(found["feeds/fam.xml"]).findall(f"{ATOM}entry") == []  # noqa: S314 - our own


def test_a_revision_without_inventory_says_what_is_unknown(stock: Stock) -> None:
    stock.publish(1)
    stock.publish(2)
    stock.keep(1)
    found = files(stock)
    revision = Page(found["images/app/1-r2.html"])
    assert revision.has("Unknown: no inventory of this digest is known", "Unknown: no inventory of r2 is known")
    assert revision.has("Unknown: no smoke test of this digest is known", "invoke inventory app:1-r2 --reread")
    image = Page(found["images/app/1.html"])
    assert image.has("No inventory of r2 is known, so its contents, packages and layers are unknown here.")
    assert image.has("there are not two revisions with an inventory")
    assert f"data/inventories/{digest(2).replace(':', '-')}.json" not in found


def test_pages_from_the_ledger_alone_are_marked(stock: Stock) -> None:
    stock.publish(3)
    for path, text in files(stock).items():
        if path.endswith(".html"):
            assert Page(text).has("As of 2026-11-03:", "it was not to be asked (--offline)"), path


def test_yanked_and_gone_are_struck_through_with_their_reasons(stock: Stock) -> None:
    for number in (1, 2, 3):
        stock.publish(number)
    stock.mark(Yanked, 1, "numpy is broken")
    stock.mark(Gone, 2, "deleted")
    found = files(stock)
    struck = re.findall(r"<s><a [^>]*>(r\d)</a></s>", found["images/app/1.html"])
    assert struck == ["r2", "r1"]
    page = Page(found["images/app/1.html"])
    assert page.has("Yanked on 2026-11-20: numpy is broken", "Gone since 2026-11-20: deleted")
    assert Page(found["images/app/1-r1.html"]).has("Yanked on 2026-11-20, do not use it: numpy is broken")
    assert "docker pull" not in Page(found["images/app/1-r2.html"]).text


def test_what_is_not_maintained_says_what_to_use(stock: Stock) -> None:
    stock.publish(1)
    stock.publish(1, tag="0", digest=digest(9))
    stock.publish(1, tag="5", digest=digest(8))
    found = files(stock)
    frozen = Page(found["images/app/0.html"])
    assert frozen.has("This image is frozen since 2025-10-31.", "Old <b>. Use instead: app:1")
    assert Page(found["images/app/5-r1.html"]).has("This image is retired.", "Use instead: app:1")
    assert not Page(found["images/app/1.html"]).has("Use instead")


def test_a_warning_comes_before_what_changed(stock: Stock) -> None:
    stock.publish(1, reason="many words " * 400)
    stock.mark(Yanked, 1, "numpy is broken")
    text = Page(files(stock)["images/app/1-r1.html"]).text
    assert text.index("numpy is broken") < text.index("many words")


def test_what_is_gone_has_no_command_to_copy(stock: Stock) -> None:
    for number in (1, 2):
        stock.publish(number)
    stock.mark(Gone, 1)
    copied = [attributes.get("data-copy") for _, attributes in Page(files(stock)["images/app/1.html"]).tags]
    assert f"docker pull localhost:5000/x/app@{digest(2)}" in copied
    assert f"docker pull localhost:5000/x/app@{digest(1)}" not in copied


def test_the_base_is_the_one_that_was_built_on(stock: Stock) -> None:
    for number in (1, 2):
        stock.publish(number, base=digest(9))
    stock.keep(1, config=config(labels={"org.opencontainers.image.base.name": "python:3.11-slim-buster"}))
    found = files(stock)
    assert Page(found["images/app/1-r1.html"]).has(f"Base python:3.11-slim-buster@{digest(9)}")
    assert Page(found["images/app/1-r2.html"]).has(f"Base {digest(9)}")


def test_what_is_not_known_of_a_gpu_is_not_told(stock: Stock) -> None:
    stock.publish(1, tag="7", digest=digest(6))
    stock.publish(1)
    found = files(stock)
    assert Page(found["images/app/7.html"]).has("GPU unknown")
    assert Page(found["images/app/1.html"]).has("GPU none needed, none used")


def test_an_image_without_gpu_in_place_of_one_with_it_is_called_so(stock: Stock) -> None:
    stock.repository.family("fam", VERSIONS + FROZEN + "gpu = true\n")
    stock.publish(1)
    stock.publish(1, tag="0", digest=digest(9))
    assert Page(files(stock)["images/app/0.html"]).has("Use instead: app:1 (without GPU)")


def test_the_difference_to_the_one_before(stock: Stock) -> None:
    stock.publish(1)
    stock.publish(2)
    stock.keep(1, python=python(("numpy", "2.4.5", True)), apt=apt(("curl", "7")))
    stock.keep(2, python=python(("numpy", "2.4.6", True), ("tqdm", "4")), apt=apt(("curl", "8")))
    page = Page(files(stock)["images/app/1-r2.html"])
    assert page.has("Changes since r1", "numpy 2.4.5 to 2.4.6", "Nothing to pull for who has the old image")
    assert page.has("numpy asked for 2.4.5 2.4.6", "tqdm \u2013 4", "curl 7 8")


def test_the_same_digest_again_is_no_difference(stock: Stock) -> None:
    stock.publish(1)
    stock.publish(2, digest=digest(1), same_as=1)
    stock.keep(1)
    assert Page(files(stock)["images/app/1-r2.html"]).has("Nothing: it is the same digest.", "The same as r1")


def hostile(stock: Stock) -> None:
    stock.publish(1, reason=HOSTILE, commit=HOSTILE)
    stock.publish(2, reason=HOSTILE, base=digest(3))
    stock.mark(Yanked, 1, HOSTILE)
    parts = {
        "python": python((HOSTILE, HOSTILE, True), path=f"/{HOSTILE}"),
        "apt": apt((HOSTILE, HOSTILE)),
        "system": System(id=HOSTILE, name=HOSTILE, version=HOSTILE),
        "config": config(labels={HOSTILE: HOSTILE}, env={HOSTILE: HOSTILE}, user=HOSTILE),
        "layers": (layer(1, brings=(HOSTILE,)), layer(2, made_by=HOSTILE)),
    }
    stock.keep(1, **parts)
    stock.keep(2, **{**parts, "apt": apt(("b", HOSTILE))})
    stock.shelf.put_test(
        digest(2),
        {"result": "PASSED", "passedTests": [HOSTILE], "vessl_skippedTests": [{"name": HOSTILE, "reason": HOSTILE}]},
    )


def test_words_of_others_are_text_and_nothing_else(stock: Stock) -> None:
    hostile(stock)
    for path, text in files(stock).items():
        if path.endswith(".html"):
            page = Page(text)
            scripts = {attributes.get("src") for tag, attributes in page.tags if tag == "script"}
            assert all(name and re.fullmatch(r"(\.\./)*(assets|data)/[a-z]+\.js", name) for name in scripts), path
            assert not [tag for tag, _ in page.tags if tag in {"img", "iframe", "object", "textarea"}], path
            handlers = [
                name for _, attributes in page.tags for name in attributes if name.startswith("on") or name == "style"
            ]
            assert handlers == [], path
        if path.endswith((".html", ".xml")):
            assert "\u202e" not in text, path
            assert "\x07" not in text, path
    page = Page(files(stock)["images/app/1-r2.html"])
    assert page.text.count('"><script>alert(1)</script><img src=x onerror=alert(2)>') > 10


def test_words_of_others_in_feeds_and_scripts(stock: Stock) -> None:
    hostile(stock)
    found = files(stock)
    feed = ET.fromstring(found["feeds/fam.xml"])  # noqa: S314 - our own
    entries = feed.findall(f"{ATOM}entry")
    assert [entry.findtext(f"{ATOM}title") for entry in entries] == ["app:1-r1 is yanked", "app:1-r2", "app:1-r1"]
    assert '"><script>alert(1)</script>' in (entries[1].findtext(f"{ATOM}summary") or "")
    scripts = {path: text for path, text in found.items() if path.startswith("data/") and path.endswith(".js")}
    assert len(scripts) == 3
    for path, text in scripts.items():
        assert "<" not in text, path
        value = text.split(" = ", 2 if "inventories" in path else 1)[-1].strip().removesuffix(";")
        if path == "data/search.js":
            assert json.loads(value)["revisions"][0][6] == HOSTILE


def test_no_page_asks_another_host_for_anything(stock: Stock) -> None:
    stock.publish(1)
    stock.keep(1)
    loads = {"script": "src", "img": "src", "link": "href", "iframe": "src"}
    for path, text in files(stock).items():
        if path.endswith(".html"):
            for tag, attributes in Page(text).tags:
                value = attributes.get(loads.get(tag, "")) or ""
                assert "//" not in value, f"{path}: {value}"
        if path.startswith("assets/"):
            assert not re.search(r"https?://(?!www\.w3\.org)|@import|url\(", text), path


def test_every_link_leads_somewhere(stock: Stock) -> None:
    for number in (1, 2):
        stock.publish(number)
    stock.publish(1, tag="5", digest=digest(8))
    stock.mark(Yanked, 1)
    stock.keep(2)
    found = files(stock)
    for path, text in found.items():
        if not path.endswith(".html"):
            continue
        ids = {attributes["id"] for _, attributes in Page(text).tags if "id" in attributes}
        for tag, attributes in Page(text).tags:
            href = attributes.get("href") or attributes.get("src") or ""
            if tag not in {"a", "link", "script"} or "://" in href:
                continue
            target, _, fragment = href.partition("#")
            if not target:
                assert fragment in ids, f"{path}: {href}"
                continue
            parts = path.split("/")[:-1]
            for part in target.split("/"):
                parts = parts[:-1] if part == ".." else [*parts, part]
            assert "/".join(parts) in found, f"{path}: {href}"


def test_data_are_as_their_schemas_say(stock: Stock) -> None:
    hostile(stock)
    found = files(stock)
    for path, schema in (
        ("data/catalogue.json", "catalogue"),
        ("data/images/app/1.json", "image"),
        (f"data/inventories/{digest(1).replace(':', '-')}.json", "inventory"),
    ):
        rules = json.loads(found[f"data/{schema}.schema.json"])
        jsonschema.Draft202012Validator.check_schema(rules)
        jsonschema.validate(json.loads(found[path]), rules)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({}, rules)


def test_the_same_data_give_the_same_bytes(stock: Stock, tmp_path: Path) -> None:
    hostile(stock)
    assert files(stock) == files(stock)
    for text in files(stock).values():
        assert str(tmp_path) not in text
