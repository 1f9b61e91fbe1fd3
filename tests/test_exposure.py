"""Known weaknesses fixed and new: only by scans of both images, and what the database did is not the images' doing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from scripts.build.wanted import Severity
from scripts.contents.difference import compare
from scripts.contents.difference_pages import render_difference, render_json, render_markdown
from scripts.contents.difference_words import sentence
from scripts.contents.exposure import Exposure, choose_scans, exposure_line, exposure_words
from scripts.contents.weaknesses import Scan, Weakness
from tests.inventories import apt, digest, inventory

DAY, LATER = "2026-11-20T06:00:00Z", "2026-11-25T06:00:00Z"
OLD, NEW = (inventory(number, apt=apt(("openssl", f"3.0.{number}"))) for number in (1, 2))


def weak(name: str, package: str = "openssl", severity: Severity = Severity.HIGH, *aliases: str) -> Weakness:
    return Weakness(id=name, severity=severity, package=package, version="1", aliases=frozenset(aliases))


def scan(*found: Weakness, scanner: str = "trivy 0.58.1", database: str = DAY, number: int = 1) -> Scan:
    return Scan(image=digest(number), scanner=scanner, database=database, packages=9, found=found)


BOTH = Exposure(
    old=scan(weak("CVE-1"), weak("CVE-2", "libssl3", Severity.CRITICAL), weak("CVE-2", "openssl"), weak("CVE-3")),
    new=scan(weak("CVE-3"), weak("CVE-4", "numpy", Severity.LOW)),
)


def test_fixed_and_new_the_worst_first() -> None:
    assert [(item.id, str(item.severity), item.packages) for item in BOTH.fixed] == [
        ("CVE-2", "critical", ("libssl3", "openssl")),
        ("CVE-1", "high", ("openssl",)),
    ]
    assert [item.id for item in BOTH.added] == ["CVE-4"]
    assert BOTH.both == 1
    assert exposure_line(BOTH) == (
        "Known weaknesses: 2 fixed, 1 new, 1 in both (trivy 0.58.1, its database of 2026-11-20)."
    )
    assert sentence(compare(OLD, NEW, BOTH)) == (
        "1 Debian package updated: openssl; fixes CVE-2 and CVE-1; brings CVE-4"
    )


def test_one_that_is_left_in_another_package_is_not_fixed() -> None:
    found = Exposure(old=scan(weak("CVE-1", "a"), weak("CVE-1", "b")), new=scan(weak("CVE-1", "b")))
    assert (found.fixed, found.added, found.both) == ((), (), 1)
    assert list(exposure_words(found)) == []


def test_a_weakness_goes_by_its_cve_whatever_the_scanner_calls_it() -> None:
    found = Exposure(
        old=scan(weak("GHSA-x", "numpy", Severity.HIGH, "CVE-2026-9"), weak("GHSA-y", "numpy")),
        new=scan(weak("CVE-2026-9", "numpy", Severity.LOW)),
    )
    assert ([item.id for item in found.fixed], found.added, found.both) == (["GHSA-y"], (), 1)


def test_many_are_counted_and_the_worst_of_them_named() -> None:
    found = Exposure(old=scan(*(weak(f"CVE-{number}") for number in range(1, 6))), new=scan())
    assert list(exposure_words(found)) == ["fixes 5 known weaknesses, CVE-1, CVE-2 and CVE-3 among them"]


@pytest.mark.parametrize(
    ("found", "which"),
    [
        (Exposure(), "neither image was"),
        (Exposure(old=scan()), "the new image was not"),
        (Exposure(new=scan()), "the old image was not"),
    ],
)
def test_what_was_not_scanned_is_not_zero(found: Exposure, which: str) -> None:
    line = f"Known weaknesses: not scanned: {which} (invoke scan IMAGE)."
    difference = compare(OLD, NEW, found)
    for page in (render_difference(difference), render_markdown(difference)):
        assert line in page
        assert " 0 " not in page
    raw = json.loads(render_json(difference))["weaknesses"]
    assert (raw["compared"], raw["fixed"], raw["new"], raw["both"], raw["why"]) == (False, None, None, None, line)
    assert sentence(difference) == "1 Debian package updated: openssl"


def test_two_scanners_are_not_compared() -> None:
    found = Exposure(old=scan(weak("CVE-1")), new=scan(scanner="grype 0.90.0"))
    assert exposure_line(found) == (
        "Known weaknesses: not compared: the old image was scanned by trivy 0.58.1, the new one by grype 0.90.0."
    )
    assert (found.fixed, list(exposure_words(found))) == ((), [])


def test_another_database_is_said_and_is_no_reason_for_a_revision() -> None:
    found = Exposure(old=scan(), new=scan(weak("CVE-1"), database=LATER))
    assert [item.id for item in found.added] == ["CVE-1"]
    assert "database of 2026-11-20" in exposure_line(found)
    assert "that of 2026-11-25: some may differ for that alone" in exposure_line(found)
    assert list(exposure_words(found)) == []


@pytest.mark.parametrize(
    ("old", "new", "chosen"),
    [
        # The pair with one database, though there are newer ones of each.
        (["trivy 1|1", "trivy 1|3"], ["trivy 1|1", "trivy 1|2"], ("trivy 1|1", "trivy 1|1")),
        (["trivy 1|1", "trivy 1|2"], ["trivy 1|1", "trivy 1|2"], ("trivy 1|2", "trivy 1|2")),
        (["trivy 1|1", "grype 1|9"], ["trivy 2|2"], ("trivy 1|1", "trivy 2|2")),
        (["trivy 1|1", "trivy 1|2"], ["grype 1|1"], ("trivy 1|2", "grype 1|1")),
        ([], ["trivy 1|1"], (None, "trivy 1|1")),
        ([], [], (None, None)),
    ],
)
def test_of_several_scans_those_are_compared_that_say_most(
    old: list[str], new: list[str], chosen: tuple[str | None, str | None]
) -> None:
    def scans(words: list[str]) -> list[Scan]:
        return [scan(scanner=word.split("|")[0], database=word.split("|")[1]) for word in words]

    found = choose_scans(scans(old), scans(new))
    assert tuple(item and f"{item.scanner}|{item.database}" for item in (found.old, found.new)) == chosen


def test_the_pages() -> None:
    difference = compare(OLD, NEW, BOTH)
    table = render_difference(difference)
    assert "Known weaknesses\nid     severity    state    in\n" in table
    assert "CVE-2  critical    fixed    libssl3, openssl\n" in table
    assert "CVE-4  low         new      numpy" in table
    assert "| CVE-4 | low | new | numpy |" in render_markdown(difference)
    raw = json.loads(render_json(difference))["weaknesses"]
    assert raw["fixed"][0] == {"id": "CVE-2", "severity": "critical", "packages": ["libssl3", "openssl"]}
    assert raw["scans"]["old"] == {"scanner": "trivy 0.58.1", "database": DAY}
    assert (raw["compared"], raw["same_database"], raw["both"]) == (True, True, 1)


def test_words_of_a_strange_scan_do_nothing_to_a_terminal_and_fit() -> None:
    bad: Any = "CVE-\x1b[2J" + "x" * 90
    found = Exposure(old=scan(weak(bad, "p" * 90)), new=replace(scan(), database=DAY))
    page = render_difference(compare(OLD, NEW, found))
    assert all(char.isprintable() or char == "\n" for char in page)
    assert max(map(len, page[page.index("\nKnown weaknesses\n") :].splitlines())) <= 80
