"""The ledger: what was published, one line a fact, appended and never changed; ``FAMILY/revisions.jsonl``, kept in git.

It is reviewed and committed like code, so that a registry can be compared with something that is not the registry.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StringConstraints, TypeAdapter, ValidationError

from scripts.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FILENAME = "revisions.jsonl"

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(min_length=1)]
Sentence = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\n]+$")]
# One form only, so that lines sort as their times do (RFC 3339, UTC, whole seconds).
Time = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
Revision = Annotated[StrictInt, Field(ge=1)]


class LedgerError(AuditError):
    """A ledger has faults; the message has a line for each."""


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    repository: Text
    """With registry: ``quay.io/vessl-ai/torch``."""
    tag: Text
    """The standard tag."""
    revision: Revision
    time: Time
    reason: Sentence
    """For the people who pull: what changed, or why it must not be used."""

    @property
    def name(self) -> str:
        """``REPOSITORY:TAG-rN``."""
        return f"{self.repository}:{self.tag}-r{self.revision}"


class Smoke(BaseModel):
    """The smoke test that a digest had passed when it was published."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checks: Text
    """Hash of the checks."""
    started: Text
    passed: StrictInt
    skipped: StrictInt


class Published(_Line):
    """A revision came to be."""

    kind: Literal["published"] = "published"
    digest: Digest
    size: StrictInt
    """Bytes of the config and all layers, compressed."""
    recipe: str = ""
    """Hash of the recipe; empty where it is not known (adopted)."""
    base: str = ""
    """Digest of the base image."""
    commit: str = ""
    smoke: Smoke | None = None
    """None: published without (``--unsafe-skip-smoke``), or adopted."""
    replaces: Revision | None = None
    """The revision that was the newest before."""
    same_as: Revision | None = None
    """The revision whose digest this is again, after a rollback."""
    adopted: bool = False
    """Found in the registry, and not published with this ledger."""


class Yanked(_Line):
    """A revision must not be used any more; it stays where it is."""

    kind: Literal["yanked"] = "yanked"


class Gone(_Line):
    """A revision is no longer in the registry; its number is never used again."""

    kind: Literal["gone"] = "gone"


