"""What BuildKit keeps of our steps, and only of ours: its records have no labels, so the step that made one has to tell.

Only what runs this repository's own build scripts or fills its layers is counted; bases and contexts may be anybody's.
"""

from __future__ import annotations

import datetime
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.build.engine import first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# Steps of our Dockerfiles, as BuildKit describes them; a test compares them with the Dockerfiles.
OURS = re.compile(
    r"/build/(make-system|make-python|install-python)\b|/ngc/add-python\b"
    r"|\bCOPY (--link )?--from=\S+ /(layer|skeleton)/ /"
    r"|\bCOPY [a-z0-9-]+/locks/\S+ /lock/"
    r"|\bCOPY scripts/image/\S+ "
    r"|&& find /layer -exec touch -h -d @315532800"
)
# A cache that steps mount is one for all who mount that path, and apt's is where everybody has it.
COMMON = re.compile(r"^cached mount /var/(cache|lib)/apt\b")
UNITS = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    """A record of BuildKit's cache."""

    id: str
    description: str
    size: int
    """Bytes, as far as BuildKit's rounded figure tells."""
    reclaimable: bool
    """Whether nothing uses it now."""
    used: datetime.datetime | None
    """When it was used last; None: never since it was made, or it is not told."""


def ours(records: Iterable[Cached]) -> tuple[Cached, ...]:
    """Those that a step of this repository's Dockerfiles made."""
    return tuple(
        record for record in records if OURS.search(record.description) and not COMMON.match(record.description)
    )


def find_cached(
    builder: str, now: datetime.datetime, say: Callable[[str], None] = lambda _: None
) -> tuple[Cached, ...]:
    """All records of a builder (empty: the current one); none where it cannot be asked, which is said."""
    command = ["docker", "buildx", "du", "--verbose", *(["--builder", builder] if builder else [])]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        why = first_line(done.stderr) if done.returncode else ""
    except FileNotFoundError:
        why = "there is no docker command on PATH"
    if why:
        say(f"warning: cache of {f'builder {builder}' if builder else 'the current builder'}: not looked at: {why}")
        return ()
    return tuple(parse_usage(done.stdout, now))


def parse_usage(text: str, now: datetime.datetime) -> Iterator[Cached]:
    """Read what ``docker buildx du --verbose`` prints: a paragraph for each record, a field a line."""
    for paragraph in text.split("\n\n"):
        fields = {line.partition(":")[0].strip(): line.partition(":")[2].strip() for line in paragraph.splitlines()}
        if "ID" in fields and "Size" in fields:
            yield Cached(
                id=fields["ID"],
                description=fields.get("Description", ""),
                size=parse_size(fields["Size"]),
                reclaimable=fields.get("Reclaimable") == "true",
                used=parse_ago(fields.get("Last used", ""), now),
            )


def parse_size(text: str) -> int:
    """Bytes of ``1.194GB``; 0 for what is no size."""
    match = re.fullmatch(r"([0-9.]+)\s*([kKMGT]?B)\*?", text)
    return int(float(match[1]) * UNITS[match[2]]) if match else 0


def parse_ago(text: str, now: datetime.datetime) -> datetime.datetime | None:
    """The time that ``2 weeks ago`` or ``2026-11-25 12:00:00.5 +0000 UTC`` names."""
    if match := re.match(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)", text):
        return datetime.datetime.fromisoformat(match[1]).replace(tzinfo=datetime.UTC)
    lengths = {
        "second": 1,
        "minute": 60,
        "hour": 3600,
        "day": 86400,
        "week": 604800,
        "month": 2592000,
        "year": 31536000,
    }
    if match := re.match(r"(?:About |Less than )?(an?|\d+) (second|minute|hour|day|week|month|year)s?(?: ago)?$", text):
        number = 1 if match[1].startswith("a") else int(match[1])
        return now - datetime.timedelta(seconds=number * lengths[match[2]])
    return None


def drop_cached(builder: str, records: Iterable[Cached]) -> tuple[Cached, ...]:
    """Remove records; gives those that went.

    One that another is made from goes only after that one, so it is tried as long as some go.
    """
    left = {record.id: record for record in records}
    gone: list[Cached] = []
    while left:
        before = len(gone)
        gone += [left.pop(record.id) for record in list(left.values()) if _drop(builder, record)]
        if len(gone) == before:
            break
    return tuple(gone)


def _drop(builder: str, record: Cached) -> bool:
    command = ["docker", "buildx", "prune", "--force", "--filter", f"id={record.id}"]
    command += ["--builder", builder] if builder else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode == 0 and record.id in done.stdout
