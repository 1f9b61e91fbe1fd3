"""Build an image twice, in circumstances that differ, and say where the two are not the same.

The command behind ``nox -s reproduce``: ``python -m scripts.contents.reproduce python:3.11 [--cold] [--keep]``. The
builds have checkouts of their own, of HEAD with the changes that are not committed yet: in folders of other names,
made under another umask, with files of another owner and day. What it cannot vary: the engine and its clock.

Exit codes: 0 the same, or different only in what the distribution updated meanwhile; 2 usage; 3 the engine, a build
that failed, or two builds that differ.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from invoke import Config

from scripts.build import build as builds
from scripts.build.engine import first_line, require_engine
from scripts.build.layout import directory_of
from scripts.build.plan import plan_builds
from scripts.build.settings import load_settings
from scripts.console import Terminated, say
from scripts.contents.apt import Update, read_packages, updates
from scripts.contents.compare import Difference, Listing, compare_configs, compare_layers, entry_of, explained
from scripts.contents.layers import Image, entries, load_image, open_layer
from scripts.errors import BuildError, ImagesError
from scripts.recipe.matrix import expand_all, load_families
from scripts.recipe.selection import find
from scripts.table import render_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from scripts.build.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
MOST = 40
"""Differences that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What is not to matter to a build."""

    folder: str
    umask: int
    owner: int
    days: int
    """How old the files of the checkout are."""


FIRST = Circumstances(folder="first", umask=0o022, owner=0, days=0)
SECOND = Circumstances(folder="second, in another folder", umask=0o077, owner=NOBODY, days=400)


def make_checkout(root: Path, work: Path, circumstances: Circumstances) -> Path:
    """A clone of a checkout with its uncommitted changes; new files that git does not know are not in it.

    :raises BuildError: if git cannot make it.
    """
    checkout = work / circumstances.folder
    changes = _git(root, "diff", "--binary", "HEAD")
    before = os.umask(circumstances.umask)
    try:
        _git(work, "clone", "--quiet", "--shared", str(root), str(checkout))
        if changes:
            _git(checkout, "apply", "--whitespace=nowarn", "-", given=changes)
    finally:
        os.umask(before)
    for path in (checkout, *checkout.rglob("*")):
        if ".git" in path.parts or path.is_symlink():
            continue
        age = path.stat().st_mtime - circumstances.days * 86400
        os.utime(path, (age, age))
        if os.geteuid() == 0:
            os.chown(path, circumstances.owner, circumstances.owner)
    return checkout


def build_in(checkout: Path, image_id: str, settings: Settings) -> tuple[Path, str]:
    """Build an image from a checkout without the builder's cache: where its layout is, and its digest.

    :raises BuildError: if it fails.
    """
    spec = find(expand_all(load_families(checkout)), image_id)
    own = replace(settings, root=checkout, out=checkout / "out", no_cache=True, force="to see whether it is the same")
    (record,) = builds.carry_out(plan_builds([spec], own), own, say)
    return directory_of(own.out, image_id), record.digest


def differences(before: tuple[Path, str], after: tuple[Path, str]) -> Iterator[Difference]:
    """Where two images differ that have different digests; only the layers that do are read."""
    old, new = load_image(*before), load_image(*after)
    same = {layer.digest for layer in old.layers} & {layer.digest for layer in new.layers}
    yield from compare_configs(old.config, new.config)
    yield from compare_layers(_listings(before[0], old, same), _listings(after[0], new, same))


def owners_in(layout: Path, image: Image) -> dict[str, str]:
    """Path to package of dpkg, from the lists of the layers that a command made."""
    owners = {}
    for layer in image.layers:
        if layer.created_by.startswith("COPY "):
            continue
        with open_layer(layout, layer) as stream:
            for entry, read in entries(stream):
                folder, _, name = entry.name.removeprefix("./").rpartition("/")
                if folder == "var/lib/dpkg/info" and name.endswith(".list"):
                    package = name.removesuffix(".list").partition(":")[0]
                    for path in read().decode("utf-8", errors="replace").splitlines():
                        owners[path.lstrip("/")] = owners[f"usr{path}"] = package
    return owners


def report(before: tuple[Path, str], after: tuple[Path, str]) -> tuple[str, bool]:
    """What differs between two images, as text, and whether the distribution's updates explain all of it."""
    moved = updates(read_packages(*before), read_packages(*after))
    owners = owners_in(after[0], load_image(*after)) if moved else {}
    names = [update.name for update in moved]
    found = list(differences(before, after))
    noise = [item for item in found if item.layer >= 0 and explained(item.path, owners, names)]
    rest = [item for item in found if item not in noise]
    return "\n".join(_lines(moved, noise, rest)), not rest and bool(noise)


