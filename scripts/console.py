"""Between Invoke and the library: what a task's options mean, how its rows are printed and how it fails."""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

from invoke import Context, Exit, task

from scripts.errors import ImagesError, UsageError
from scripts.table import render_json, render_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

FORMATS = ("table", "json")
MORE_FORMATS = {"diff": ("markdown",), "plan": ("github", "gitlab")}
POSITIONAL = ("family", "image", "ref", "old", "new", "images", "folder")
OPTIONS = {
    "family": "directory of the family: cpu, cuda, deprecated-ngc",
    "version": "version of a row, such as 12.1",
    "stage": "stage of the Dockerfile, such as torch",
    "all": "all active images of the family; of a prune the newest builds and all of the cache too",
    "include_frozen": "frozen and deprecated images too",
    "format": "table or json; of a diff markdown too, of a plan github (a matrix) and gitlab (a child pipeline)",
    "set": "KEY=VALUE for every bake target, as docker buildx bake --set; repeatable",
    "no_cache": "build every step anew",
    "force": "build, or publish, although nothing changed",
    "registry": "registry and organisation to name the images for, such as localhost:5000",
    "builder": "buildx builder to build with; several, comma-separated, share the work",
    "platform": "OCI platform, such as linux/arm64: of an index; of what is built, comma-separated",
    "cache_to": "repository to write BuildKit's cache to, such as localhost:5000/cache",
    "cache_from": "repository to read BuildKit's cache from",
    "progress": "BuildKit's progress: auto, plain, tty, rawjson or quiet",
    "real_bases": "refuse stand-in bases",
    "dry_run": "show what would be done and stop",
    "upgrade": "take the newest versions that fit, of all packages or of those named (numpy,scipy); else the lock's stay",
    "held": "also packages that nobody asked for directly, and that are held back by what needs them",
    "only": "what to look at, with commas between: bases, tags (of bases), python, apt, ends (of life); else all of it",
    "refresh": "write the digest that each base has in its registry now into versions.toml",
    "reason": "what changed, in a sentence for the people who pull",
    "unsafe_skip_smoke": "publish what no smoke test has passed",
    "to": "revision to go back to, such as r13",
    "adopt": "write what the registry has, and what it has no more",
    "image": "REPO:TAG of an image, such as torch:2.3.1-cuda12.1; with -rN where it is about one revision; "
    "to verify or scan, a whole reference too",
    "ref": "an inventory or OCI layout (a path), REPO:TAG or REPO:TAG-rN, a reference, or engine:NAME",
    "old": "the image to compare with, as the inventory's ref",
    "new": "the image that came after it",
    "reread": "read the layers although an inventory is attached to the image",
    "key": "public key that is to have signed it, such as cosign.pub or awskms://...",
    "severity": "least severe finding that counts: low, medium, high, critical",
    "database": "folder of the scanner's database, taken as it is",
    "output": "folder to write into; the default is site",
    "offline": "ask no registry: what the ledgers say, and what was read before",
    "changed_since": "compare with where HEAD left this branch, tag or commit, and not with what is published",
    "against": "what to compare with: published (as it is without), or built, which is what was built here",
    "shards": "most jobs of a pipeline: rows beyond that go together",
    "what": "what to remove, comma-separated: layout, image, cache",
    "images": "REPO:TAG of images, with a space between them, in one word",
    "folder": "folder with FAMILY/revisions.jsonl of other checkouts, at any depth",
    "check": "offline, change nothing, and fail where something is to be made anew: locks, tables",
}


class Terminated(KeyboardInterrupt):
    """SIGTERM, as CI sends it to cancel: it ends a build as Ctrl-C does, so nothing is left behind."""


def _terminate(*_: object) -> None:
    raise Terminated


def command(function: Callable[..., None]) -> Any:
    """An Invoke task that ends an expected failure with its sentence and exit code, never with a traceback."""

    @functools.wraps(function)
    def run(c: Context, *args: Any, **kwargs: Any) -> None:
        try:
            formats = (*FORMATS, *MORE_FORMATS.get(function.__name__, ()))
            if kwargs.get("format", "table") not in formats:
                raise UsageError(f'--format: expected {" or ".join(formats)}, got "{kwargs["format"]}"')
            signal.signal(signal.SIGTERM, _terminate)
            if isinstance(sys.stdout, TextIOWrapper):
                # Names of files need not be text: they are printed as stderr does it, which in JSON means the same.
                sys.stdout.reconfigure(errors="backslashreplace")
            function(c, *args, **kwargs)
            if sys.stdout:
                sys.stdout.flush()
        except ImagesError as error:
            raise Exit(str(error), code=error.exit_code) from None
        except KeyboardInterrupt as error:
            code = 143 if isinstance(error, Terminated) else 130
            raise Exit("interrupted: what was under way does not count as done; run it again", code=code) from None
        except BrokenPipeError:
            # Whoever read our table (head, less) has enough: not a failure.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError as error:
            # A disk that is full, a folder that may not be written to, a file where a folder should be.
            raise Exit(f"{error.filename or 'this machine'}: {error.strerror or error}", code=3) from None

    parameters = dict(list(inspect.signature(function).parameters.items())[1:])
    return task(
        run,
        name=function.__name__.rstrip("_"),
        auto_shortflags=False,
        help={name: OPTIONS[name] for name in parameters},
        iterable=[name for name in parameters if name == "set"],
        # These are given without their flag, the family also where it may be left out.
        positional=[name for name in parameters if name in POSITIONAL],
        # --upgrade alone, or with the packages that it is about.
        optional=[name for name in parameters if name == "upgrade"],
    )


def say(line: str) -> None:
    """A line for the person who waits, on stderr: stdout is for results."""
    print(line, file=sys.stderr, flush=True)


def show(rows: Sequence[Mapping[str, Any]], format: str, columns: dict[str, int | None]) -> None:
    """Print rows on stdout in the asked format."""
    if format == "json":
        print(render_json(rows))
    else:
        print(render_table(rows, columns))
