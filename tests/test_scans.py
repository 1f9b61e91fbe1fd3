"""Scans that are kept and attached, and what ``invoke diff`` and ``push`` make of them, as people run them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from scripts.build.wanted import Severity
from scripts.contents.weaknesses import MEDIA_TYPE, Scan, Weakness, render_scan
from scripts.recipe.matrix import expand_all, load_families
from scripts.release.attestations import Document, attach_document
from scripts.release.referrers import list_referrers
from scripts.release.sbom import CYCLONEDX_TYPE
from scripts.release.scans import attached_scans, keep_scan, kept_scans, newest_scan
from scripts.smoke.record import hash_checks, save_record
from tests.faulty_registry import FaultyRegistry, connect, say
from tests.images import make_image, publish
from tests.inventories import digest
from tests.test_examine import SBOM, put_grype
from tests.test_named import NEW, OLD, PYTHON, VENV, built
from tests.test_scanners import GRYPE
from tests.test_smoke_record import RECORD

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.release.registry import Manifest
    from tests.conftest import Tasks
    from tests.images import Layout

SCAN = Scan(
    image=digest(1),
    scanner="trivy 0.58.1",
    database="2026-11-20T06:00:00Z",
    packages=2,
    found=(Weakness(id="CVE-2026-1", severity=Severity.HIGH, package="numpy", version="1"),),
)


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as made:
        yield made


@pytest.fixture
def layouts(tmp_path: Path) -> tuple[Layout, Layout]:
    return make_image(tmp_path / "old", *OLD, PYTHON, **VENV), make_image(tmp_path / "new", *NEW, PYTHON, **VENV)


def digest_of(layout: Layout) -> str:
    found: str = json.loads((layout.folder / "index.json").read_text())["manifests"][0]["digest"]
    return found


def attach(registry: FaultyRegistry, image: Manifest, kind: str, content: bytes) -> None:
    place = registry.repository("vessl-ai/app").digest(image.digest)
    with connect() as client:
        document = Document(kind=kind, content=content, annotations={})
        attach_document(client.transport, place, image.descriptor, document, ())


def test_what_is_kept_is_found_by_digest(tmp_path: Path) -> None:
    said: list[str] = []
    newer = replace(SCAN, database="2026-11-25T06:00:00Z", found=())
    keep_scan(tmp_path, newer)
    path = keep_scan(tmp_path, replace(SCAN, packages=1))
    assert keep_scan(tmp_path, SCAN) == path  # in place of what the same database gave before
    assert list(kept_scans(tmp_path, digest(1), said.append)) == [SCAN, newer]
    assert newest_scan(tmp_path, digest(1), said.append) == newer
    assert newest_scan(tmp_path, digest(2), said.append) is None
    assert said == []


@pytest.mark.parametrize("content", [b"", render_scan(SCAN)[:-9], render_scan(replace(SCAN, image=digest(2)))])
def test_what_is_kept_and_damaged_is_not_used(tmp_path: Path, content: bytes) -> None:
    said: list[str] = []
    path = keep_scan(tmp_path, SCAN)
    path.write_bytes(content)
    assert list(kept_scans(tmp_path, digest(1), said.append)) == []
    assert said[0].startswith(f"warning: not used: {path}: ")


def test_what_is_attached_and_does_not_fit_is_not_used(
    registry: FaultyRegistry, layouts: tuple[Layout, Layout]
) -> None:
    image = publish(registry, layouts[0], "1", name="vessl-ai/app")
    good = replace(SCAN, image=image.digest)
    for content in (b"[]", render_scan(SCAN), render_scan(good)):
        attach(registry, image, MEDIA_TYPE, content)
    said: list[str] = []
    place = registry.repository("vessl-ai/app").digest(image.digest)
    with connect() as client:
        assert list(attached_scans(client.transport, place, said.append)) == [good]
    assert len(said) == 2
    assert f"it is of {digest(1)}, not of {image.digest}" in said[1]


def test_a_registry_that_is_down_is_said_and_not_taken_for_no_scan(registry: FaultyRegistry) -> None:
    place = registry.repository("vessl-ai/app").digest(digest(1))
    registry.fail("GET", "/referrers/", say(403))
    said: list[str] = []
    with connect() as client:
        assert list(attached_scans(client.transport, place, said.append)) == []
    assert said[0].startswith(f"warning: {place}: no attached scan can be read: ")


def test_a_diff_tells_what_scans_of_both_have_found(
    tasks: Tasks, registry: FaultyRegistry, layouts: tuple[Layout, Layout]
) -> None:
    where = ("--registry", f"{registry.host}/vessl-ai")
    for layout, tag in zip(layouts, ("1-r1", "1-r2"), strict=True):
        image = publish(registry, layout, tag, name="vessl-ai/app")
        attach(registry, image, CYCLONEDX_TYPE, json.dumps(SBOM).encode())

    def diff(*words: str) -> str:
        done = tasks.run("diff", "app:1-r1", "app:1-r2", *where, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "Known weaknesses: not scanned: neither image was (invoke scan IMAGE)." in diff()
    put_grype(tasks)
    assert tasks.run("scan", "app:1-r1", *where).returncode == 6
    assert "Known weaknesses: not scanned: the new image was not (invoke scan IMAGE)." in diff()
    put_grype(tasks, {**GRYPE, "matches": GRYPE["matches"][1:]})
    assert tasks.run("scan", "app:1-r2", *where).returncode == 0
    assert "1 fixed, 0 new, 1 in both (grype 0.90.0, its database of\n2026-11-19)" in diff()
    raw = json.loads(diff("--format", "json"))
    assert raw["sentence"] == "numpy 2.4.5 to 2.4.6; fixes CVE-2026-3"
    assert [item["id"] for item in raw["weaknesses"]["fixed"]] == ["CVE-2026-3"]
    assert "| CVE-2026-3 | critical | fixed | numpy |" in diff("--format", "markdown")


def test_a_revision_that_fixes_something_says_so(
    tasks: Tasks, registry: FaultyRegistry, layouts: tuple[Layout, Layout]
) -> None:
    (spec,) = expand_all(load_families(tasks.repository.root))

    def push(layout: Layout, scan: Scan) -> dict[str, Any]:
        shutil.rmtree(tasks.out / "app_1", ignore_errors=True)
        built(tasks, layout)
        passed = replace(RECORD, digest=digest_of(layout), checks=hash_checks(tasks.repository.root, spec))
        save_record(tasks.out, passed)
        keep_scan(tasks.out, replace(scan, image=digest_of(layout)))
        where = ("--registry", f"{registry.host}/vessl-ai", "--format", "json")
        done = tasks.run("push", "fam", *where, INVOKE_IMAGES_EVIDENCE_INVENTORY="required")
        assert done.returncode == 0, done.stderr
        (row,) = json.loads(done.stdout)
        return dict(row)

    old, new = layouts
    push(old, SCAN)
    place = registry.repository("vessl-ai/app").digest(digest_of(old))
    with connect() as client:
        assert len(list_referrers(client.transport, place, MEDIA_TYPE)) == 1
    # Another machine, which has only what is published.
    shutil.rmtree(tasks.out / "scan")
    row = push(new, replace(SCAN, found=()))
    assert row["revision"] == 2
    notes = next(tasks.out.glob("ledgers/*/fam/CHANGES.md")).read_text()
    assert "**app:1-r2**: numpy 2.4.5 to 2.4.6; fixes CVE-2026-1\n" in notes
