"""The table fits in 80 columns, says everything that failed, and what the whole took."""

from __future__ import annotations

import json
from dataclasses import replace

from scripts.smoke.record import Outcome
from scripts.smoke.report import render_line, render_record
from tests.conftest import DIGEST
from tests.test_smoke_record import RECORD, RESULT

LONG = "libnothing.so.1 wanted by /opt/venv/lib/python3.11/site-packages/torch/lib/libtorch_python.so and 12 others"
RESULTS = (
    RESULT,
    replace(RESULT, check="declared.torch", outcome=Outcome.FAIL, measured="2.3.0", expected="2.3.1", reason="differs"),
    replace(RESULT, check="files.libraries-resolve-in-a-long-name[x]", measured=LONG, expected="all\nof them"),
    replace(RESULT, check="gpu.matmul", outcome=Outcome.SKIP, measured="", reason="no GPU in this engine"),
)


def test_table() -> None:
    text = render_record(
        replace(RECORD, results=RESULTS, outcome=Outcome.FAIL, facts={"workspace start seconds": 1.9}, stand_in=True)
    )
    head, _, tail = text.partition("\n\n")
    assert max(map(len, head.splitlines())) <= 80
    assert "declared.torch" in head
    assert tail.splitlines() == [
        "FAIL declared.torch: differs",
        "SKIP gpu.matmul: no GPU in this engine",
        f"app:1 (built here, {DIGEST}): FAIL: 2 PASS, 1 FAIL, 1 SKIP",
        "all checks took 12.3 s (aim 60 s); a workspace answered after 1.9 s (limit 3 s)",
        "built on a stand-in base: what the base itself claims was not tested",
    ]


def test_what_is_expected_is_shown_only_where_it_is_something_else() -> None:
    rows = render_record(RECORD).splitlines()
    assert rows[2].split() == ["a.b", "PASS", "1", "0.1"]


def test_json_is_one_line() -> None:
    line = render_line(RECORD)
    assert "\n" not in line
    assert json.loads(line)["results"][0]["measured"] == "1"
    assert json.loads(line)["outcome"] == "PASS"
