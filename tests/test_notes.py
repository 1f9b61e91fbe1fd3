"""The release notes of a family say what its ledger says, newest first, and nothing that Markdown would take for its own."""

from __future__ import annotations

from pathlib import Path

from scripts.recipe.matrix import load_families
from scripts.release.ledger import FILENAME as LEDGER
from scripts.release.ledger import Ledger, load_ledger
from scripts.release.lines import PlatformImage, Published, Smoke, Yanked
from scripts.release.notes import FILENAME, HEAD, record, render_notes
from tests.test_ledger import FULL, mark, published

ROOT = Path(__file__).resolve().parent.parent


def test_newest_first_by_day(tmp_path: Path) -> None:
    path = tmp_path / "app" / LEDGER
    record(
        path,
        published(
            1,
            smoke=Smoke(checks="a", started="2026-11-24T11:00:00+00:00", passed=1, skipped=0),
            time="2026-11-24T12:00:00Z",
        ),
    )
    record(path, FULL, mark(Yanked, 2))
    record(path, published(3, digest=published(1).digest, same_as=1, replaces=2, reason="r2 is yanked: numpy <broken>"))
    assert (tmp_path / "app" / FILENAME).read_text() == (
        HEAD
        + f"""
## 2026-11-25

- **app:1.0-r3**: r2 is yanked: numpy \\<broken\\>
  `{published(1).digest}` (replaces r2, 0 MB, the same as r1, published without a smoke test)
- **app:1.0-r2** is yanked: numpy was broken
- ~~**app:1.0-r2**~~: numpy 2.4.5 to 2.4.6
  `{FULL.digest}` (replaces r1, 0 MB)
  Yanked on 2026-11-25: numpy was broken

## 2026-11-24

- **app:1.0-r1**: numpy 2.4.5 to 2.4.6
  `{published(1).digest}` (0 MB)
"""
    )


def test_what_was_adopted_says_so() -> None:
    line: Published = published(1, adopted=True)
    assert render_notes(Ledger(lines=(line,))).endswith("(0 MB, adopted)\n")


def test_a_family_without_revisions_has_no_notes() -> None:
    assert render_notes(Ledger()) == HEAD


def test_the_notes_of_each_family_are_those_of_its_ledger() -> None:
    wrong = []
    for family in load_families(ROOT):
        ledger, notes = family.path / LEDGER, family.path / FILENAME
        wanted = render_notes(load_ledger(ledger)) if ledger.exists() else None
        if (notes.read_text(encoding="utf-8") if notes.exists() else None) != wanted:
            wrong.append(family.name)
    assert wrong == []


def test_the_platforms_of_an_index_are_named_and_those_that_were_not_tested() -> None:
    smoke = Smoke(checks="a", started="2026-11-24T11:00:00+00:00", passed=1, skipped=0)
    amd64 = PlatformImage(platform="linux/amd64", digest=FULL.digest, size=1, smoke=smoke)
    arm64 = PlatformImage(platform="linux/arm64", digest=FULL.digest, size=1, untested="no such engine")
    notes = render_notes(Ledger(lines=(published(1, platforms=(amd64, arm64)),)))
    assert notes.endswith("(0 MB, linux/amd64, linux/arm64 not tested)\n")
    nothing = arm64.model_copy(update={"platform": "linux/amd64"})
    assert "not tested, published without a smoke test)" in render_notes(
        Ledger(lines=(published(1, platforms=(nothing, arm64)),))
    )
