"""The builders of buildx that images are built with: what each can build, and which of several builds what.

A builder is whatever ``docker buildx ls`` shows: the engine itself, or a BuildKit in a container, on another machine or
in a cluster. BuildKit does the scheduling in each; here is only decided what goes where.
"""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.build.engine import first_line
from scripts.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from scripts.build.bake import Build
    from scripts.build.plan import Step

    Say = Callable[[str], None]

ANSWER_TIMEOUT = 120.0
"""Seconds that a builder may take to answer: one in a cluster or a container is started by asking it."""
SHOW = "docker buildx ls shows which there are"


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """A builder of buildx."""

    name: str
    """Empty: the current one."""
    driver: str = ""
    """docker, docker-container, kubernetes or remote; empty: it was not asked."""
    platforms: frozenset[str] = frozenset()
    """What it builds for; empty: it was not asked."""
    native: frozenset[str] = frozenset()
    """What it builds for without emulating another processor."""

    @property
    def title(self) -> str:
        """How sentences name it."""
        return f"builder {self.name}" if self.name else "the current builder"


CURRENT = Builder(name="")
"""The current builder, which was not asked: as good as any as long as nothing but the usual is built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one builder builds."""

    builder: Builder
    builds: tuple[Build, ...]


def find_builders(names: Sequence[str], platforms: Iterable[str], say: Say) -> tuple[Builder, ...]:
    """The builders to build with; each is asked what it is, but not the current one for a single platform.

    :param names: those that were chosen; none: the current one.
    :param platforms: of what is to be built.
    :raises BuildError: if one is not there or does not answer, or none of them has a platform.
    """
    wanted = tuple(dict.fromkeys(platforms))
    if not names and len(wanted) < 2:
        return (CURRENT,)
    builders = tuple(inspect_builder(name) for name in names or ("",))
    for platform in wanted:
        lacking = [builder for builder in builders if platform not in builder.platforms]
        if len(lacking) == len(builders):
            there = "; ".join(f"{item.title} has {', '.join(sorted(item.platforms)) or 'none'}" for item in builders)
            raise BuildError(
                f"{platform}: nothing here builds for it: {there}. Add a builder of that kind (--builder NAME,NAME), or "
                f"have this machine emulate it (docs/builders.md)"
            )
        for builder in lacking:
            say(f"{builder.title} has no {platform}: others build for it")
    return builders


def inspect_builder(name: str) -> Builder:
    """What a builder is; one that is not running is started by this.

    :raises BuildError: if there is none of that name, or it does not answer.
    """
    command = ["docker", "buildx", "inspect", "--bootstrap", *([name] if name else [])]
    title = Builder(name=name).title
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=ANSWER_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise BuildError(f"{title}: no answer within {ANSWER_TIMEOUT:.0f} s") from None
    if done.returncode:
        raise BuildError(f"{title}: {_reason(done.stderr)} ({SHOW})")
    builder = parse_inspect(done.stdout, name)
    if not builder.platforms:
        raise BuildError(f"{title}: it does not answer: {_complaint(done.stdout)} ({SHOW})")
    return builder


def _reason(said: str) -> str:
    """Why buildx has no builder: its error, which comes after the progress of starting it."""
    errors = re.findall(r"^ERROR: (.+)$", said, re.MULTILINE)
    reason = first_line(errors[-1] if errors else said)
    if "deadline exceeded" in reason:  # all that buildx tells of a wrong address, a firewall and TLS that fails
        reason += ": nothing that it can talk to: is it running, are address and certificates the right ones"
    return reason


def parse_inspect(text: str, name: str) -> Builder:
    """Read what ``docker buildx inspect`` prints: first the builder, then each of its nodes."""
    fields = [line.partition(":")[::2] for line in text.splitlines()]
    driver = next((value.strip() for key, value in fields if key == "Driver"), "")
    found = [_platforms(value) for key, value in fields if key.strip() == "Platforms"]
    return Builder(
        name=name,
        driver=driver,
        platforms=frozenset(platform for node in found for platform in node),
        # A node names what it is itself before what it emulates.
        native=frozenset(node[0] for node in found if node),
    )


def _platforms(text: str) -> list[str]:
    """The platforms of a node without what was only claimed about it (``*``) and without variants."""
    words = (word.strip().rstrip("*") for word in text.split(","))
    return list(dict.fromkeys("/".join(word.split("/")[:2]) for word in words if word))


def _complaint(text: str) -> str:
    errors = re.findall(r"^Error:\s*(.+)$", text, re.MULTILINE)
    return first_line(errors[0]) if errors else "it tells no platforms"


def refuse_unfit(steps: Iterable[Step], builders: Iterable[Builder], here: str) -> None:
    """Refuse what the builders could not build although they have its platform, before anything is built.

    :param here: the platform of this machine: stand-ins are made of its packages.
    :raises BuildError: with every reason.
    """
    if faults := list(dict.fromkeys(_unfit(steps, tuple(builders), here))):
        raise BuildError("\n".join(faults))


def _unfit(steps: Iterable[Step], builders: Sequence[Builder], here: str) -> Iterator[str]:
    apart = [builder for builder in builders if builder.driver not in {"", "docker"}]
    for step in steps:
        name = step.base.reference
        for platform in step.spec.platforms:
            if step.base.stand_in and platform != here:
                yield f"{step.spec.id}: {platform}: the stand-in of {name} is of {here} only: its real base is needed"
        if step.base.why and not step.base.stand_in and apart:
            yield (
                f"{step.spec.id}: only this machine's engine has {name} ({step.base.why}), and {apart[0].title} "
                f"({apart[0].driver}) cannot see it: push it where both can, or build without --builder"
            )


def share_out(builds: Iterable[Build], builders: Sequence[Builder]) -> tuple[Share, ...]:
    """Which builder builds what: the images of a row share stages, so those of one platform go to one builder.

    One that need not emulate goes before one that must; of equals, the one that has least to do so far.

    :param builds: each of one platform that one of the builders has.
    """
    groups: dict[tuple[str, str, str], list[Build]] = defaultdict(list)
    for build in builds:
        (platform,) = build.spec.platforms
        groups[build.spec.family, build.spec.version, platform].append(build)
    shares: dict[Builder, list[Build]] = {builder: [] for builder in builders}
    for (_, _, platform), group in groups.items():
        able = [item for item in builders if platform in item.platforms] or list(builders)
        native = [item for item in able if platform in item.native] or able
        shares[min(native, key=lambda item: len(shares[item]))] += group
    return tuple(Share(builder=builder, builds=tuple(share)) for builder, share in shares.items() if share)
