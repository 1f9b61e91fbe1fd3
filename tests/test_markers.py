"""Tables between markers: replaced, and nothing else; every way in which the markers can be wrong is said with its line."""

from __future__ import annotations

import pytest

from scripts.catalogue.markers import MarkerError, begin, end, replace_tables

BEGIN, END = begin("images"), end("images")
TABLES = {"images": "| a |\n| --- |"}
DOCUMENT = f"# Title\n\nBefore.\n{BEGIN}\n{END}\nAfter, without a line break at the end."


def refused(text: str, tables: dict[str, str] = TABLES) -> str:
    with pytest.raises(MarkerError) as caught:
        replace_tables(text, tables, "fam/README.md")
    return str(caught.value)


def test_a_table_takes_the_place_between_its_markers() -> None:
    assert replace_tables(DOCUMENT, TABLES, "x") == (
        f"# Title\n\nBefore.\n{BEGIN}\n\n| a |\n| --- |\n\n{END}\nAfter, without a line break at the end."
    )


def test_what_was_there_before_is_gone_and_a_second_time_changes_nothing() -> None:
    once = replace_tables(DOCUMENT, TABLES, "x")
    assert replace_tables(once, TABLES, "x") == once
    assert replace_tables(once, {"images": "none"}, "x") == DOCUMENT.replace(END, f"\nnone\n\n{END}")


def test_several_tables_in_any_order() -> None:
    text = f"{begin('b')}\nold\n{end('b')}\n{begin('a')}\n{end('a')}\n"
    assert replace_tables(text, {"a": "A", "b": "B"}, "x") == (
        f"{begin('b')}\n\nB\n\n{end('b')}\n{begin('a')}\n\nA\n\n{end('a')}\n"
    )


def test_the_words_for_people_in_a_marker_may_be_others_and_line_ends_too() -> None:
    text = "<!-- table images: do as you like -->\r\nold\r\n<!-- end of table images -->\r\nrest\r\n"
    assert replace_tables(text, TABLES, "x") == (
        "<!-- table images: do as you like -->\r\n\n| a |\n| --- |\n\n<!-- end of table images -->\r\nrest\r\n"
    )


def test_a_document_without_markers_is_told_what_to_put_in() -> None:
    assert refused("# Title\n") == (
        "fam/README.md: no place for the table images: put in <!-- table images: written by invoke tables, do not edit"
        " -->\nand below it <!-- end of table images -->"
    )


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ((BEGIN, "x"), f"fam/README.md:1: the table images does not end: expected {END}"),
        (("x", END, BEGIN), "fam/README.md:2: the table images ends here, and has not begun"),
        ((BEGIN, BEGIN, END), "fam/README.md:2: the table images begins here, and the table images has not ended"),
        ((BEGIN, END, BEGIN, END), "fam/README.md:3: the table images begins here, and the table images was there already"),
        ((begin("image"), END), 'fam/README.md:1: this document has no table "image", did you mean "images"?'),
    ],
)  # fmt: skip
def test_markers_that_are_no_pair(lines: tuple[str, ...], sentence: str) -> None:
    assert refused("\n".join(lines)) == sentence


def test_markers_that_cross() -> None:
    crossed = "\n".join((begin("a"), begin("b"), end("a"), end("b")))
    assert (
        refused(crossed, {"a": "", "b": ""})
        == "fam/README.md:2: the table b begins here, and the table a has not ended"
    )
