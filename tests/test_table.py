"""Rows as a table and as JSON."""

from __future__ import annotations

import datetime
import json

from scripts.table import render_json, render_table

ROW = {
    "id": "a:1",
    "gpu": True,
    "platforms": ["linux/amd64", "linux/arm64"],
    "versions": {"python": "3.10"},
    "why": None,
}


def test_json_has_every_key_of_every_row_and_dates_as_text() -> None:
    rows = [{**ROW, "since": datetime.date(2025, 10, 31), "word": "é"}, ROW]
    text = render_json(iter(rows))
    assert json.loads(text) == [{**ROW, "since": "2025-10-31", "word": "é"}, ROW]
    assert "é" in text


def test_json_of_no_rows_is_an_empty_array() -> None:
    assert json.loads(render_json([])) == []


def test_a_table_shows_the_columns_in_their_order_and_numbers_as_they_are() -> None:
    assert render_table(
        [ROW, {**ROW, "gpu": False}], {"gpu": None, "id": None, "versions": None, "platforms": None}
    ) == (
        "gpu    id    versions     platforms\n"
        "-----  ----  -----------  -----------------------\n"
        "yes    a:1   python=3.10  linux/amd64 linux/arm64\n"
        "no     a:1   python=3.10  linux/amd64 linux/arm64"
    )


def test_a_version_that_looks_like_a_number_keeps_its_last_zero() -> None:
    assert render_table([{"v": "3.10"}], {"v": None}).splitlines()[-1] == "3.10"


def test_nothing_is_shown_for_none() -> None:
    assert render_table([{"a": None, "b": "x"}], {"a": None, "b": None}).splitlines()[-1].split() == ["x"]


def test_a_wide_cell_is_wrapped_at_its_width() -> None:
    lines = render_table([{"why": "one two three four"}], {"why": 9}).splitlines()
    assert lines[2:] == ["one two", "three", "four"]