def reproduce(image_id: str, root: Path, settings: Settings, *, cold: bool, keep: bool) -> int:
    """Build twice and compare; the exit code.

    :raises UsageError: if there is no such image.
    :raises BuildError: if a build fails.
    """
    find(expand_all(load_families(root)), image_id)
    require_engine(may_install="IMAGES_SETUP" in os.environ, log=say)
    if cold:
        # A namespace of its own for the cache mounts: the first build finds nothing in them, the second all of it.
        settings = replace(settings, overrides=(f"args.BUILDKIT_CACHE_MOUNT_NS=reproduce-{os.getpid()}",))
    work = Path(tempfile.mkdtemp(prefix="reproduce-"))
    same = False
    try:
        first, second = (build_in(make_checkout(root, work, item), image_id, settings) for item in (FIRST, SECOND))
        same = first[1] == second[1]
        if same:
            say(f"{image_id}: built twice, the same to the last bit: {first[1]}")
            return 0
        text, updated = report(first, second)
        sys.stdout.write(f"{text}\n")
        why = "the distribution updated packages meanwhile" if updated else "see the table"
        say(f"{image_id}: built twice, not the same: {first[1]}, then {second[1]}: {why}")
        return 0 if updated else BuildError.exit_code
    finally:
        if keep and not same:
            say(f"kept: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)


def parse_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="nox -s reproduce --", allow_abbrev=False)
    parser.add_argument("id", nargs="?", default="python:3.11", help="REPO:TAG of an image of the version manifests")
    parser.add_argument("--cold", action="store_true", help="the first build downloads everything anew")
    parser.add_argument("--keep", action="store_true", help="keep checkouts and layouts of builds that differ")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Run the command, return its exit code; an expected failure is a sentence, never a traceback."""
    options = parse_options(arguments)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        config = Config(project_location=root)
        config.load_project()
        config.load_shell_env()
        settings = load_settings(root, config.images, os.environ, {"progress": "plain"})
        return reproduce(options.id, root, settings, cold=options.cold, keep=options.keep)
    except ImagesError as error:
        say(str(error))
        return error.exit_code
    except KeyboardInterrupt as error:
        return 143 if isinstance(error, Terminated) else 130
    except OSError as error:
        say(f"{error.filename or 'this machine'}: {error.strerror or error}")
        return BuildError.exit_code


def _lines(moved: Iterable[Update], noise: Sequence[Difference], rest: Sequence[Difference]) -> Iterator[str]:
    for update in moved:
        yield str(update)
    if noise:
        yield f"{len(noise)} files differ because of that"
    if rest:
        rows = [
            {"layer": item.layer if item.layer >= 0 else "", "path": item.path or item.created_by, "how": item.how}
            for item in rest[:MOST]
        ]
        yield render_table(rows, {"layer": None, "path": 40, "how": 28})
    if len(rest) > MOST:
        yield f"and {len(rest) - MOST} more"


def _listings(layout: Path, image: Image, same: set[str]) -> list[Listing]:
    found = []
    for layer in image.layers:
        listed = {}
        if layer.digest not in same:
            with open_layer(layout, layer) as stream:
                listed = {entry.name.removeprefix("./"): entry_of(entry, read) for entry, read in entries(stream)}
        found.append(Listing(digest=layer.digest, diff_id=layer.diff_id, created_by=layer.created_by, entries=listed))
    return found


def _git(folder: Path, *arguments: str, given: str | None = None) -> str:
    command = ["git", "-c", "safe.directory=*", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, input=given)
    except FileNotFoundError:
        raise BuildError("reproduce needs git: install git") from None
    if done.returncode:
        raise BuildError(f"git {arguments[0]} in {folder}: {first_line(done.stderr)}")
    return done.stdout


def _terminate(*_: object) -> None:
    raise Terminated


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
