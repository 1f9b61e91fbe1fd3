"""A difference as people and programs get it."""

from __future__ import annotations

import json

import pytest

from scripts.contents.difference import Difference, compare
from scripts.contents.difference_pages import PAGES, render_difference, render_json, render_markdown
from scripts.contents.inventory_page import render_page
from tests.inventories import apt, config, inventory, layer, python


@pytest.fixture
def found() -> Difference:
    old = inventory(
        1,
        python=python(("numpy", "2.4.5", True), ("six", "1.16")),
        apt=apt(("libssl3", "3.0.1-1", "openssl")),
        layers=(layer(1, 60_000_000), layer(2, 40_000_000)),
    )
    new = inventory(
        2,
        python=python(("numpy", "2.4.6", True), ("six", "1.15")),
        apt=apt(("libssl3", "3.0.2-1", "openssl"), ("a_b*c|d", "1")),
        config=config(env={"PATH": "/bin", "NEW": "x|y"}),
        layers=(layer(1, 60_000_000), layer(3, 41_500_000, brings=("scipy", "six", "numpy", "a"))),
    )
    return compare(old, new)


def test_the_table(found: Difference) -> None:
    assert (
        render_difference(found)
        == """\
numpy 2.4.5 to 2.4.6; 1 other Python package downgraded: six; 1 Debian package
updated, 1 added, openssl among them; environment variable NEW added.

Who has the old image pulls 42 MB of 102 MB: 1 of 2 layers are there.

Known weaknesses: not scanned: neither image was (invoke scan IMAGE).

Python packages
what               before    now
-----------------  --------  -----
numpy (asked for)  2.4.5     2.4.6
six (downgraded)   1.16      1.15

Debian packages
what     before    now
-------  --------  -------
libssl3  3.0.1-1   3.0.2-1
a_b*c|d            1

Settings
what     before    now
-------  --------  -----
env NEW            x|y

Layers
MB    state    made by
----  -------  -----------------------
60.0  same     RUN step 1
41.5  new      numpy, scipy and 2 more
40.0  gone     RUN step 2"""
    )


def test_markdown_is_one_for_release_notes(found: Difference) -> None:
    assert (
        render_markdown(found)
        == r"""numpy 2.4.5 to 2.4.6; 1 other Python package downgraded: six; 1 Debian package updated, 1 added, openssl among them; environment variable NEW added.

Who has the old image pulls 42 MB of 102 MB: 1 of 2 layers are there.

Known weaknesses: not scanned: neither image was (invoke scan IMAGE).

### Python packages

| what | before | now |
|---|---|---|
| numpy (asked for) | 2.4.5 | 2.4.6 |
| six (downgraded) | 1.16 | 1.15 |

### Debian packages

| what | before | now |
|---|---|---|
| libssl3 | 3.0.1-1 | 3.0.2-1 |
| a\_b\*c\|d |  | 1 |

### Settings

| what | before | now |
|---|---|---|
| env NEW |  | x\|y |

### Layers

| MB | state | made by |
|---|---|---|
| 60.0 | same | RUN step 1 |
| 41.5 | new | numpy, scipy and 2 more |
| 40.0 | gone | RUN step 2 |"""
    )


def test_json_has_all_of_it(found: Difference) -> None:
    raw = json.loads(render_json(found))
    assert raw["sentence"].startswith("numpy 2.4.5 to 2.4.6; ")
    assert (raw["old"]["digest"][-1], raw["new"]["digest"][-1]) == ("1", "2")
    assert (raw["old"]["size"], raw["new"]["size"]) == (100_000_000, 101_500_000)
    assert raw["python"][0] == {
        "name": "numpy", "old": "2.4.5", "new": "2.4.6", "kind": "upgraded", "step": "patch", "direct": True,
        "source": "", "where": "/opt/venv",
    }  # fmt: skip
    assert [item["kind"] for item in raw["apt"]] == ["upgraded", "added"]
    assert raw["settings"] == [{"part": "env", "name": "NEW", "old": None, "new": "x|y"}]
    assert (raw["layers"]["pull"], raw["layers"]["shared"]) == (41_500_000, 1)
    assert [(row["size"], row["state"]) for row in raw["layers"]["rows"]] == [
        (60_000_000, "same"),
        (41_500_000, "new"),
        (40_000_000, "gone"),
    ]


def test_of_an_image_and_itself_there_is_a_sentence_and_nothing_else() -> None:
    same = compare(inventory(), inventory())
    expected = (
        "nothing a user can see.\n\nNothing to pull for who has the old image: all 2 layers are there.\n\n"
        "Known weaknesses: not scanned: neither image was (invoke scan IMAGE)."
    )
    assert render_difference(same) == render_markdown(same) == expected
    assert json.loads(render_json(same))["python"] == []


def test_words_of_a_strange_image_do_nothing_to_a_terminal() -> None:
    strange = inventory(apt=apt(("a\x1b[2J\x07\u202eb", "1\x9b2J")))
    page = render_page(strange)
    for text in (
        render_difference(compare(inventory(), strange)),
        render_markdown(compare(strange, inventory())),
        page,
    ):
        assert "1" in text
        assert all(char.isprintable() or char == "\n" for char in text)


def test_labels_are_in_the_json_only() -> None:
    labelled = compare(inventory(), inventory(config=config(labels={"a": "1"})))
    assert "Settings" not in render_difference(labelled)
    assert json.loads(PAGES["json"](labelled))["settings"] == [{"part": "labels", "name": "a", "old": None, "new": "1"}]


def test_places_that_nobody_would_look_at_are_told() -> None:
    def of(version: str) -> Difference:
        more = python(("pip", version), path="/usr/local").environments
        return compare(inventory(), inventory(python=python(("pip", "1"), more=more)))

    assert "/opt/venv" not in render_difference(of("2"))
    assert "pip (/usr/local)" in render_difference(of("2"))


def test_tables_fit_into_80_columns(found: Difference) -> None:
    long = compare(
        inventory(apt=apt(("a" * 60, "1" * 60)), layers=(layer(1, made_by="RUN " + "x" * 200),)),
        inventory(
            apt=apt(("a" * 60, "2" * 60)),
            config=config(env={"B" * 50: "c" * 200}),
            layers=(layer(2, made_by="y " * 99),),
        ),
    )
    for difference in (found, long):
        lines = render_difference(difference).splitlines()
        assert max(map(len, lines)) <= 80
