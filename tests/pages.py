"""The documents of this repository as tests read them: headings, links, blocks of code, and the commands in them."""

from __future__ import annotations

import re
import shlex
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.recipe.family import family_directories

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
SHELL = "sh"
PROGRAMS = ("./scripts/invoke", "./scripts/nox", "docker", "cosign", "git", "ssh")
"""What a command in a table begins with; all lines of a block of the shell are commands."""
LINK = re.compile(r"\[[^\]\[]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
PLACEHOLDER = re.compile(r"…|\[|\b[A-Z]{2,}\b")
"""In prose, where a command may be spoken of in general."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of code, without the indentation that it has in a list."""

    page: str
    line: int
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command that a page tells people to give, on one line and without its comment."""

    page: str = field(compare=False)
    line: int = field(compare=False)
    text: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


@dataclass(frozen=True, slots=True)
class Page:
    """One document."""

    name: str
    text: str

    @property
    def blocks(self) -> list[Block]:
        return list(self._blocks())

    @property
    def prose(self) -> list[tuple[int, str]]:
        """The lines that are in no block of code, with their numbers."""
        inside = {
            number for block in self.blocks for number in range(block.line, block.line + block.text.count("\n") + 2)
        }
        return [(number, line) for number, line in enumerate(self.text.split("\n"), 1) if number not in inside]

    @property
    def anchors(self) -> set[str]:
        """What a link may have behind its ``#``, by GitHub's rule."""
        found: dict[str, int] = {}
        names = set()
        for _, line in self.prose:
            if heading := re.fullmatch(r"#{1,6} (.+)", line):
                plain = LINK.sub(lambda match: match[0][1:].partition("](")[0], heading[1])
                name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
                names.add(f"{name}-{found[name]}" if name in found else name)
                found[name] = found.get(name, 0) + 1
        return names

    @property
    def links(self) -> list[tuple[int, str]]:
        """Line and target of every link."""
        return [(number, match[1]) for number, line in self.prose for match in LINK.finditer(CODE.sub("", line))]

    @property
    def code(self) -> list[tuple[int, str]]:
        """Line and text of every piece of code in prose and tables."""
        return [(number, match[1]) for number, line in self.prose for match in CODE.finditer(line)]

    @property
    def commands(self) -> list[Command]:
        return list(self._commands())

    def section(self, heading: str) -> Page:
        """What is below a heading, up to the next of any level."""
        lines = self.text.split("\n")
        start = next(number for number, line in self.prose if re.fullmatch(rf"#+ {re.escape(heading)}", line))
        rest = [number for number, line in self.prose if number > start and re.match("#+ ", line)]
        return Page(self.name, "\n".join(lines[start : min(rest, default=len(lines) + 1) - 1]))

    def _blocks(self) -> Iterator[Block]:
        lines: list[str] | None = None
        start, language = 0, ""
        for number, line in enumerate(self.text.split("\n"), 1):
            if fence := re.fullmatch(r"\s*```(\w*)", line):
                if lines is None:
                    lines, start, language = [], number, fence[1]
                else:
                    yield Block(self.name, start, language, textwrap.dedent("".join(f"{item}\n" for item in lines)))
                    lines = None
            elif lines is not None:
                lines.append(line)
        assert lines is None, f"{self.name}:{start}: the block of code does not end"

    def _commands(self) -> Iterator[Command]:
        for block in self.blocks:
            if block.language == SHELL:
                lines = re.sub(r" *\\\n *", " ", block.text).splitlines()
                for offset, line in enumerate(lines, 1):
                    if text := re.sub(r"(^|\s+)# .*", "", line).strip():
                        yield Command(self.name, block.line + offset, text)
        for number, line in self.prose:
            table = line.startswith("|")
            for match in CODE.finditer(line):
                general = not table and PLACEHOLDER.search(match[1])
                if match[1].startswith(PROGRAMS if table else "./scripts/") and not general:
                    yield Command(self.name, number, match[1])


def load_page(path: Path) -> Page:
    return Page(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))


def load_pages() -> dict[str, Page]:
    """README.md, the pages of docs/, and the README.md of each family."""
    paths = [
        ROOT / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
        *(folder / "README.md" for folder in family_directories(ROOT)),
    ]
    return {page.name: page for page in map(load_page, paths)}


def documented(*programs: str) -> list[Command]:
    """The commands of all pages that begin with one of these, each once."""
    found = [command for page in load_pages().values() for command in page.commands]
    return list(dict.fromkeys(command for command in found if command.text.startswith(programs)))