Line = Published | Yanked | Gone
_PARSER: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="kind")])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The lines of a ledger, in their order."""

    lines: tuple[Line, ...] = ()
    torn: str = ""
    """What stands after the last whole line: a write that a crash cut off. It says nothing, and the next write drops it."""

    def published(self, repository: str, tag: str) -> tuple[Published, ...]:
        """The revisions of one standard tag, lowest first."""
        found = (
            line
            for line in self.lines
            if isinstance(line, Published) and (line.repository, line.tag) == (repository, tag)
        )
        return tuple(sorted(found, key=lambda line: line.revision))

    def yanked(self, repository: str, tag: str) -> dict[int, Yanked]:
        """The yanked revisions of one standard tag."""
        return {
            line.revision: line
            for line in self.lines
            if isinstance(line, Yanked) and (line.repository, line.tag) == (repository, tag)
        }

    def gone(self, repository: str, tag: str) -> dict[int, Gone]:
        """The revisions of one standard tag that are known to be no longer in the registry."""
        return {
            line.revision: line
            for line in self.lines
            if isinstance(line, Gone) and (line.repository, line.tag) == (repository, tag)
        }

    def highest(self, repository: str, tag: str) -> int:
        """The highest number that was ever used for one standard tag; 0 if none was."""
        return max((line.revision for line in self.published(repository, tag)), default=0)


def render_line(line: Line) -> str:
    """A line as it stands in the file: known keys in a fixed order, what is empty left out, so that a diff reads well."""
    return json.dumps(
        {"kind": line.kind, **line.model_dump(exclude={"kind"}, exclude_defaults=True)}, ensure_ascii=False
    )


def render_ledger(ledger: Ledger) -> str:
    """A whole file."""
    return "".join(f"{render_line(line)}\n" for line in ledger.lines)


def parse_ledger(text: str, where: str) -> Ledger:
    """Read the text of a ledger.

    :param where: the file as errors name it.
    :raises LedgerError: with every fault: a line that cannot be read, or that breaks a rule of the whole.
    """
    *whole, torn = text.split("\n")
    lines: list[Line] = []
    faults: list[str] = []
    for number, row in enumerate(whole, 1):
        try:
            lines.append(_PARSER.validate_json(row))
        except ValidationError as error:
            faults += [f"{where}:{number}: {sentence}" for sentence in _describe(error, row)]
    # A last line that is whole but for its end is a fact all the same.
    try:
        lines.append(_PARSER.validate_json(torn))
        torn = ""
    except ValidationError:
        pass
    if not faults:
        faults = [f"{where}:{number}: {fault}" for number, fault in broken_rules(lines)]
    if faults:
        raise LedgerError("\n".join(faults))
    return Ledger(lines=tuple(lines), torn=torn)


def broken_rules(lines: Iterable[Line]) -> Iterable[tuple[int, str]]:
    """Number (from 1) and fault of every line that the lines before it do not allow."""
    published: dict[tuple[str, str], list[Published]] = {}
    marked: set[tuple[str, str]] = set()
    for number, line in enumerate(lines, 1):
        before = published.setdefault((line.repository, line.tag), [])
        known = {item.revision: item for item in before}
        if not isinstance(line, Published):
            if line.revision not in known:
                yield number, f"{line.name} is {line.kind}, but was never published"
            if (line.kind, line.name) in marked:
                yield number, f"{line.name} is {line.kind} for the second time"
            marked.add((line.kind, line.name))
            continue
        if line.revision in known:
            yield number, f"{line.name} is published for the second time"
        elif line.revision < max(known, default=0) and not line.adopted:
            yield number, f"{line.name} comes after r{max(known)}: revisions only go up"
        if line.replaces is not None and line.replaces not in known:
            yield number, f"{line.name} replaces r{line.replaces}, which was never published"
        if line.same_as is not None and (line.same_as not in known or known[line.same_as].digest != line.digest):
            yield number, f"{line.name} is not the same as r{line.same_as}: that has another digest, or never was"
        before.append(line)


def load_ledger(path: Path) -> Ledger:
    """Read a ledger; one that is not there yet is empty.

    :raises LedgerError: as ``parse_ledger``, and if the file cannot be read.
    """
    where = f"{path.parent.name}/{path.name}"
    try:
        return parse_ledger(path.read_text(encoding="utf-8"), where)
    except FileNotFoundError:
        return Ledger()
    except UnicodeDecodeError as error:
        raise LedgerError(f"{where}: not UTF-8 at byte {error.start}") from error
    except OSError as error:
        raise LedgerError(f"{where}: cannot be read: {error.strerror}") from error


def append_lines(path: Path, *lines: Line) -> Ledger:
    """Add lines at the end; the file is there whole, before or after, at any moment. Gives what it then holds.

    The caller holds the lock of the family, so nothing is lost between reading and writing.

    :raises LedgerError: if the file has faults, or the lines break a rule.
    """
    before = load_ledger(path)
    after = Ledger(lines=(*before.lines, *lines))
    if faults := [fault for _, fault in broken_rules(after.lines)]:
        raise LedgerError("\n".join(f"{path.parent.name}/{path.name}: {fault}" for fault in faults))
    path.parent.mkdir(parents=True, exist_ok=True)
    work = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with work.open("w", encoding="utf-8") as file:
            file.write(render_ledger(after))
            file.flush()
            os.fsync(file.fileno())
        work.replace(path)
    finally:
        work.unlink(missing_ok=True)
    return after


def _describe(error: ValidationError, row: str) -> Iterable[str]:
    if row.startswith(("<<<<<<<", "=======", ">>>>>>>")):
        yield "a merge that was not finished: keep both sides' lines, in the order of their revisions"
        return
    for detail in error.errors():
        keys = [str(part) for part in detail["loc"] if part not in ("published", "yanked", "gone")]
        yield f"{'.'.join(keys)}: {detail['msg']}" if keys else detail["msg"]
