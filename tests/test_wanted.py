"""What a published image is to come with: the sections of invoke.yaml, and their faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from scripts.build.wanted import Evidence, Need, Scan, Severity, load_evidence, load_scan
from scripts.errors import UsageError

if TYPE_CHECKING:
    from tests.conftest import Tasks


def test_defaults() -> None:
    assert load_evidence(None) == Evidence()
    assert load_scan({}) == Scan()
    assert (Evidence().sbom, Evidence().signature, Scan().severity) == (Need.REQUIRED, Need.OPTIONAL, Severity.HIGH)


def test_values() -> None:
    assert load_evidence({"sbom": "optional", "sign": "awskms:///x"}) == Evidence(
        sbom=Need.OPTIONAL, sign="awskms:///x"
    )
    assert load_scan({"severity": "Critical", "unfixed": True}) == Scan(severity=Severity.CRITICAL, unfixed=True)


def test_off_is_no_truth_value() -> None:
    assert load_evidence({"sbom": False}).sbom is Need.OFF


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"sbom": "yes"}, "invoke.yaml: evidence.sbom: expected required, optional, off, got 'yes'"),
        ({"sbom": True}, "invoke.yaml: evidence.sbom: expected required, optional, off, got True"),
        ({"sbmo": "off"}, 'invoke.yaml: evidence.sbmo: no such setting, did you mean "sbom"?'),
        ({"sign": 1}, "invoke.yaml: evidence.sign: expected a text, got 1"),
    ],
)
def test_faults(section: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_evidence(section)
    assert str(caught.value) == said


def test_a_scans_faults() -> None:
    with pytest.raises(UsageError, match=r"invoke\.yaml: scan\.unfixed: expected true or false, got 'no'"):
        load_scan({"unfixed": "no"})
    with pytest.raises(UsageError, match=r"scan\.severity: expected unknown, negligible, low, medium, high, critical"):
        load_scan({"severity": "bad"})


def test_the_environment_sets_them_too(tasks: Tasks) -> None:
    done = tasks.run("scan", "app:1", INVOKE_IMAGES_EVIDENCE_SBOM="never")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "invoke.yaml: evidence.sbom: expected required, optional, off, got 'never'\n"
