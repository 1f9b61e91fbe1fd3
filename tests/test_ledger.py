"""The ledger: facts are appended, never lost, never changed; what is wrong with one is said with its line."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from scripts.release.ledger import (
    FILENAME,
    Ledger,
    LedgerError,
    append_lines,
    load_ledger,
    load_ledgers,
    parse_ledger,
    render_ledger,
    render_line,
)
from scripts.release.lines import Back, Gone, Published, Smoke, Yanked, broken_rules

ROOT = Path(__file__).resolve().parent.parent
REPOSITORY = "quay.io/vessl-ai/app"


def published(revision: int, **changed: Any) -> Published:
    fields: dict[str, Any] = {
        "repository": REPOSITORY,
        "tag": "1.0",
        "revision": revision,
        "time": "2026-11-25T12:00:00Z",
        "reason": "numpy 2.4.5 to 2.4.6",
        "digest": f"sha256:{revision:064x}",
        "size": 100,
    }
    return Published(**{**fields, **changed})


def mark(kind: type[Yanked | Gone | Back], revision: int) -> Yanked | Gone | Back:
    return kind(
        repository=REPOSITORY, tag="1.0", revision=revision, time="2026-11-25T12:00:00Z", reason="numpy was broken"
    )


FULL = published(
    2,
    recipe="ab" * 32,
    base="sha256:" + "cd" * 32,
    commit="1234567",
    smoke=Smoke(checks="ef" * 32, started="2026-11-25T11:00:00+00:00", passed=70, skipped=1),
    replaces=1,
)


def test_round_trip() -> None:
    lines = (published(1), FULL, mark(Yanked, 2), published(3, digest=published(1).digest, same_as=1, replaces=2))
    ledger = Ledger(lines=lines)
    assert parse_ledger(render_ledger(ledger), "app/revisions.jsonl") == ledger


def test_a_line_says_what_it_is_first_and_leaves_out_what_is_empty() -> None:
    assert list(json.loads(render_line(published(1)))) == [
        "kind",
        "repository",
        "tag",
        "revision",
        "time",
        "reason",
        "digest",
        "size",
    ]


def test_a_last_line_without_its_end_is_a_fact_or_a_fault_if_it_is_whole() -> None:
    text = render_ledger(Ledger(lines=(published(1), published(2)))).rstrip("\n")
    assert [line.revision for line in parse_ledger(text, "app/revisions.jsonl").lines] == [1, 2]
    first, _, last = text.partition("\n")
    with pytest.raises(LedgerError, match=r"^app/revisions.jsonl:2: .*time"):
        parse_ledger(f"{first}\n{last.replace('12:00:00', '24:61:00')}", "app/revisions.jsonl")
    torn = parse_ledger(text[:-1], "app/revisions.jsonl")
    assert (torn.lines, torn.torn) == ((published(1),), last[:-1])


@pytest.mark.parametrize("time", ["2026-02-31T12:00:00Z", "2026-11-25T25:00:00Z", "2026-11-25"])
def test_a_time_that_there_is_not_is_a_fault(time: str) -> None:
    text = render_ledger(Ledger(lines=(published(1),))).replace("2026-11-25T12:00:00Z", time)
    with pytest.raises(LedgerError, match=r"app/revisions.jsonl:1: .*time"):
        parse_ledger(text, "app/revisions.jsonl")


def test_questions() -> None:
    other = published(9, tag="1.0-r2")  # a standard tag never looks so, but the answer must not depend on it
    ledger = Ledger(lines=(published(1), published(4), mark(Yanked, 4), mark(Gone, 1), other))
    assert [line.revision for line in ledger.published(REPOSITORY, "1.0")] == [1, 4]
    assert ledger.published(REPOSITORY, "1") == ()
    assert list(ledger.yanked(REPOSITORY, "1.0")) == [4]
    assert list(ledger.gone(REPOSITORY, "1.0")) == [1]


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ([published(1), published(1)], f"{REPOSITORY}:1.0-r1 is published for the second time"),
        ([published(2), published(1)], f"{REPOSITORY}:1.0-r1 comes after r2: revisions only go up"),
        (
            [published(1), published(2, same_as=1)],
            f"{REPOSITORY}:1.0-r2 is not the same as r1: that has another digest, or never was",
        ),
        ([published(1), mark(Yanked, 1), mark(Yanked, 1)], f"{REPOSITORY}:1.0-r1 is yanked for the second time"),
        ([published(1), mark(Gone, 1), mark(Gone, 1)], f"{REPOSITORY}:1.0-r1 is gone for the second time"),
    ],
)
def test_rules(lines: list[Any], fault: str, tmp_path: Path) -> None:
    with pytest.raises(LedgerError) as raised:
        parse_ledger(render_ledger(Ledger(lines=tuple(lines))), "app/revisions.jsonl")
    assert str(raised.value) == f"app/revisions.jsonl:{len(lines)}: {fault}"
    path = tmp_path / "app" / FILENAME
    for line in lines[:-1]:
        append_lines(path, line)
    before = path.read_text()
    with pytest.raises(LedgerError) as raised:
        append_lines(path, lines[-1])
    assert str(raised.value) == f"app/revisions.jsonl: {fault}"
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ([published(1, replaces=7)], f"{REPOSITORY}:1.0-r1 replaces r7, which was never published"),
        (
            [published(2, same_as=1)],
            f"{REPOSITORY}:1.0-r2 is not the same as r1: that has another digest, or never was",
        ),
        ([mark(Yanked, 1)], f"{REPOSITORY}:1.0-r1 is yanked, but was never published"),
        ([published(1), mark(Back, 1)], f"{REPOSITORY}:1.0-r1 is back, but was not gone"),
    ],
)
def test_what_lines_refer_to_may_stand_in_the_ledger_of_another_family_only(
    lines: list[Any], fault: str, tmp_path: Path
) -> None:
    path = tmp_path / "app" / FILENAME
    append_lines(path, *lines)
    with pytest.raises(LedgerError) as raised:
        load_ledgers([path])
    assert str(raised.value) == f"app/revisions.jsonl: {fault}"


def test_a_row_that_moved_to_another_family_has_one_history(tmp_path: Path) -> None:
    old, new = tmp_path / "old" / FILENAME, tmp_path / "new" / FILENAME
    append_lines(old, published(1), published(2), mark(Gone, 2))
    later = published(3, replaces=1, same_as=1, digest=published(1).digest, time="2026-11-25T12:00:01Z")
    append_lines(new, later, mark(Back, 2), mark(Yanked, 1))
    ledger = load_ledgers([new, old, new])
    assert [line.revision for line in ledger.published(REPOSITORY, "1.0")] == [1, 2, 3]
    assert ledger.gone(REPOSITORY, "1.0") == {}
    assert ledger.homes == {(REPOSITORY, "1.0"): "new"}
    for path in (new, old):
        append_lines(path, published(4, time="2026-11-25T12:00:02Z"))
    with pytest.raises(LedgerError) as raised:
        load_ledgers([old, new])
    assert str(raised.value) == (
        f"new/revisions.jsonl, old/revisions.jsonl: {REPOSITORY}:1.0-r4 is published for the second time"
    )


def test_in_one_family_the_order_of_the_lines_counts_and_not_the_clock(tmp_path: Path) -> None:
    path, other = tmp_path / "app" / FILENAME, tmp_path / "other" / FILENAME
    late = published(1, time="2026-11-25T12:00:09Z")
    append_lines(path, late, mark(Yanked, 1))
    append_lines(other, published(5, tag="2.0", time="2026-11-25T12:00:05Z"))
    assert list(load_ledgers([path, other]).yanked(REPOSITORY, "1.0")) == [1]


def test_two_runs_with_two_out_folders_lose_no_line(tmp_path: Path) -> None:
    path = tmp_path / "app" / FILENAME
    tags = [f"1.{number}" for number in range(24)]
    with ThreadPoolExecutor(max_workers=6) as pool:
        list(pool.map(lambda tag: append_lines(path, published(1, tag=tag)), tags))
    ledger = load_ledger(path)
    assert sorted(line.tag for line in ledger.lines) == sorted(tags)
    assert not list(broken_rules(ledger.lines))


def test_faults_have_lines_and_all_are_told() -> None:
    good = render_line(published(1))
    bad = json.dumps({**json.loads(good), "revision": "2", "digest": "sha256:12", "more": 1})
    text = f"{good}\n{bad}\n<<<<<<< ours\n\nnot JSON\n" + '{"kind": "renamed"}\n'
    with pytest.raises(LedgerError) as raised:
        parse_ledger(text, "app/revisions.jsonl")
    assert str(raised.value).splitlines() == [
        "app/revisions.jsonl:2: revision: Input should be a valid integer",
        "app/revisions.jsonl:2: digest: String should match pattern '^sha256:[0-9a-f]{64}$'",
        "app/revisions.jsonl:2: more: Extra inputs are not permitted",
        "app/revisions.jsonl:3: a merge that was not finished: keep both sides' lines, in the order of their revisions",
        "app/revisions.jsonl:4: Invalid JSON: EOF while parsing a value at line 1 column 0",
        "app/revisions.jsonl:5: Invalid JSON: expected ident at line 1 column 2",
        (
            "app/revisions.jsonl:6: Input tag 'renamed' found using 'kind' does not match any of the expected tags: "
            "'published', 'yanked', 'gone', 'back'"
        ),
    ]


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_is_no_fact_and_the_next_write_drops_it(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "app" / FILENAME
    append_lines(path, published(1))
    whole = path.read_text()
    path.write_text(whole + render_line(published(2))[:-cut])
    ledger = load_ledger(path)
    assert [line.revision for line in ledger.lines] == [1]
    assert ledger.torn == render_line(published(2))[:-cut]
    append_lines(path, published(2))
    assert path.read_text() == whole + render_line(published(2)) + "\n"


def test_a_last_line_that_only_lacks_its_end_is_a_fact(tmp_path: Path) -> None:
    path = tmp_path / "app" / FILENAME
    append_lines(path, published(1))
    path.write_text(path.read_text().rstrip("\n"))
    append_lines(path, published(2))
    assert [line.revision for line in load_ledger(path).lines] == [1, 2]


def test_a_write_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "app" / FILENAME
    append_lines(path, published(1))
    before = path.read_text()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        append_lines(path, published(2))
    assert path.read_text() == before
    assert [item.name for item in path.parent.iterdir()] == [FILENAME]


def test_a_file_that_is_not_there_is_empty_and_one_that_is_no_text_is_a_fault(tmp_path: Path) -> None:
    assert load_ledger(tmp_path / FILENAME) == Ledger()
    (tmp_path / FILENAME).write_bytes(b"\xff\xfe")
    with pytest.raises(LedgerError, match=r"not UTF-8 at byte 0$"):
        load_ledger(tmp_path / FILENAME)
    (tmp_path / "folder").mkdir()
    with pytest.raises(LedgerError, match=r"folder: cannot be read: Is a directory$"):
        load_ledger(tmp_path / "folder")


def test_the_ledgers_of_this_repository_are_whole() -> None:
    for path in ROOT.glob(f"*/{FILENAME}"):
        ledger = load_ledger(path)
        assert path.read_text() == render_ledger(ledger), f"{path.parent.name}: not as it would be written"
