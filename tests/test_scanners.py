"""What trivy and grype print, in the forms that they document; made by hand, since neither can be had here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from scripts.build.wanted import Severity
from scripts.contents.weaknesses import Weakness
from scripts.release import scanners
from scripts.release.scanners import NotScannedError, find_scanner, parse_grype, parse_trivy, scan_sbom

if TYPE_CHECKING:
    from pathlib import Path

TRIVY_VERSION = {
    "Version": "0.58.1",
    "VulnerabilityDB": {
        "Version": 2,
        "NextUpdate": "2026-11-21T06:00:00Z",
        "UpdatedAt": "2026-11-20T06:00:00Z",
        "DownloadedAt": "2026-11-20T09:00:00Z",
    },
}
TRIVY: dict[str, Any] = {
    "SchemaVersion": 2,
    "ArtifactName": "sbom.cdx.json",
    "ArtifactType": "cyclonedx",
    "Results": [
        {
            "Target": "sbom.cdx.json (debian 12.9)",
            "Class": "os-pkgs",
            "Type": "debian",
            "Packages": [{"Name": "openssl", "Version": "3.0.16-1~deb12u1"}],
            "Vulnerabilities": [
                {
                    "VulnerabilityID": "CVE-2026-1",
                    "PkgName": "openssl",
                    "InstalledVersion": "3.0.16-1~deb12u1",
                    "FixedVersion": "3.0.17-1~deb12u1",
                    "Status": "fixed",
                    "Severity": "HIGH",
                },
                {"VulnerabilityID": "CVE-2026-2", "PkgName": "openssl", "InstalledVersion": "3.0.16-1~deb12u1"},
            ],
        },
        {"Target": "Python", "Class": "lang-pkgs", "Type": "python-pkg", "Packages": [{"Name": "numpy"}]},
    ],
}
GRYPE: dict[str, Any] = {
    "matches": [
        {
            "vulnerability": {
                "id": "GHSA-aaaa-bbbb-cccc",
                "severity": "Critical",
                "fix": {"versions": ["2.4.7"], "state": "fixed"},
            },
            "relatedVulnerabilities": [{"id": "CVE-2026-3", "severity": "Critical"}],
            "artifact": {"name": "numpy", "version": "2.4.6", "type": "python"},
        },
        {
            "vulnerability": {
                "id": "CVE-2026-2",
                "severity": "Negligible",
                "fix": {"versions": [], "state": "wont-fix"},
            },
            "relatedVulnerabilities": [],
            "artifact": {"name": "openssl", "version": "3.0.16-1~deb12u1", "type": "deb"},
        },
    ],
    "source": {"type": "sbom-file"},
    "descriptor": {
        "name": "grype",
        "version": "0.90.0",
        "db": {"status": {"schemaVersion": "v6.0.2", "built": "2026-11-19T04:00:00Z", "valid": True}},
    },
}
FIRST = Weakness(
    id="CVE-2026-1",
    severity=Severity.HIGH,
    package="openssl",
    version="3.0.16-1~deb12u1",
    fixed="3.0.17-1~deb12u1",
)


def trivy(report: Any, version: Any = TRIVY_VERSION) -> Any:
    return parse_trivy(json.dumps(report), json.dumps(version))


def test_trivy() -> None:
    report = trivy(TRIVY)
    assert (report.scanner, report.database) == ("trivy 0.58.1", "2026-11-20T06:00:00Z")
    second = Weakness(id="CVE-2026-2", severity=Severity.UNKNOWN, package="openssl", version="3.0.16-1~deb12u1")
    assert report.found == (FIRST, second)


def test_grype() -> None:
    report = parse_grype(json.dumps(GRYPE))
    assert (report.scanner, report.database) == ("grype 0.90.0", "2026-11-19T04:00:00Z")
    assert [(item.id, item.severity, item.fixed, sorted(item.aliases)) for item in report.found] == [
        ("GHSA-aaaa-bbbb-cccc", Severity.CRITICAL, "2.4.7", ["CVE-2026-3"]),
        ("CVE-2026-2", Severity.NEGLIGIBLE, "", []),
    ]


def test_grype_as_it_was_before_its_sixth_database() -> None:
    descriptor = {"name": "grype", "version": "0.80.0", "db": {"built": "2026-01-01T00:00:00Z", "schemaVersion": 5}}
    assert parse_grype(json.dumps({**GRYPE, "descriptor": descriptor})).database == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("report", "version", "said"),
    [
        (TRIVY, {"Version": "0.58.1"}, "trivy has no database"),
        ({"SchemaVersion": 2}, TRIVY_VERSION, "trivy found no package in the SBOM that it knows anything about"),
        ({"Results": [{"Target": "x"}]}, TRIVY_VERSION, "trivy found no package"),
        ({"Results": [{"Vulnerabilities": [{}]}]}, TRIVY_VERSION, "what trivy printed is not its report"),
        ([], TRIVY_VERSION, "what trivy printed is not its report"),
    ],
)
def test_trivy_has_looked_at_nothing(report: Any, version: Any, said: str) -> None:
    with pytest.raises(NotScannedError) as caught:
        trivy(report, version)
    assert str(caught.value).startswith(f"NOTHING WAS SCANNED: {said}")
    assert caught.value.exit_code == 6


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ({"matches": [], "descriptor": {"name": "grype", "version": "0.90.0", "db": {}}}, "grype has no database"),
        ({**GRYPE, "matches": [{"vulnerability": {}}]}, "what grype printed is not its report"),
        ({key: value for key, value in GRYPE.items() if key != "matches"}, "what grype printed is not its report"),
    ],
)
def test_grype_has_looked_at_nothing(report: Any, said: str) -> None:
    with pytest.raises(NotScannedError, match=said):
        parse_grype(json.dumps(report))


def test_what_is_no_json() -> None:
    with pytest.raises(NotScannedError, match="what grype printed is not JSON"):
        parse_grype("")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def put(folder: Path, name: str, body: str) -> None:
    (folder / name).write_text(f'#!/bin/sh\necho "$* ${{GRYPE_DB_CACHE_DIR:-}}" >>{folder}/calls\n{body}\n')
    (folder / name).chmod(0o755)


def test_trivy_with_a_given_database_asks_nobody(path: Path, tmp_path: Path) -> None:
    (path / "report").write_text(json.dumps(TRIVY))
    (path / "version").write_text(json.dumps(TRIVY_VERSION))
    put(path, "trivy", f"[ $1 = sbom ] && exec /bin/cat {path}/report; exec /bin/cat {path}/version")
    assert find_scanner() == "trivy"
    assert scan_sbom("trivy", tmp_path / "sbom", "/db").found[0] == FIRST
    first, second = (path / "calls").read_text().splitlines()
    assert "--cache-dir /db --skip-db-update --skip-java-db-update --offline-scan" in first
    assert second.startswith("version --format json --cache-dir /db")


def test_grype_with_a_given_database(path: Path, tmp_path: Path) -> None:
    (path / "report").write_text(json.dumps(GRYPE))
    put(path, "grype", f"exec /bin/cat {path}/report")
    assert find_scanner() == "grype"
    assert len(scan_sbom("grype", tmp_path / "sbom", "/db").found) == 2
    assert (path / "calls").read_text() == f"sbom:{tmp_path}/sbom --quiet --output json /db\n"


def test_none_is_there(path: Path) -> None:
    with pytest.raises(NotScannedError) as caught:
        find_scanner()
    assert str(caught.value) == "NOTHING WAS SCANNED: neither trivy nor grype is on PATH: install one of them"
    assert not list(path.iterdir())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("echo '1: no vulnerability database available' >&2; exit 1", "grype failed: 1: no vulnerability database"),
        ("exit 1", "grype failed: no reason given"),
        ("exec /bin/sleep 9", "grype gave no answer within 0 s"),
    ],
)
def test_it_fails(path: Path, tmp_path: Path, body: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanners, "LIMIT", 0.3)
    put(path, "grype", body)
    with pytest.raises(NotScannedError, match=said):
        scan_sbom("grype", tmp_path / "sbom", "")
