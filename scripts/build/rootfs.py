"""The root filesystem of a stand-in base: Debian packages, fetched from the mirror that this machine itself uses.

No mirror host is written in this repository: the machine's own apt sources name one that is reachable from it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scripts.build.apt import install_packages, load_sources
from scripts.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from scripts.build.apt import AptSource

SYSTEM: Final = Path("/")
COMMON: Final = Path(__file__).with_name("standin") / "common"
KEYRING: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"
POCKETS: Final = ("", "-updates", "-security")
SUITES: Final = frozenset(("bullseye", "bookworm", "trixie", "forky", "oldstable", "stable", "testing", "sid"))
EPOCH: Final = 1_767_225_600
"""The newest time in a stand-in (2026-01-01, seconds): the same packages then give the same digest on any day."""

# What the official slim images leave out, and Debian's refusal of `pip install` outside an environment, which the
# official Python builds do not have. As dpkg settings they hold for packages that are installed later, too.
EXCLUDED: Final = (
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/lintian/*",
    "path-exclude=/usr/share/locale/*",
    "path-include=/usr/share/locale/locale.alias",
    "path-exclude=/usr/lib/python3*/EXTERNALLY-MANAGED",
)
# A mirror with a name and password in its address is passed over: the address is written into the stand-in.
_USABLE: Final = re.compile(r"https?://[^@\s]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One Debian suite on one mirror, as the machine's apt knows it; the pocket is one of ``POCKETS``."""

    uri: str
    suite: str
    pocket: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rootfs:
    """A root filesystem as a tar file, and the full version of the Python that was run inside it."""

    tar: Path
    python_version: str


def debian_suites(sources: Iterable[AptSource]) -> list[Source]:
    """Every Debian suite that these apt sources give, in their order."""
    return [
        Source(uri=source.uri, suite=suite, pocket=dash + pocket)
        for source in sources
        if "main" in source.components and _USABLE.fullmatch(source.uri)
        for suite, dash, pocket in (name.partition("-") for name in source.suites)
        if suite in SUITES and dash + pocket in POCKETS
    ]


def render_sources(suite: str, sources: Sequence[Source]) -> str:
    """Render a stand-in's ``debian.sources``; a suite the machine lacks is taken from its mirror of another suite."""
    chosen = [found for pocket in POCKETS if (found := _mirror(suite, pocket, sources))]
    if not chosen or chosen[0].pocket:
        raise BuildError(
            f"no Debian mirror in /etc/apt/sources.list and sources.list.d, needed for a stand-in base of {suite}: "
            f"expected a source with a Debian suite ({', '.join(sorted(SUITES))}), the component main and an http or https "
            "address without a password; add one there",
        )
    return "\n".join(
        f"Types: deb\nURIs: {source.uri}\nSuites: {suite}{source.pocket}\nComponents: main\nSigned-By: {KEYRING}\n"
        for source in chosen
    )


def mmdebstrap_options(packages: Iterable[str]) -> list[str]:
    """Say what decides on the content of the root filesystem, apart from the suite and the mirror."""
    return [
        "--variant=minbase",
        "--format=tar",
        "--components=main",
        f"--include={','.join(packages)}",
        *(f"--dpkgopt={line}" for line in EXCLUDED),
    ]


def make_rootfs(suite: str, packages: Sequence[str], *, python: str, work: Path, say: Callable[[str], None]) -> Rootfs:
    """Make the root filesystem in the directory ``work``; ``python`` is the command in it whose version is measured."""
    sources = render_sources(suite, debian_suites(load_sources(SYSTEM)))
    _ensure_mmdebstrap(say)
    (work / "debian.sources").write_text(sources, encoding="utf-8")
    tar, version = work / "rootfs.tar", work / "python-version"
    finish = f'sh {shlex.quote(str(COMMON / "finish.sh"))} "$1" {python} {shlex.quote(str(version))}'
    say(f"installing Debian {suite} with {python} and what it needs")
    run(
        [
            "mmdebstrap",
            *mmdebstrap_options(packages),
            f"--customize-hook={finish}",
            suite,
            str(tar),
            str(work / "debian.sources"),
        ],
        env={"SOURCE_DATE_EPOCH": str(EPOCH)},
    )
    return Rootfs(tar=tar, python_version=version.read_text(encoding="utf-8").strip())


def run(command: Sequence[str], *, env: Mapping[str, str] | None = None) -> None:
    """Run a command quietly; when it fails, its last lines are the error.

    It has a process group of its own, so that an interrupt ends all of it, by a signal that mmdebstrap cleans up after.
    """
    with subprocess.Popen(
        command,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        process_group=0,
    ) as process:
        try:
            output, _ = process.communicate()
        except BaseException:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise
    if process.returncode:
        tail = "\n".join(f"  {line}" for line in output.splitlines()[-15:])
        raise BuildError(f"`{command[0]}` ended with exit code {process.returncode}; its last lines:\n{tail}")


def _ensure_mmdebstrap(say: Callable[[str], None]) -> None:
    if shutil.which("mmdebstrap") and Path(KEYRING).exists():
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise BuildError(
            "mmdebstrap or Debian's archive keyring is missing, needed to make a stand-in base: "
            "run `apt-get install mmdebstrap debian-archive-keyring` as root on Debian or Ubuntu",
        )
    say("installing mmdebstrap and debian-archive-keyring on this machine with apt-get")
    install_packages(["mmdebstrap", "debian-archive-keyring"], root=SYSTEM)


def _mirror(suite: str, pocket: str, sources: Sequence[Source]) -> Source | None:
    candidates = [source for source in sources if source.pocket == pocket]
    return min(candidates, key=lambda source: source.suite != suite, default=None)
