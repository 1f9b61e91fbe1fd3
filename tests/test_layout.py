"""The product on disk: what counts as built, and what never does."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from scripts.build import layout
from scripts.build.layout import (
    Descriptor,
    Record,
    directory_of,
    finish,
    load_record,
    partial,
    read_descriptor,
    seed,
    size_of,
)
from scripts.errors import BuildError

from .conftest import DIGEST

RECORD = Record(
    id="torch:2.3.1-cuda12.1",
    digest=DIGEST,
    size=3,
    recipe={"base": "sha256:1"},
    base="sha256:1",
    stand_in=False,
    commit="c",
    epoch=1,
)


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def blobs_of(layout: Path) -> dict[str, str]:
    """Blobs by their digest, which each must have as its name."""
    found = {path.name: path.read_text() for path in (layout / "blobs" / "sha256").iterdir()}
    assert all(digest_of(text) == name for name, text in found.items())
    return found


def put_layout(work: Path, text: str = "one") -> None:
    blobs = work / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (blobs / digest_of(text)).write_text(text)
    for name in ("oci-layout", "index.json"):
        (work / name).touch()


def build(out: Path, text: str = "one", record: Record = RECORD) -> Path:
    with partial(out, record.id) as work:
        put_layout(work, text)
        return finish(out, work, record)


def names(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir())


@pytest.fixture
def dead() -> int:
    """The number of a process that is no more."""
    with subprocess.Popen([sys.executable, "-IS", "-c", ""]) as process:
        process.wait()
    return process.pid


def test_a_finished_layout_stands_under_its_id_with_its_record(tmp_path: Path) -> None:
    final = build(tmp_path / "out")
    assert final == directory_of(tmp_path / "out", RECORD.id) == tmp_path / "out" / "torch_2.3.1-cuda12.1"
    assert load_record(tmp_path / "out", RECORD.id) == RECORD
    assert names(tmp_path / "out") == ["torch_2.3.1-cuda12.1"]


def test_a_layout_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    build(tmp_path)
    final = build(tmp_path, "two", replace(RECORD, commit="d"))
    assert list(blobs_of(final).values()) == ["two"]
    found = load_record(tmp_path, RECORD.id)
    assert found is not None
    assert found.commit == "d"
    assert len(names(tmp_path)) == 1


def test_what_was_not_finished_is_removed_and_the_one_before_kept(tmp_path: Path) -> None:
    final = build(tmp_path)

    def interrupted() -> None:
        with partial(tmp_path, RECORD.id) as work:
            put_layout(work, "half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(blobs_of(final).values()) == ["one"]
    assert len(names(tmp_path)) == 1


def test_an_interruption_while_layouts_are_exchanged_keeps_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    final = build(tmp_path)
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if target == final and not self.name.endswith(".old"):
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, "two")
    assert list(blobs_of(final).values()) == ["one"]
    assert len(names(tmp_path)) == 1


def test_an_interruption_before_there_is_one_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path)
    assert names(tmp_path) == []


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_works_on_is_not(tmp_path: Path, dead: int) -> None:
    mine = f".torch_2.3.1-cuda12.1.{os.getppid()}"
    for name in (f".torch_2.3.1-cuda12.1.{dead}", f".torch_2.3.1-cuda12.1.{dead}.old", mine, ".torch_2.3.1-cuda12.4.1"):
        (tmp_path / name).mkdir()
    with partial(tmp_path, RECORD.id) as work:
        assert work == tmp_path / f".torch_2.3.1-cuda12.1.{os.getpid()}"
    assert names(tmp_path) == sorted([mine, ".torch_2.3.1-cuda12.4.1"])


def test_a_process_of_another_user_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert layout._alive(1)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b'{"id": "torch:2.3.1-cuda12.1"}',
        json.dumps({**asdict(RECORD), "more": 1}).encode(),
        json.dumps({**asdict(RECORD), "recipe": None}).encode(),
        json.dumps({**asdict(RECORD), "id": "torch:9"}).encode(),
    ],
)
def test_a_record_that_is_not_whole_counts_as_not_built(tmp_path: Path, text: bytes) -> None:
    (build(tmp_path) / "build.json").write_bytes(text)
    assert load_record(tmp_path, RECORD.id) is None


def test_a_layout_without_a_record_or_no_layout_counts_as_not_built(tmp_path: Path) -> None:
    assert load_record(tmp_path / "none", RECORD.id) is None
    (build(tmp_path) / "build.json").unlink()
    assert load_record(tmp_path, RECORD.id) is None
    (tmp_path / "a_1").touch()
    assert load_record(tmp_path, "a:1") is None


def test_the_one_descriptor_of_an_index_is_read(tmp_path: Path) -> None:
    entry = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": DIGEST, "size": 7}
    (tmp_path / "index.json").write_text(json.dumps({"manifests": [entry]}))
    assert read_descriptor(tmp_path) == Descriptor(media_type=entry["mediaType"], digest=DIGEST, size=7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("{}", "'manifests'"),
        ('{"manifests": []}', "not enough values to unpack (expected 1, got 0)"),
        ('{"manifests": [{}, {}]}', "too many values to unpack (expected 1)"),
        ('{"manifests": [{}]}', "'mediaType'"),
        ('{"manifests": [1]}', "'int' object is not subscriptable"),
    ],
)
def test_a_directory_that_is_no_layout_of_one_image_is_refused(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(BuildError) as caught:
        read_descriptor(tmp_path)
    assert str(caught.value) == f"{tmp_path}: not an OCI layout of one image: {why}"
    assert caught.value.exit_code == 3


def test_a_directory_without_an_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError) as caught:
        read_descriptor(tmp_path)
    why = f"[Errno 2] No such file or directory: '{tmp_path}/index.json'"
    assert str(caught.value) == f"{tmp_path}: not an OCI layout of one image: {why}"


def test_the_size_is_that_of_all_blobs(tmp_path: Path) -> None:
    final = build(tmp_path, "12345")
    (final / "blobs" / "sha256" / ("1" * 64)).write_text("678")
    assert size_of(final) == 8


def test_a_blob_that_another_image_has_too_is_on_the_disk_once(tmp_path: Path) -> None:
    name = digest_of("one")
    first = build(tmp_path) / "blobs" / "sha256" / name
    second = build(tmp_path, record=replace(RECORD, id="cuda:12.1")) / "blobs" / "sha256" / name
    assert first.samefile(second)
    assert second.read_text() == "one"


def test_a_blob_that_another_image_has_half_of_is_kept_whole(tmp_path: Path) -> None:
    half = build(tmp_path) / "blobs" / "sha256" / digest_of("one")
    half.write_text("o")
    final = build(tmp_path, record=replace(RECORD, id="cuda:12.1"))
    assert list(blobs_of(final).values()) == ["one"]


def test_images_that_share_a_blob_are_built_again_together_and_leave_nothing_beside_it(tmp_path: Path) -> None:
    """Each begins with the blobs of the build before it, which are the same files already."""
    records = [replace(RECORD, id=f"torch:{number}") for number in (1, 2, 3)]
    for record in records:
        build(tmp_path, record=record)
    for record in records[:2]:
        with partial(tmp_path, record.id) as work:
            seed(tmp_path, record.id, work)
            for name in ("oci-layout", "index.json"):
                (work / name).touch()
            finish(tmp_path, work, record)
    layouts = [directory_of(tmp_path, record.id) for record in records]
    assert [list(blobs_of(layout).values()) for layout in layouts] == [["one"]] * 3
    assert len({(layout / "blobs" / "sha256" / digest_of("one")).stat().st_ino for layout in layouts}) == 1
