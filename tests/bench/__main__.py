"""The command behind ``nox -s bench``: ``python -m tests.bench [options]``.

Exit codes: 0 measured, also where a goal is missed; 2 usage; 3 something could not be built or measured.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from invoke import Config

from scripts.build.engine import require_engine
from scripts.build.settings import load_settings
from scripts.build.vcs import last_commit
from scripts.console import Terminated, say
from scripts.errors import BuildError, ImagesError, UsageError
from scripts.recipe.faults import did_you_mean
from scripts.recipe.matrix import expand_all, load_families
from tests.bench.engine import SPACE, own_bridge, work_directory
from tests.bench.figures import FIGURES
from tests.bench.picture import page_name, render_page, render_picture
from tests.bench.plain import BUMPS
from tests.bench.report import merge, render_report, render_result
from tests.bench.session import Session
from tests.bench.sides import prepare_subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.build.settings import Settings
    from scripts.recipe.matrix import ImageSpec

ROOT = Path(__file__).resolve().parents[2]


def parse_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="nox -s bench --", allow_abbrev=False)
    parser.add_argument("image", nargs="?", default="python:3.11", help="REPO:TAG of the version manifests")
    parser.add_argument(
        "--figures",
        default=",".join(FIGURES),
        metavar="NAMES",
        help="some of: %(default)s; the others keep their values",
    )
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="values of each side; default: %(default)s")
    parser.add_argument("--no-variants", action="store_true", help="the plain image only as the goals mean it")
    parser.add_argument("--keep", action="store_true", help="keep the layouts in out/bench/, for the next run to use")
    parser.add_argument("--docs", action="store_true", help="write a page and a picture into docs/ too")
    parser.add_argument("--report", action="store_true", help="measure nothing, show what was measured before")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="what to print on stdout")
    return parser.parse_args(arguments)


def chosen_figures(text: str) -> tuple[str, ...]:
    """The figures that ``--figures`` names.

    :raises UsageError: if there is no figure of a name.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in FIGURES:
            raise UsageError(
                f'--figures: no figure "{name}"{did_you_mean(name, FIGURES)}; there are {", ".join(FIGURES)}'
            )
    return tuple(dict.fromkeys(names))


def measure(settings: Settings, spec: ImageSpec, options: argparse.Namespace, store: Path) -> None:
    """Measure, and put each result into the file as soon as there is one.

    :raises BuildError: if something could not be built or measured.
    """
    figures = chosen_figures(options.figures)
    if not 1 <= options.runs <= len(BUMPS):
        raise UsageError(f"--runs: expected 1 to {len(BUMPS)}, got {options.runs}")
    engine = require_engine(may_install="IMAGES_SETUP" in os.environ, log=say)
    machine = {
        "cores": os.cpu_count(),
        "memory": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "engine": engine.server_version,
        "buildx": engine.buildx_version,
        "kernel": os.uname().release,
    }
    commit = last_commit(settings.root, [settings.root]).id
    space = SPACE[spec.gpu] * (2 if options.no_variants else 3)
    with work_directory(space) as work, own_bridge() as bridge:
        session = Session(
            subject=prepare_subject(spec.id, settings, work),
            figures=figures,
            runs=options.runs,
            work=work,
            bridge=bridge,
            layouts=store.with_suffix("") if options.keep else work / "layouts",
            variants=not options.no_variants,
        )
        for result in session.measure():
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            entries = {result.figure: render_result(result, time=now, commit=commit)}
            write(store, json.dumps(merge(load(store), spec.id, machine, entries), indent=2) + "\n")
            say(
                f"{result.figure}: {entries[result.figure]['medians']}, plain : ours {entries[result.figure]['ratios']}"
            )


def load(store: Path) -> Any:
    """What was measured before; nothing where that is no longer to be read."""
    with contextlib.suppress(OSError, ValueError):
        return json.loads(store.read_text(encoding="utf-8"))
    return {}


def write(path: Path, text: str) -> None:
    """Write a file in one step: a run that is interrupted leaves the results before it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.rename(path)


def show(options: argparse.Namespace, store: Path, root: Path) -> None:
    """Print what was measured, and write the page and the picture where that was asked for.

    :raises UsageError: if nothing was measured.
    """
    document = load(store)
    if not document:
        raise UsageError(f"{options.image}: nothing was measured yet ({store.relative_to(root)} is missing)")
    sys.stdout.write(f"{json.dumps(document, indent=2) if options.format == 'json' else render_report(document)}\n")
    if options.docs:
        name = page_name(options.image)
        write(root / "docs" / f"{name}.svg", render_picture(document))
        write(root / "docs" / f"{name}.md", render_page(document))
        say(f"docs/{name}.md and docs/{name}.svg are written")


def bench(options: argparse.Namespace, root: Path) -> None:
    """Do what the options say."""
    specs = {spec.id: spec for spec in expand_all(load_families(root))}
    if options.image not in specs:
        raise UsageError(f'no image "{options.image}"{did_you_mean(options.image, specs)}')
    config = Config(project_location=root)
    config.load_project()
    config.load_shell_env()
    settings = load_settings(root, config.images, os.environ, {})
    store = settings.out / "bench" / f"{options.image.replace(':', '_')}.json"
    if not options.report:
        measure(settings, specs[options.image], options, store)
    show(options, store, root)


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Run the command, return its exit code; an expected failure is a sentence, never a traceback."""
    options = parse_options(arguments)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        bench(options, root)
    except ImagesError as error:
        say(str(error))
        return error.exit_code
    except KeyboardInterrupt as error:
        say("interrupted: what was measured before is kept, all else is removed")
        return 143 if isinstance(error, Terminated) else 130
    except OSError as error:
        say(f"{error.filename or 'this machine'}: {error.strerror or error}")
        return BuildError.exit_code
    return 0


def _terminate(*_: object) -> NoReturn:
    raise Terminated


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
