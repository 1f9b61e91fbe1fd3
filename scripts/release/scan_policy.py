"""Which findings of a scan a family lets pass, each with a reason and an end: ``FAMILY/scan.toml``.

[[allow]]
id = "CVE-2026-1234"
package = "libfoo1"        # only there; without it, wherever it is found
reason = "only read by a command that no image has"
until = 2027-03-31         # the last day; afterwards it counts again
"""

from __future__ import annotations

import datetime  # noqa: TC003 - pydantic reads the annotations
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scripts.build.wanted import Severity
from scripts.recipe.faults import ManifestError, describe

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from scripts.build.wanted import Scan
    from scripts.contents.weaknesses import Weakness

FILENAME = "scan.toml"


class Allow(BaseModel):
    """One finding that may pass for a while."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str = Field(min_length=1)
    """As the scanner has it, or one of its other names."""
    reason: str = Field(min_length=1)
    until: datetime.date
    """The last day."""
    package: str = ""
    """Name of the package; empty: whichever it is found in."""


class Policy(BaseModel):
    """What one family lets pass."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    allow: tuple[Allow, ...] = Field(default=(), strict=False)


class Verdict(StrEnum):
    """What becomes of a finding."""

    COUNTS = "counts"
    EXPIRED = "expired"
    """Was let pass until a day that is over: it counts."""
    ALLOWED = "allowed"
    MINOR = "minor"
    """Less severe than what counts."""
    UNFIXED = "unfixed"
    """Nobody has a fix for it, and such do not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A finding and what becomes of it."""

    weakness: Weakness
    verdict: Verdict
    why: str

    @property
    def bad(self) -> bool:
        """Whether it counts."""
        return self.verdict in {Verdict.COUNTS, Verdict.EXPIRED}

    @property
    def shown(self) -> bool:
        """Whether a person is to see it: not what is small, or has no fix."""
        return self.bad or self.verdict is Verdict.ALLOWED


def load_policy(path: Path) -> Policy:
    """Read the policy of one family; one that is not there lets nothing pass.

    :raises ManifestError: with every fault.
    """
    where = f"{path.parent.name}/{path.name}"
    try:
        return Policy.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Policy()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ManifestError(where, [f"not TOML: {error}"]) from error
    except ValidationError as error:
        raise ManifestError(where, describe(error, Policy, {})) from error


def judge(found: Iterable[Weakness], policy: Policy, wanted: Scan, today: datetime.date) -> tuple[Judged, ...]:
    """What becomes of each finding, the worst first."""
    judged = [_judge(weakness, policy, wanted, today) for weakness in found]
    return tuple(sorted(judged, key=_order))


def unused(found: Iterable[Weakness], policy: Policy) -> tuple[Allow, ...]:
    """What is let pass and was not found."""
    listed = list(found)
    return tuple(entry for entry in policy.allow if not any(_matches(entry, weakness) for weakness in listed))


def _judge(weakness: Weakness, policy: Policy, wanted: Scan, today: datetime.date) -> Judged:
    if not weakness.severity.reaches(wanted.severity):
        why = "severity unknown" if weakness.severity is Severity.UNKNOWN else f"below {wanted.severity}"
        return Judged(weakness=weakness, verdict=Verdict.MINOR, why=why)
    entries = sorted((entry for entry in policy.allow if _matches(entry, weakness)), key=lambda entry: entry.until)
    if entries and entries[-1].until >= today:
        why = f"until {entries[-1].until}: {entries[-1].reason}"
        return Judged(weakness=weakness, verdict=Verdict.ALLOWED, why=why)
    if not weakness.fixed and not wanted.unfixed:
        return Judged(weakness=weakness, verdict=Verdict.UNFIXED, why="no fix yet")
    fix = f"fixed in {weakness.fixed}" if weakness.fixed else "no fix yet"
    if entries:
        why = f"allowed until {entries[-1].until}, which is over; {fix}"
        return Judged(weakness=weakness, verdict=Verdict.EXPIRED, why=why)
    return Judged(weakness=weakness, verdict=Verdict.COUNTS, why=fix)


def _matches(entry: Allow, weakness: Weakness) -> bool:
    return entry.id in {weakness.id, *weakness.aliases} and entry.package in {"", weakness.package}


def _order(item: Judged) -> tuple[bool, int, str, str]:
    severities = list(Severity)
    return not item.bad, -severities.index(item.weakness.severity), item.weakness.package, item.weakness.id
