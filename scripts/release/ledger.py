"""The ledger: what was published, one line a fact, appended and never changed; ``FAMILY/revisions.jsonl``, kept in git.

It is reviewed and committed like code, so that a registry can be compared with something that is not the registry.
"""

from __future__ import annotations

import fcntl
import heapq
import json
import os
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, TypeAdapter, ValidationError

from scripts.errors import AuditError
from scripts.release.lines import Back, Gone, Line, Published, Yanked, broken_rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

FILENAME = "revisions.jsonl"

_PARSER: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="kind")])


class LedgerError(AuditError):
    """A ledger has faults; the message has a line for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The lines of a ledger, in their order."""

    lines: tuple[Line, ...] = ()
    torn: str = ""
    """What stands after the last whole line: a write that a crash cut off. It says nothing, and the next write drops it."""
    homes: Mapping[tuple[str, str], str] = field(default_factory=dict, compare=False)
    """By repository and tag the family whose ledger has its newest revision, where several ledgers were joined."""
    _index: Mapping[tuple[str, str], list[Line]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index: dict[tuple[str, str], list[Line]] = defaultdict(list)
        for line in self.lines:
            index[line.repository, line.tag].append(line)
        object.__setattr__(self, "_index", dict(index))

    def published(self, repository: str, tag: str) -> tuple[Published, ...]:
        """The revisions of one standard tag, lowest first."""
        found = (line for line in self._of(repository, tag) if isinstance(line, Published))
        return tuple(sorted(found, key=lambda line: line.revision))

    def yanked(self, repository: str, tag: str) -> dict[int, Yanked]:
        """The yanked revisions of one standard tag."""
        return {line.revision: line for line in self._of(repository, tag) if isinstance(line, Yanked)}

    def gone(self, repository: str, tag: str) -> dict[int, Gone]:
        """The revisions of one standard tag that are known to be no longer in the registry."""
        found: dict[int, Gone] = {}
        for line in self._of(repository, tag):
            if isinstance(line, Gone):
                found[line.revision] = line
            elif isinstance(line, Back):
                found.pop(line.revision, None)
        return found

    def numbered(self, repository: str, tag: str) -> Iterator[tuple[tuple[int, bool], Line]]:
        """The lines of one standard tag in their order, each with what puts it in order with those of another ledger.

        That is the highest revision so far: clocks may be wrong. What is said of a revision comes after it.
        """
        highest = 0
        for line in self._of(repository, tag):
            highest = max(highest, line.revision)
            yield (highest, not isinstance(line, Published)), line

    def _of(self, repository: str, tag: str) -> Sequence[Line]:
        return self._index.get((repository, tag), ())


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
    if _is_whole(torn):  # but for its end: a fact all the same, or a fault
        whole.append(torn)
        torn = ""
    lines: list[Line] = []
    faults: list[str] = []
    for number, row in enumerate(whole, 1):
        try:
            lines.append(_PARSER.validate_json(row))
        except ValidationError as error:
            faults += [f"{where}:{number}: {sentence}" for sentence in _describe(error, row)]
    if not faults:
        faults = [f"{where}:{number}: {fault}" for number, fault in broken_rules(lines, alone=True)]
    if faults:
        raise LedgerError("\n".join(faults))
    return Ledger(lines=tuple(lines), torn=torn)


def _is_whole(row: str) -> bool:
    try:
        json.loads(row)
    except ValueError:
        return False
    return True


def load_ledger(path: Path) -> Ledger:
    """Read the ledger of one family; one that is not there yet is empty.

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


def load_ledgers(paths: Iterable[Path]) -> Ledger:
    """The ledgers of several families as one, tag by tag.

    A row may have moved from one family to another, and its numbers go on: what is published is only known from all.

    :raises LedgerError: as ``load_ledger``, and if one family's lines contradict another's.
    """
    found = sorted(dict.fromkeys(paths))
    ledgers = [load_ledger(path) for path in found]
    tags = dict.fromkeys((line.repository, line.tag) for ledger in ledgers for line in ledger.lines)
    lines = [
        line
        for tag in tags
        for _, line in heapq.merge(*(ledger.numbered(*tag) for ledger in ledgers), key=itemgetter(0))
    ]
    if faults := [fault for _, fault in broken_rules(lines)]:
        names = ", ".join(f"{path.parent.name}/{path.name}" for path in found)
        raise LedgerError("\n".join(f"{names}: {fault}" for fault in faults))
    newest: dict[tuple[str, str], tuple[int, str]] = {}
    for path, ledger in zip(found, ledgers, strict=True):
        for line in ledger.lines:
            if isinstance(line, Published):
                key = (line.repository, line.tag)
                newest[key] = max(newest.get(key, (0, "")), (line.revision, path.parent.name))
    return Ledger(lines=tuple(lines), homes={key: family for key, (_, family) in newest.items()})


def append_lines(path: Path, *lines: Line) -> None:
    """Add lines at the end; the file is there whole, before or after, at any moment.

    :raises LedgerError: if the file has faults, or the lines break a rule.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path):
        after = Ledger(lines=(*load_ledger(path).lines, *lines))
        if faults := [fault for _, fault in broken_rules(after.lines, alone=True)]:
            raise LedgerError("\n".join(f"{path.parent.name}/{path.name}: {fault}" for fault in faults))
        work = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with work.open("w", encoding="utf-8") as file:
                file.write(render_ledger(after))
                file.flush()
                os.fsync(file.fileno())
            work.replace(path)
        finally:
            work.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """One writer at a time, whatever else it has of its own: two runs with two ``out`` folders have one ledger."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _describe(error: ValidationError, row: str) -> Iterable[str]:
    if row.startswith(("<<<<<<<", "=======", ">>>>>>>")):
        yield "a merge that was not finished: keep both sides' lines, in the order of their revisions"
        return
    for detail in error.errors():
        keys = [str(part) for part in detail["loc"] if part not in ("published", "yanked", "gone", "back")]
        yield f"{'.'.join(keys)}: {detail['msg']}" if keys else detail["msg"]
