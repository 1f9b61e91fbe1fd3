"""The policy of a scan: what counts, what is let pass until when, and a file with faults."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest

from scripts.build.wanted import Scan, Severity
from scripts.contents.weaknesses import Weakness
from scripts.recipe.faults import ManifestError
from scripts.release.scan_policy import Policy, Verdict, judge, load_policy, unused

if TYPE_CHECKING:
    from pathlib import Path

TODAY = datetime.date(2026, 11, 26)
BAD = Weakness(id="CVE-2026-1", severity=Severity.HIGH, package="openssl", version="3.0.16", fixed="3.0.17")


def load(tmp_path: Path, text: str) -> Policy:
    path = tmp_path / "fam" / "scan.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return load_policy(path)


def policy(tmp_path: Path, until: str, more: str = "") -> Policy:
    return load(tmp_path, f'[[allow]]\nid = "CVE-2026-1"\nreason = "not reached"\nuntil = {until}\n{more}\n')


def verdict(weakness: Weakness, rules: Policy, wanted: Scan | None = None) -> tuple[Verdict, str]:
    (item,) = judge([weakness], rules, wanted or Scan(), TODAY)
    return item.verdict, item.why


def test_what_is_bad_enough_and_has_a_fix_counts() -> None:
    assert verdict(BAD, Policy()) == (Verdict.COUNTS, "fixed in 3.0.17")


@pytest.mark.parametrize(
    ("severity", "wanted", "expected"),
    [
        (Severity.MEDIUM, Severity.HIGH, (Verdict.MINOR, "below high")),
        (Severity.MEDIUM, Severity.MEDIUM, (Verdict.COUNTS, "fixed in 3.0.17")),
        (Severity.CRITICAL, Severity.HIGH, (Verdict.COUNTS, "fixed in 3.0.17")),
        (Severity.UNKNOWN, Severity.LOW, (Verdict.MINOR, "severity unknown")),
    ],
)
def test_the_threshold(severity: Severity, wanted: Severity, expected: tuple[Verdict, str]) -> None:
    weakness = Weakness(id="C", severity=severity, package="p", version="1", fixed="3.0.17")
    assert verdict(weakness, Policy(), Scan(severity=wanted)) == expected


def test_what_nobody_has_fixed_counts_only_where_it_is_to() -> None:
    weakness = Weakness(id="C", severity=Severity.HIGH, package="p", version="1")
    assert verdict(weakness, Policy()) == (Verdict.UNFIXED, "no fix yet")
    assert verdict(weakness, Policy(), Scan(unfixed=True)) == (Verdict.COUNTS, "no fix yet")


def test_let_pass_to_the_last_day_and_not_longer(tmp_path: Path) -> None:
    assert verdict(BAD, policy(tmp_path / "a", "2026-11-26")) == (Verdict.ALLOWED, "until 2026-11-26: not reached")
    over = (Verdict.EXPIRED, "allowed until 2026-11-25, which is over; fixed in 3.0.17")
    assert verdict(BAD, policy(tmp_path / "b", "2026-11-25")) == over


def test_in_one_package_only_and_by_another_name(tmp_path: Path) -> None:
    rules = policy(tmp_path / "a", "2027-01-01", 'package = "libssl3"')
    assert verdict(BAD, rules)[0] is Verdict.COUNTS
    alias = Weakness(
        id="GHSA-1",
        severity=Severity.HIGH,
        package="libssl3",
        version="1",
        fixed="2",
        aliases=frozenset({"CVE-2026-1"}),
    )
    assert verdict(alias, rules)[0] is Verdict.ALLOWED
    assert unused([alias], rules) == ()
    assert [entry.id for entry in unused([BAD], rules)] == ["CVE-2026-1"]


def test_the_worst_first(tmp_path: Path) -> None:
    found = [
        Weakness(id=f"C{number}", severity=severity, package="p", version="1", fixed="2")
        for number, severity in enumerate((Severity.LOW, Severity.HIGH, Severity.CRITICAL))
    ]
    rules = load(tmp_path, '[[allow]]\nid = "C2"\nreason = "r"\nuntil = 2027-01-01\n')
    assert [item.weakness.id for item in judge(found, rules, Scan(), TODAY)] == ["C1", "C2", "C0"]


def test_no_file_lets_nothing_pass(tmp_path: Path) -> None:
    assert load_policy(tmp_path / "scan.toml") == Policy()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[allow", "fam/scan.toml: not TOML: "),
        ('[[allow]]\nid = "C"\nuntil = 2027-01-01', "fam/scan.toml: allow[0].reason: missing, and it has no default"),
        ('[[allow]]\nid = "C"\nreason = "r"', "fam/scan.toml: allow[0].until: missing, and it has no default"),
        (
            '[[allow]]\nid = "C"\nreason = "r"\nuntil = "2027"',
            "fam/scan.toml: allow[0].until: expected a date such as 2025-10-31, got string 2027",
        ),
        (
            '[[allow]]\nid = "C"\nreason = ""\nuntil = 2027-01-01',
            "fam/scan.toml: allow[0].reason: expected some text, got none",
        ),
        (
            '[[allow]]\nid = "C"\nreasn = "r"\nreason = "r"\nuntil = 2027-01-01',
            'fam/scan.toml: allow[0].reasn: unknown key, did you mean "reason"?',
        ),
    ],
)
def test_a_file_with_faults(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ManifestError) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(said)
    assert caught.value.exit_code == 2
