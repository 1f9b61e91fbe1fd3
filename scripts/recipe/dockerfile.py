"""A Dockerfile as far as we need it: its stages, the arguments it declares, and what a stage can see.

Dockerfiles are written by hand; this reads them so that a version manifest can be checked against them and so that
a build's inputs are known without building (``inputs``). It knows the instructions that our Dockerfiles use.
"""

from __future__ import annotations

import io
import re
import shlex
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::[-+][^}]*)?\}|(\w+))")
_AS = re.compile(r"\s+AS\s+", re.IGNORECASE)


class DockerfileError(ValueError):
    """A Dockerfile uses what this reader does not know; reading on would miss inputs of a build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction: ``COPY``, its flags, and the rest of it."""

    name: str
    flags: tuple[tuple[str, str], ...]
    value: str

    def flag(self, name: str) -> str | None:
        """The first value of ``--name=value``, if it is there."""
        return next((value for key, value in self.flags if key == name), None)

    @property
    def mounts(self) -> tuple[dict[str, str], ...]:
        """The ``--mount`` flags of a RUN as key to value."""
        return tuple(
            dict(item.partition("=")[::2] for item in value.split(",")) for key, value in self.flags if key == "mount"
        )


@dataclass(
    frozen=True, kw_only=True
)  # no slots: what is found out of it is kept, as every image of a family asks for it
class DockerStage:
    """A build stage: ``FROM base AS name`` and what follows it."""

    name: str
    base: str
    instructions: tuple[Instruction, ...]

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Names of the stages or images that this stage is made from or copies from, unexpanded."""
        found = [self.base]
        for instruction in self.instructions:
            if origin := instruction.flag("from"):
                found.append(origin)
            found += [mount["from"] for mount in instruction.mounts if "from" in mount]
        return tuple(dict.fromkeys(found))

    @cached_property
    def context_paths(self) -> tuple[str, ...]:
        """Paths of the build context that this stage copies or mounts, unexpanded."""
        found: list[str] = []
        for instruction in self.instructions:
            if instruction.name in {"COPY", "ADD"} and instruction.flag("from") is None:
                found += [path.lstrip("/") or "." for path in instruction.value.split()[:-1]]
            found += [
                mount.get("source", mount.get("src", "."))
                for mount in instruction.mounts
                if mount.get("type", "bind") == "bind" and "from" not in mount
            ]
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True, kw_only=True)  # no slots, as above
class Dockerfile:
    """The stages of a Dockerfile and the build arguments that it declares with their defaults (None: no default)."""

    stages: tuple[DockerStage, ...]
    args: Mapping[str, str | None]

    @cached_property
    def texts(self) -> Mapping[str, str]:
        """What each stage says, by name: another text, and it may make something else."""
        return {stage.name: self._text(stage) for stage in self.stages}

    def _text(self, stage: DockerStage) -> str:
        declared_here = [item.value for item in stage.instructions if item.name == "ARG" and "=" not in item.value]
        text = "\n".join([f"FROM {stage.base}", *(repr(item) for item in stage.instructions)])
        text += "".join(f"\nARG {name}=${{{name}}}" for name in declared_here)
        # As it is too: a shell's own variables expand to nothing here.
        return f"{text}\n{self.expand(text, {})}"

    def stage(self, name: str) -> DockerStage | None:
        """The stage of that name."""
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> Mapping[str, DockerStage]:
        return {stage.name: stage for stage in reversed(self.stages)}

    def reachable(self, name: str, args: Mapping[str, str]) -> tuple[DockerStage, ...]:
        """The stages that a build of stage ``name`` runs, in the order of the file (BuildKit skips the others)."""
        wanted, queue = set[str](), [name]
        while queue:
            stage = self.stage(queue.pop())
            if stage is None or stage.name in wanted:
                continue
            wanted.add(stage.name)
            queue += [self.expand(source, args) for source in stage.sources]
        return tuple(stage for stage in self.stages if stage.name in wanted)

    def external(self, name: str, args: Mapping[str, str]) -> tuple[str, ...]:
        """References of the images that a build of stage ``name`` pulls."""
        names = {stage.name for stage in self.stages} | {"scratch"}
        found = [self.expand(source, args) for stage in self.reachable(name, args) for source in stage.sources]
        return tuple(dict.fromkeys(reference for reference in found if reference not in names))

    def expand(self, text: str, args: Mapping[str, str]) -> str:
        """``text`` with its ``${VARIABLES}`` replaced by ``args`` or the file's defaults."""

        def value(match: re.Match[str]) -> str:
            name = match[1] or match[2]
            return (args[name] if name in args else self.args.get(name)) or ""

        return _VARIABLE.sub(value, text)


def load_dockerfile(path: Path) -> Dockerfile:
    """Read the Dockerfile at ``path``."""
    return parse_dockerfile(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=16)  # all rows of a family have one, and it is asked for at each
def parse_dockerfile(text: str) -> Dockerfile:
    """Parse the text of a Dockerfile (https://docs.docker.com/reference/dockerfile/)."""
    from dockerfile_parse import DockerfileParser  # noqa: PLC0415 - costs 20 ms that `list` should not pay

    args: dict[str, str | None] = {}
    stages: list[tuple[str, str, list[Instruction]]] = []
    file: Any = io.BytesIO(text.encode())  # bytes are what it reads, other than its annotation says
    for item in DockerfileParser(fileobj=file).structure:
        if item["instruction"] == "COMMENT":
            continue
        instruction = _instruction(item["instruction"], item["value"])
        if instruction.name == "FROM":
            base, _, alias = _AS.sub("\n", instruction.value, count=1).partition("\n")
            stages.append((alias or str(len(stages)), base, []))
        elif stages:
            if instruction.name in {"ADD", "COPY", "RUN"} and (fault := _unreadable(instruction)):
                raise DockerfileError(f"{instruction.name} {instruction.value[:60]}: {fault}")
            stages[-1][2].append(instruction)
        if instruction.name == "ARG":
            for word in shlex.split(instruction.value):
                name, has_default, default = word.partition("=")
                args[name] = default if has_default else args.get(name)
    return Dockerfile(
        stages=tuple(DockerStage(name=name, base=base, instructions=tuple(body)) for name, base, body in stages),
        args=args,
    )


def _unreadable(instruction: Instruction) -> str:
    """Why the inputs of an instruction could not be known: what BuildKit allows and this reader does not do."""
    if "<<" in instruction.value and re.search(r"<<-?[\"']?\w", instruction.value):
        return "here-documents are not read: put the text into a file"
    if instruction.name == "RUN" or instruction.flag("from") is not None:
        return ""
    if instruction.name == "ADD":
        return "ADD is not read: use COPY"
    if instruction.value.startswith("["):
        return "the JSON form is not read: write the paths without brackets"
    if any(mark in instruction.value for mark in "*?['\""):
        return "patterns and quotes are not read: name each file or its directory"
    return ""


def _instruction(name: str, value: str) -> Instruction:
    flags: list[tuple[str, str]] = []
    words = value
    while match := re.match(r"--(\w[\w-]*)(?:=(\S+))?\s+", words):
        flags.append((match[1], match[2] or ""))
        words = words[match.end() :]
    return Instruction(name=name.upper(), flags=tuple(flags), value=words.strip())
