"""What a published image is to come with, and what to check it against: sections ``evidence`` and ``scan`` of invoke.yaml."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from scripts.errors import UsageError
from scripts.recipe.faults import did_you_mean


class Need(StrEnum):
    """Whether something has to be there."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    OFF = "off"


class Severity(StrEnum):
    """How bad a finding is, as both scanners have it; the order is that of the members."""

    UNKNOWN = "unknown"
    NEGLIGIBLE = "negligible"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    def reaches(self, threshold: Severity) -> bool:
        """Whether it is as bad as that or worse."""
        order = list(Severity)
        return order.index(self) >= order.index(threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is attached to a published image, who signs it, and whom ``invoke verify`` believes."""

    inventory: Need = Need.REQUIRED
    sbom: Need = Need.REQUIRED
    provenance: Need = Need.REQUIRED
    smoke: Need = Need.REQUIRED
    signature: Need = Need.OPTIONAL
    platforms: Need = Need.REQUIRED
    """Whether each platform of an image must have passed the smoke test; else those may go without that the engine of the
    publisher does not run."""
    sign: str = ""
    """Private key of cosign: a file, or a reference such as ``awskms://...``; empty: an identity token, if there is one."""
    trust: str = ""
    """Public key to verify with: a file or a reference as above; empty: the identity."""
    identity: str = ""
    """Who has signed without a key: the certificate's identity."""
    issuer: str = ""
    """Who has vouched for that identity."""
    builder: str = ""
    """URI that names who builds in the provenance; empty: the section of docs/security.md that describes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What ``invoke scan`` lets pass."""

    need: Need = Need.REQUIRED
    severity: Severity = Severity.HIGH
    unfixed: bool = False
    """Whether a finding that nobody has a fix for counts."""
    database: str = ""
    """Folder of the scanner's database, which is then taken as it is; empty: the scanner's own, brought up to date."""


def load_evidence(configured: Any) -> Evidence:
    """The section ``evidence``; what is not there has its default.

    :raises UsageError: if a key is unknown or a value is none.
    """
    return Evidence(**_read(configured, Evidence, "evidence"))


def load_scan(configured: Any) -> Scan:
    """The section ``scan``; raises as ``load_evidence`` does."""
    return Scan(**_read(configured, Scan, "scan"))


def _read(configured: Any, kind: type[Any], section: str) -> dict[str, Any]:
    known = {item.name: item for item in fields(kind)}
    found: dict[str, Any] = {}
    for key, value in dict(configured or {}).items():
        where = f"invoke.yaml: {section}.{key}"
        if key not in known:
            raise UsageError(f"{where}: no such setting{did_you_mean(key, known)}")
        default = known[key].default
        if isinstance(default, StrEnum):
            found[key] = _choice(value, type(default), where)
        elif not isinstance(value, (bool if isinstance(default, bool) else str)):
            raise UsageError(
                f"{where}: expected {'true or false' if isinstance(default, bool) else 'a text'}, got {value!r}"
            )
        else:
            found[key] = value
    return found


def _choice(value: Any, choices: type[StrEnum], where: str) -> Any:
    # YAML 1.1 reads a bare "off" as false.
    text = "off" if value is False else str(value).lower()
    if text not in list(choices):
        raise UsageError(f"{where}: expected {', '.join(choices)}, got {value!r}")
    return choices(text)
