"""The revisions of a standard tag: what the ledger says of each, and whether the registry still has it so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.release.registry import head_manifest, list_tags
from scripts.release.revision import parse_revisions, revision_tag

if TYPE_CHECKING:
    from scripts.release.ledger import Ledger
    from scripts.release.reference import Repository
    from scripts.release.transport import Transport


def revision_rows(transport: Transport, repository: Repository, tag: str, ledger: Ledger) -> list[dict[str, Any]]:
    """A row for each revision that registry or ledger has, newest first.

    ``state`` is ``standard`` for the one that the standard tag has, ``yanked``, ``gone``, ``changed`` where the
    registry has another digest than the ledger, ``unknown`` where the ledger has none, or empty.

    :raises RegistryError: if the registry cannot be asked.
    """
    tags = list_tags(transport, repository)
    written = {line.revision: line for line in ledger.published(str(repository), tag)}
    yanked, gone = ledger.yanked(str(repository), tag), ledger.gone(str(repository), tag)
    there = {number: _digest(transport, repository, revision_tag(tag, number)) for number in parse_revisions(tags, tag)}
    standard = _digest(transport, repository, tag) if tag in tags else None
    highest = max(there, default=0)
    rows = []
    for number in sorted({*written, *there}, reverse=True):
        line, digest = written.get(number), there.get(number)
        if line is None:
            state = "unknown"
        elif number in gone or digest is None:
            state = "gone"
        elif digest != line.digest:
            state = "changed"
        elif number in yanked:
            state = "yanked"
        else:
            state = "standard" if number == highest and digest == standard else ""
        rows.append(
            {
                "revision": revision_tag(tag, number),
                "digest": digest or (line.digest if line else ""),
                "time": line.time if line else "",
                "MB": round(line.size / 1e6) if line else None,
                "state": state,
                "why": yanked[number].reason if number in yanked else line.reason if line else "",
                "commit": line.commit if line else "",
                "size": line.size if line else None,
            }
        )
    return rows


def _digest(transport: Transport, repository: Repository, tag: str) -> str | None:
    found = head_manifest(transport, repository.tag(tag))
    return found.digest if found else None
