"""``invoke scan`` and ``attest`` as people run them, with scanners that only pretend: neither trivy nor grype can be had here."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scripts.build.layout import RECORD as BUILD_FILE
from scripts.release.attestations import Document, attach_document
from scripts.release.referrers import list_referrers
from scripts.release.sbom import CYCLONEDX_TYPE
from tests.attested import make_build
from tests.faulty_registry import FaultyRegistry, connect
from tests.test_scanners import GRYPE

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.attested import Attested
    from tests.conftest import Tasks
    from tests.fake_cosign import FakeCosign

COMPARED = "compared by grype 0.90.0 with its database of 2026-11-19"
SBOM = {"bomFormat": "CycloneDX", "metadata": {"component": {}}, "components": [{"type": "library", "name": "numpy"}]}


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as made:
        yield made


@pytest.fixture
def made(tasks: Tasks, registry: FaultyRegistry) -> Attested:
    """An image that is published; nothing is attached to it, and it is not built here."""
    found = make_build(tasks.repository.root.parent / "elsewhere", f"{registry.host}/vessl-ai")
    with connect() as client:
        found.upload(client.transport, registry.repository("vessl-ai/app"), "1", "1-r1")
    return found


def attach(made: Attested, registry: FaultyRegistry, sbom: Any) -> None:
    image = registry.repository("vessl-ai/app").digest(made.build.digest)
    document = Document(kind=CYCLONEDX_TYPE, content=json.dumps(sbom).encode(), annotations={})
    with connect() as client:
        attach_document(client.transport, image, made.product.manifest.descriptor, document, ())


def put_grype(tasks: Tasks, report: Any = GRYPE) -> None:
    """A grype that notes what it is given and prints a report."""
    folder = Path(tasks.environment["PATH"].partition(os.pathsep)[0])
    (folder / "report").write_text(json.dumps(report))
    (folder / "grype").write_text(f'#!/bin/sh\ncp "${{1#sbom:}}" {folder}/given\nexec cat {folder}/report\n')
    (folder / "grype").chmod(0o755)


def scan(
    tasks: Tasks, registry: FaultyRegistry, word: str = "app:1", *words: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    return tasks.run("scan", word, "--registry", f"{registry.host}/vessl-ai", *words, **settings)


def allow(tasks: Tasks, text: str) -> None:
    (tasks.repository.root / "fam" / "scan.toml").write_text(text)


def test_what_is_found_and_not_allowed(tasks: Tasks, registry: FaultyRegistry, made: Attested) -> None:
    attach(made, registry, SBOM)
    put_grype(tasks)
    done = scan(tasks, registry)
    assert done.returncode == 6, done.stderr
    head, _, row = done.stdout.splitlines()
    assert head.split() == ["id", "severity", "package", "verdict", "why"]
    assert row.split() == ["GHSA-aaaa-bbbb-cccc", "critical", "numpy", "counts", "fixed", "in", "2.4.7"]
    assert done.stderr.splitlines()[-2:] == [
        f"app:1: 1 packages of {made.build.digest[:19]} {COMPARED}: 1 counts, 1 minor",
        "app:1: 1 of 2 findings not allowed",
    ]
    rows = json.loads(scan(tasks, registry, "app:1-r1", "--format", "json").stdout)
    assert [(row["id"], row["verdict"]) for row in rows] == [("GHSA-aaaa-bbbb-cccc", "counts"), ("CVE-2026-2", "minor")]


def test_what_is_allowed_and_no_longer(tasks: Tasks, registry: FaultyRegistry, made: Attested) -> None:
    attach(made, registry, SBOM)
    put_grype(tasks)
    entry = '[[allow]]\nid = "CVE-2026-3"\nreason = "not reached"\nuntil = {}\n'
    allow(tasks, entry.format("9999-12-31") + '[[allow]]\nid = "CVE-1"\nreason = "r"\nuntil = 9999-12-31\n')
    done = scan(tasks, registry)
    assert done.returncode == 0, done.stderr
    assert "fam/scan.toml: CVE-1 was not found in app:1: is it still needed?" in done.stderr
    assert "allowed" in done.stdout
    allow(tasks, entry.format("2026-01-01"))
    done = scan(tasks, registry)
    assert done.returncode == 6
    assert "allowed until 2026-01-01" in " ".join(done.stdout.split())
    assert "1 expired" in done.stderr
    allow(tasks, "[[allow]]\nid = 1")
    assert scan(tasks, registry).returncode == 2


def test_less_severe_findings_count_where_they_are_to(tasks: Tasks, registry: FaultyRegistry, made: Attested) -> None:
    attach(made, registry, SBOM)
    put_grype(tasks)
    done = scan(tasks, registry, "app:1", "--severity", "negligible", INVOKE_IMAGES_SCAN_UNFIXED="1")
    assert "app:1: 2 of 2 findings not allowed" in done.stderr
    done = scan(tasks, registry, "app:1", "--severity", "hihg")
    assert (done.returncode, done.stderr) == (2, '--severity: no "hihg", did you mean "high"?\n')


def test_an_sbom_of_another_digest_is_not_taken(tasks: Tasks, registry: FaultyRegistry, made: Attested) -> None:
    attach(made, registry, {**SBOM, "metadata": {"component": {"version": f"sha256:{'0' * 64}"}}})
    put_grype(tasks)
    done = scan(tasks, registry)
    assert (done.returncode, done.stdout) == (6, "")
    assert "NOTHING WAS SCANNED: no SBOM is attached to " in done.stderr


def test_nothing_to_look_up_is_not_nothing_found(tasks: Tasks, registry: FaultyRegistry, made: Attested) -> None:
    attach(made, registry, {**SBOM, "components": [{"type": "operating-system", "name": "debian"}]})
    put_grype(tasks)
    done = scan(tasks, registry)
    assert (done.returncode, done.stdout) == (6, "")
    assert done.stderr.splitlines()[-1] == "NOTHING WAS SCANNED: its SBOM lists no package"


@pytest.mark.parametrize(
    ("need", "code", "start"),
    [("required", 6, ""), ("optional", 0, "warning: app:1: "), ("off", 0, "warning: app:1: ")],
)
@pytest.mark.usefixtures("made")
def test_without_a_scanner_nothing_was_scanned(
    tasks: Tasks, registry: FaultyRegistry, need: str, code: int, start: str
) -> None:
    done = scan(tasks, registry, INVOKE_IMAGES_SCAN_NEED=need)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(f"{start}NOTHING WAS SCANNED: ")
    assert json.loads(
        scan(tasks, registry, "app:1", "--format", "json", INVOKE_IMAGES_SCAN_NEED=need).stdout or "{}"
    ) == (None if code == 0 else {})


def test_without_a_database_nothing_was_scanned(tasks: Tasks, registry: FaultyRegistry, made: Attested) -> None:
    attach(made, registry, SBOM)
    put_grype(tasks, {"matches": [], "descriptor": {"name": "grype", "version": "0.90.0"}})
    done = scan(tasks, registry)
    assert (done.returncode, done.stdout) == (6, "")
    assert done.stderr.splitlines()[-1] == "NOTHING WAS SCANNED: grype has no database"


def test_what_was_built_here_is_scanned_before_it_is_published(tasks: Tasks, registry: FaultyRegistry) -> None:
    made = make_build(tasks.repository.root, f"{registry.host}/vessl-ai")
    record = replace(made.build, id="app:1")
    (made.layout / BUILD_FILE).write_text(json.dumps(asdict(record)))
    put_grype(tasks, {**GRYPE, "matches": []})
    done = scan(tasks, registry)
    assert (done.returncode, done.stdout) == (0, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"app:1: 2 packages of {made.build.digest[:19]} {COMPARED}")
    assert last.endswith(": none of them is listed there")
    assert " 0 " not in done.stderr


@pytest.mark.usefixtures("registry")
def test_of_an_unknown_name(tasks: Tasks, registry: FaultyRegistry) -> None:
    put_grype(tasks)
    done = scan(tasks, registry, "app:7")
    assert (done.returncode, done.stdout) == (4, "")
    assert scan(tasks, registry, "App:7").returncode == 2


def test_attest_attaches_what_is_missing(tasks: Tasks, registry: FaultyRegistry, cosign: FakeCosign) -> None:
    made = make_build(tasks.repository.root, f"{registry.host}/vessl-ai")
    words = ("attest", "app:1", "--registry", f"{registry.host}/vessl-ai", "--format", "json")
    done = tasks.run(*words)
    assert (done.returncode, done.stdout) == (4, ""), done.stderr
    with connect() as client:
        repository = registry.repository("vessl-ai/app")
        made.upload(client.transport, repository, "1")
        settings = {
            "PATH": f"{cosign.folder}{os.pathsep}{tasks.environment['PATH']}",
            "COSIGN_PASSWORD": os.environ["COSIGN_PASSWORD"],
            "INVOKE_IMAGES_EVIDENCE_SIGN": cosign.key(),
            **{f"INVOKE_IMAGES_EVIDENCE_{name}": "required" for name in ("SBOM", "PROVENANCE", "SIGNATURE")},
        }
        (row,) = json.loads(tasks.run(*words, "--dry-run", **settings).stdout)
        assert (row["action"], row["why"][:44]) == ("attest", "SPDX, CycloneDX, provenance, signed with key")
        assert list_referrers(client.transport, repository.digest(made.build.digest)) == ()
        (row,) = json.loads(tasks.run(*words, **settings).stdout)
        assert (row["action"], row["why"]) == ("attested", "7 new")
        (row,) = json.loads(tasks.run(*words, **settings).stdout)
        assert (row["action"], row["why"]) == ("unchanged", "all is there")
        assert len(list_referrers(client.transport, repository.digest(made.build.digest))) == 7
    done = tasks.run("attest", "app:2")
    assert (done.returncode, done.stderr) == (2, 'no image "app:2", did you mean "app:1"?\n')
