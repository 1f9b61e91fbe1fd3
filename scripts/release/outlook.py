"""What grows old in the images, all of it: what ``invoke outdated`` says, from bases to ends of life.

Whatever cannot be asked is said to be unknown, and the rest is told all the same.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from scripts.build.outdated import base_rows, look_at_python, touching
from scripts.build.pins import plan_pins, silent_registries
from scripts.errors import RegistryError, UsageError
from scripts.recipe.faults import did_you_mean
from scripts.recipe.selection import select_rows
from scripts.release.base_tags import Step, newer_tags
from scripts.release.reference import parse_reference
from scripts.release.registry import list_tags
from scripts.release.updates import Updates

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Sequence

    from scripts.build.pins import Pinning
    from scripts.build.settings import Settings
    from scripts.recipe.family import Family, Row
    from scripts.recipe.lifetimes import Lifetimes
    from scripts.recipe.matrix import ImageSpec
    from scripts.release.transport import Transport

    Say = Callable[[str], None]
    Rows = list[dict[str, Any]]
    Chosen = Sequence[tuple[Family, Row]]


class Part(StrEnum):
    """What grows old."""

    BASES = "bases"
    TAGS = "tags"
    PYTHON = "python"
    APT = "apt"
    ENDS = "ends"


TITLES = {
    Part.TAGS: "Newer tags of bases",
    Part.APT: "Updates of the distribution",
    Part.ENDS: "Ends of life",
}
COLUMNS: dict[str, dict[str, int | None]] = {
    "": {"name": 20, "locked": 10, "newest": 10, "change": 6, "do": 14, "touches": 10},
    TITLES[Part.TAGS]: {"base": 24, "newest": 24, "change": None, "touches": 10},
    TITLES[Part.APT]: {"image": 22, "system": 18, "waiting": 34},
    TITLES[Part.ENDS]: {"name": 20, "ends": None, "extended": None, "days": None, "state": None, "touches": 14},
}
"""The tables by their titles; the first, of bases and Python packages, has none."""


@dataclass(slots=True, kw_only=True)
class Outlook:
    """What was found: the rows of each table, and a line for everything that could not be found out."""

    tables: dict[str, Rows] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)

    @property
    def rows(self) -> Rows:
        """All rows; ``about`` tells of what each is."""
        return [row for rows in self.tables.values() for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookout:
    """Where from one looks."""

    families: tuple[Family, ...]
    images: tuple[ImageSpec, ...]
    settings: Settings
    lifetimes: Lifetimes
    transport: Transport
    today: datetime.date
    say: Say

    def look(self, family: str | None, version: str | None, parts: frozenset[Part], *, held: bool = False) -> Outlook:
        """What has grown old of active rows, or of the one that is named.

        :param held: see ``look_at_python``.
        :raises UsageError: if there is no such row.
        """
        chosen = select_rows(self.families, family, version)
        found = Outlook()
        first = found.tables.setdefault("", [])
        pinnings = plan_pins(chosen) if parts & {Part.BASES, Part.TAGS} else ()
        if Part.BASES in parts:
            first += base_rows(pinnings)
        if Part.PYTHON in parts:
            rows, lines = look_at_python(self.settings.root, chosen, self.say, held=held)
            first += rows
            found.unknown += lines
        found.unknown += silent_registries(pinnings)
        others: dict[Part, Callable[[], tuple[Rows, list[str]]]] = {
            Part.TAGS: lambda: self._tags(pinnings),
            Part.APT: lambda: self._apt(chosen),
            Part.ENDS: lambda: self._ends(chosen),
        }
        for part, look in others.items():
            if part in parts:
                found.tables[TITLES[part]], lines = look()
                found.unknown += lines
        for row in found.rows:
            touched = [spec.id for spec in self.images if f"{spec.family} {spec.version}" in row["rows"]]
            row.setdefault("images", touched)
        if not found.rows and not found.unknown:
            self.say("nothing that was looked at is outdated")
        return found

    def _tags(self, pinnings: Sequence[Pinning]) -> tuple[Rows, list[str]]:
        """Newer tags of the bases whose registry answers."""
        touched: dict[str, list[tuple[Family, Row]]] = defaultdict(list)
        for item in pinnings:
            if item.now:
                touched[item.row.base_name].append((item.family, item.row))
        repositories: dict[str, list[str]] = defaultdict(list)
        for base in touched:
            repositories[base.rpartition(":")[0]].append(base)
        codenames = self.lifetimes.codenames("debian")
        every = [row.base_name for family in self.families for row in family.manifest.image]
        rows: Rows = []
        lines = []
        for repository, bases in repositories.items():
            try:
                listed = list_tags(self.transport, parse_reference(bases[0]).repository)
            except RegistryError as error:
                lines.append(f"newer tags of {repository}: unknown: {error}")
                continue
            own = [base for base in every if base.rpartition(":")[0] == repository]
            rows += [
                {
                    "about": "base tag",
                    "base": item.base,
                    "newest": f"{repository}:{item.tag}",
                    "change": str(item.step),
                    "do": "add a row" if item.step is Step.VERSION else "edit the base in versions.toml",
                    **touching(touched[item.base]),
                }
                for item in newer_tags(bases, own, listed, codenames)
            ]
        return rows, lines

    def _apt(self, chosen: Chosen) -> tuple[Rows, list[str]]:
        names = {(family.name, row.version) for family, row in chosen}
        specs = [spec for spec in self.images if (spec.family, spec.version) in names]
        return Updates(settings=self.settings, lifetimes=self.lifetimes, transport=self.transport, say=self.say).of(
            specs
        )

    def _ends(self, chosen: Chosen) -> tuple[Rows, list[str]]:
        """Until when what the rows stand on is mended, the nearest end first."""
        touched: dict[Any, list[tuple[Family, Row]]] = defaultdict(list)
        for family, row in chosen:
            for part in self.lifetimes.parts_of(row.base, row.python, row.cuda):
                touched[part].append((family, row))
        for line in self.lifetimes.stale(self.today):
            self.say(f"warning: {line}")
        rows, lines = [], []
        for part, standing in touched.items():
            life = self.lifetimes.find(part)
            if life is None:
                where = touching(standing)["touches"]
                lines.append(f"end of life of {part.product} {part.version} ({where}): unknown: not in lifetimes.toml")
                continue
            rows.append(
                {
                    "about": "end of life",
                    "name": life.title,
                    "ends": life.end.isoformat(),
                    "extended": life.extended.isoformat() if life.extended else None,
                    "days": life.days_left(self.today),
                    "state": str(life.state(self.today)),
                    "by": life.by,
                    "source": self.lifetimes.products[part.product].source,
                    "as_of": self.lifetimes.products[part.product].as_of.isoformat(),
                    **touching(standing),
                }
            )
        return sorted(rows, key=lambda row: (row["days"], row["name"])), lines


def parse_parts(text: str | None) -> frozenset[Part]:
    """The option ``--only``: words with commas between them; None: all.

    :raises UsageError: if there is no such word.
    """
    words = [word.strip() for word in text.split(",")] if text is not None else list(Part)
    for word in words:
        if word not in list(Part):
            raise UsageError(f'--only: no "{word}"{did_you_mean(word, Part)}')
    return frozenset(map(Part, words))
