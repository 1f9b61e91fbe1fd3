"""The command behind ``nox -s scale``: ``python -m tests.scale [options]``.

Exit codes: 0 measured and all goals are met; 1 a goal is missed; 2 usage; 3 something could not be measured.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.build.engine import require_engine
from scripts.build.vcs import last_commit
from scripts.console import say
from scripts.errors import ImagesError, UsageError
from scripts.recipe.faults import did_you_mean
from tests.scale import release
from tests.scale.measure import TASKS, Cost, measure
from tests.scale.report import missed, render_report, rows_of
from tests.scale.world import STAGES, Registry, make_world

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]
# Not /tmp, which is memory on many machines.
PLACE = Path("/var/tmp")


def parse_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="nox -s scale --", allow_abbrev=False)
    parser.add_argument("--images", default="10,100,1000", metavar="NUMBERS", help="even numbers; default: %(default)s")
    parser.add_argument("--revisions", type=int, default=50, metavar="N", help="of each image; default: %(default)s")
    parser.add_argument("--tasks", default=",".join(TASKS), metavar="NAMES", help="some of: %(default)s")
    parser.add_argument(
        "--release", type=int, default=100, metavar="N", help="small images to release, 0: none; default: %(default)s"
    )
    parser.add_argument("--format", choices=("table", "json"), default="table", help="what to print on stdout")
    return parser.parse_args(arguments)


def chosen_tasks(text: str) -> tuple[str, ...]:
    """The tasks that ``--tasks`` names.

    :raises UsageError: if one of them is not measured here.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in TASKS:
            raise UsageError(f'--tasks: no "{name}"{did_you_mean(name, TASKS)}; there are {", ".join(TASKS)}')
    return tuple(dict.fromkeys(names))


def chosen_numbers(text: str) -> tuple[int, ...]:
    """The numbers of images that ``--images`` names, smallest first.

    :raises UsageError: if one is no even number above zero: each row of the version manifest has two stages.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if not (word.isascii() and word.isdecimal() and int(word) and int(word) % STAGES == 0):
            raise UsageError(f'--images: expected even numbers such as 10,100, got "{word}"')
    return tuple(sorted({int(word) for word in words}))


def measure_all(numbers: Sequence[int], revisions: int, tasks: Sequence[str]) -> list[Cost]:
    """Measure tasks with so many images, task by task.

    :raises BuildError: if a task fails.
    """
    costs: list[Cost] = []
    for images in numbers:
        with tempfile.TemporaryDirectory(prefix="images-scale-", dir=PLACE) as folder, Registry() as registry:
            say(f"{images} images with {revisions} revisions each: publishing them")
            world = make_world(Path(folder), registry, images=images, revisions=revisions)
            for task in tasks:
                cost = measure(world, task)
                say(f"{task} of {images}: {cost.seconds:.1f} s, {cost.megabytes:.0f} MB, {cost.requests} requests")
                costs.append(cost)
    return sorted(costs, key=lambda cost: (tasks.index(cost.task), cost.images))


def measure_releases(images: int) -> tuple[release.Release, ...]:
    """Measure releases of so many small images; of none, nothing.

    :raises BuildError: if there is no engine, or something fails.
    """
    if not images:
        return ()
    require_engine(may_install="IMAGES_SETUP" in os.environ, log=say)
    with tempfile.TemporaryDirectory(prefix="images-scale-", dir=PLACE) as folder:
        found = release.measure_releases(Path(folder), images)
    for item in found:
        say(f"release, {item.what}: {item.seconds:.1f} s, {item.built} built, {item.published} published")
    return found


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and keep the figures in ``out/scale.json``."""
    options = parse_options(arguments)
    try:
        if options.revisions < 1:
            raise UsageError(f"--revisions: expected 1 or more, got {options.revisions}")
        if options.release and options.release <= release.CHANGED:
            raise UsageError(f"--release: expected 0, or more than {release.CHANGED}, got {options.release}")
        costs = measure_all(chosen_numbers(options.images), options.revisions, chosen_tasks(options.tasks))
        releases = measure_releases(options.release)
    except ImagesError as error:
        say(str(error))
        return error.exit_code
    document: dict[str, Any] = {
        "commit": last_commit(ROOT, [ROOT]).id,
        "machine": f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "revisions": options.revisions,
        "tasks": rows_of(costs),
        "release": [item.row for item in releases],
        "missed": [*missed(costs), *release.missed(releases)],
    }
    text = json.dumps(document, indent=2)
    (ROOT / "out").mkdir(exist_ok=True)
    (ROOT / "out" / "scale.json").write_text(f"{text}\n", encoding="utf-8")
    sys.stdout.write(f"{text if options.format == 'json' else render_report(document)}\n")
    return 1 if document["missed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
