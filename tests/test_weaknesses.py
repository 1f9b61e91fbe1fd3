"""What a scan found, as a document: the same bytes for the same findings, and nothing else is taken for one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from scripts.build.wanted import Severity
from scripts.contents.weaknesses import Scan, Weakness, parse_scan, render_scan
from scripts.errors import UsageError
from tests.inventories import digest

ONE = Weakness(id="CVE-2026-1", severity=Severity.HIGH, package="openssl", version="3.0.16", fixed="3.0.17")
TWO = Weakness(
    id="GHSA-a",
    severity=Severity.LOW,
    package="numpy",
    version="2.4.5",
    aliases=frozenset({"CVE-2026-3", "CVE-2026-2"}),
)
SCAN = Scan(
    image=digest(1), scanner="trivy 0.58.1", database="2026-11-20T06:00:00Z", packages=2, found=(ONE, TWO)
)  # fmt: skip


def test_a_document_is_read_as_it_was_written() -> None:
    assert parse_scan(render_scan(SCAN), "x") == SCAN
    assert SCAN.program == "trivy"


def test_the_order_in_which_a_scanner_tells_makes_no_difference() -> None:
    other = replace(SCAN, found=(replace(TWO, aliases=frozenset({"CVE-2026-2", "CVE-2026-3"})), ONE))
    assert render_scan(other) == render_scan(SCAN)
    assert render_scan(SCAN).startswith(b'{"database":"2026-11-20T06:00:00Z","found":[{"aliases":[]')
    assert render_scan(SCAN).endswith(b"}\n")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schema": "other"}, 'x: not what a scan found: expected JSON with "schema": "ai.vessl.images.scan"'),
        ({"version": 2}, "x: a scan of version 2, this tool knows 1: update it"),
        ({"found": None}, "x: not what a scan found: found: input should be a valid tuple"),
        ({"packages": "many"}, "x: not what a scan found: packages: input should be a valid integer"),
        ({"found": [{"id": "C"}]}, "x: not what a scan found: found.0.severity: field required"),
    ],
)
def test_something_else_is_refused_with_its_place(change: dict[str, Any], told: str) -> None:
    raw = {**json.loads(render_scan(SCAN)), **change}
    with pytest.raises(UsageError) as caught:
        parse_scan(json.dumps(raw).encode(), "x")
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"schema', b"\xff\xfe"])
def test_bytes_that_are_none_are_refused(content: bytes) -> None:
    with pytest.raises(UsageError, match=r"^x: not what a scan found: "):
        parse_scan(content, "x")
