"""What a release of Debian or Ubuntu offers now: the newest version of each package, as apt on this machine is told.

apt asks, with folders of its own and one of the machine's own mirrors, for a release that need not be the machine's. So
signatures are checked, and what is asked again is fetched only if it has changed; the machine's own lists stay as they are.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from debian.debian_support import Version

from scripts.build.apt import environment, render_source
from scripts.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from scripts.build.apt import AptSource

LIMIT = 300.0
"""Seconds that apt may take."""
SECURITY = "-security"
POCKETS = ("", "-updates", SECURITY)
COMPONENTS = {"debian": ("main",), "ubuntu": ("main", "universe")}
"""Where an image's packages come from, of the distributions that are known here."""
ALIASES = {"debian": ("oldstable", "stable", "testing")}
_FIELD = re.compile(r"^(Package|Source|Version): *(.*?) *$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release as its archive has it."""

    distribution: str
    """debian or ubuntu."""
    codename: str
    architecture: str
    """As dpkg calls it: amd64."""

    def __str__(self) -> str:
        """As messages have it."""
        return f"{self.distribution.capitalize()} {self.codename} ({self.architecture})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The newest version of a package."""

    version: str
    source: str
    """Source package that it is built from, often of the same name."""
    security: bool
    """Whether it is a security update."""


def load_offers(
    release: Release, sources: Iterable[AptSource], codenames: Collection[str], cache: Path
) -> Mapping[str, Offer]:
    """The newest version of each package of a release, by name.

    :param sources: those of this machine.
    :param codenames: all releases of the distribution: a mirror of one of them is taken for a mirror of the others.
    :param cache: where apt keeps what it is told.
    :raises BuildError: if there is no apt or no mirror, or that does not have the release or does not answer.
    """
    wanted = find_sources(release, sources, codenames)
    folder = cache / f"{release.distribution}-{release.codename}-{release.architecture}"
    lists = folder / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    text = "\n".join(render_source(source, source.suites[0], source.components) for source in wanted)
    (folder / "image.sources").write_text(text, encoding="utf-8")
    _update(release, folder)
    found: dict[str, Offer] = {}
    for pocket in POCKETS:
        paths = list(lists.glob(f"*_dists_{release.codename}{pocket}_*_Packages"))
        if not paths:
            raise BuildError(f"the archive of {release} could not be asked: it has no {release.codename}{pocket}")
        for path in paths:
            for name, offer in parse_index(path.read_text(errors="replace"), security=pocket == SECURITY):
                best = found.get(name)
                if best is None or Version(offer.version) > Version(best.version):
                    found[name] = offer
    return found


def find_sources(release: Release, sources: Iterable[AptSource], codenames: Collection[str]) -> tuple[AptSource, ...]:
    """A source for each pocket of a release: the machine's own, or one of another release made to fit.

    :raises BuildError: if the machine has none for one of them.
    """
    known = {*codenames, *ALIASES.get(release.distribution, ())}
    named = [
        (suite.partition("-")[0], "".join(suite.partition("-")[1:]), source)
        for source in sources
        if not source.uri.startswith("cdrom:") and "main" in source.components
        for suite in source.suites
    ]
    found = []
    for pocket in POCKETS:
        fitting = [item for item in named if item[0] in known and item[1] == pocket]
        best = min(fitting, key=lambda item: item[0] != release.codename, default=None)
        if best is None:
            raise BuildError(
                f"the archive of {release} could not be asked: the apt sources of this machine name no mirror of "
                f"{release.distribution.capitalize()}{pocket}"
            )
        components = tuple(name for name in COMPONENTS[release.distribution] if name in best[2].components)
        found.append(replace(best[2], suites=(f"{release.codename}{pocket}",), components=components))
    return tuple(found)


def parse_index(text: str, *, security: bool) -> Iterator[tuple[str, Offer]]:
    """The packages of a ``Packages`` index (deb-control(5) paragraphs), by name."""
    for paragraph in text.split("\n\n"):
        fields = dict(_FIELD.findall(paragraph))
        if "Package" in fields and _is_version(fields.get("Version", "")):
            source = str(fields.get("Source", fields["Package"])).partition(" ")[0]
            yield fields["Package"], Offer(version=fields["Version"], source=source, security=security)


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except ValueError:
        return False
    return True


def _update(release: Release, folder: Path) -> None:
    options = {
        "Dir::Etc::SourceList": folder / "image.sources",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "APT::Architecture": release.architecture,
        "APT::Architectures": release.architecture,
        # Not the user _apt, who need not be allowed into the cache.
        "APT::Sandbox::User": "root",
        # What is not fetched is not to be taken for what was fetched long ago.
        "APT::Update::Error-Mode": "any",
        "Acquire::GzipIndexes": "false",
        "Acquire::Languages": "none",
        "Acquire::Retries": "1",
        "Acquire::http::Timeout": "20",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    try:
        done = subprocess.run(
            ["apt-get", "update", "-q", *words],
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"the archive of {release} could not be asked: apt gave no answer in {LIMIT:.0f} s") from error
    except OSError as error:
        raise BuildError(f"the archive of {release} could not be asked: apt-get: {error.strerror}") from error
    complaints = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W: Failed", "W: Some index"))]
    if done.returncode or complaints:
        # Without the mirror's address, which may have a password in it.
        said = re.sub(r"\S+://\S+ *|'", "", (complaints or done.stderr.splitlines() or ["no reason given"])[0])
        raise BuildError(f"the archive of {release} could not be asked: apt-get: {' '.join(said.split())}")
