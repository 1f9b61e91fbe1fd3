"""The command behind the nox sessions ``smoke(ID)``: ``python -m scripts.smoke python:3.11 [options]``.

Exit codes: 0 passed (or not tested, with --allow-missing); 2 usage; 3 the engine; 5 a check failed or nothing to test.
The word for the outcome also goes to the file named by ``IMAGES_SMOKE_OUTCOME``, which lets nox tell the two 0 apart.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from invoke import Config

from scripts.build.engine import require_engine
from scripts.build.layout import load_record as load_build
from scripts.build.settings import load_settings
from scripts.console import Terminated, say
from scripts.errors import ImagesError, SmokeError, UsageError
from scripts.recipe.faults import did_you_mean
from scripts.recipe.matrix import expand_all, load_families
from scripts.smoke.checks import choose_names, collect_names
from scripts.smoke.platforms import why_not_run
from scripts.smoke.record import Outcome, hash_checks, passed
from scripts.smoke.report import render_line, render_record
from scripts.smoke.run import engine_has_gpu, run_checks
from scripts.smoke.subject import NotTestedError, find_subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.build.settings import Settings
    from scripts.recipe.matrix import ImageSpec
    from scripts.smoke.subject import Subject

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ROOT = Path(__file__).resolve().parents[2]


def parse_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="nox -s 'smoke(ID)' --", allow_abbrev=False)
    parser.add_argument("id", help="REPO:TAG of an image of the version manifests")
    parser.add_argument("--again", action="store_true", help="test also what has passed these checks already")
    parser.add_argument("--allow-missing", action="store_true", help="an image that is nowhere is no failure")
    parser.add_argument("--gpu", action="store_true", help="a GPU has to be there (one that is there is used anyway)")
    parser.add_argument("--only", metavar="CHECK,...", help="checks to run, by their names in the table; not recorded")
    parser.add_argument("--reference", help="test this image in place of the one of that name")
    parser.add_argument("--pull", action="store_true", help="test what is published, also if there is one here")
    parser.add_argument("--platform", help="of several platforms, only this one; default: all that the engine runs")
    parser.add_argument("--workers", type=_count, default=0, metavar="N", help="checks at a time; default: cores + 1")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="json: one line an image")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a number of 1 or more, got {text!r}")
    return int(text)


def smoke(spec: ImageSpec, settings: Settings, options: argparse.Namespace) -> Outcome:
    """Test one image and print what was found.

    :raises NotTestedError: if there is no such image.
    :raises UsageError: if an option names what is not there.
    :raises BuildError: if there is no engine, or it went away.
    :raises SmokeError: if the checks could not run, or what was built is damaged.
    """
    only = () if options.only is None else choose_names(options.only, collect_names(settings.root, spec))
    if options.platform and options.platform not in spec.platforms:
        raise UsageError(f'{spec.id} has no platform "{options.platform}"; it has {", ".join(spec.platforms)}')
    require_engine(may_install="IMAGES_SETUP" in os.environ, log=say)
    record = None if options.pull or options.reference is not None else load_build(settings.out, spec.id)
    if record is None or not record.platforms:
        subject = find_subject(spec, settings, say, reference=options.reference, pull=options.pull)
        return test(subject, settings, options, only)
    outcomes = []
    for image in record.images:
        if options.platform not in {None, image.platform}:
            continue
        if why := why_not_run(image.platform):
            say(f"{spec.id} ({image.platform}): NOT TESTED: {why}")
            continue
        outcomes.append(test(find_subject(spec, settings, say, image=image), settings, options, only))
    if not outcomes:
        raise NotTestedError(f"{spec.id}: no platform of it runs here")
    return Outcome.FAIL if Outcome.FAIL in outcomes else Outcome.PASS


def test(subject: Subject, settings: Settings, options: argparse.Namespace, only: Sequence[str]) -> Outcome:
    """Test an image that the engine has, and print what was found; raises as ``smoke`` does."""
    spec = subject.spec
    gpu = bool(options.gpu or engine_has_gpu())
    before = passed(settings.out, subject.digest, hash_checks(settings.root, spec))
    if before and before.id == spec.id and before.gpu >= gpu and not (options.again or only):
        say(
            f"{subject.name}: {subject.digest} already passed these checks at {before.started} (--again to repeat them)"
        )
        record = before
    else:
        say(f"{subject.name}: testing {subject.reference} ({subject.source}, {subject.digest})")
        record = run_checks(subject, settings, gpu=gpu, only=only, workers=options.workers)
    show(render_line(record) if options.format == "json" else render_record(record))
    if only:
        say(f"{subject.name}: only some checks ran, so this is not recorded")
    return record.outcome


def show(text: str) -> None:
    """Print a result; whoever reads it (head, less) may have had enough, which changes nothing of it."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Run the command, return its exit code; an expected failure is a sentence, never a traceback."""
    options = parse_options(arguments)
    for number in ENDINGS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, _end)
    outcome, code = "", 0
    try:
        specs = {spec.id: spec for spec in expand_all(load_families(root))}
        if options.id not in specs:
            raise UsageError(f'no image "{options.id}"{did_you_mean(options.id, specs)}')
        config = Config(project_location=root)
        config.load_project()
        config.load_shell_env()
        result = smoke(specs[options.id], load_settings(root, config.images, os.environ, {}), options)
        outcome, code = str(result), 0 if result is Outcome.PASS else SmokeError.exit_code
    except NotTestedError as error:
        outcome, code = "NOT TESTED", 0 if options.allow_missing else error.exit_code
        say(f"{outcome}: {error}")
        if options.format == "json":
            show(json.dumps({"id": options.id, "outcome": outcome, "reason": str(error)}))
    except ImagesError as error:
        say(str(error))
        code = error.exit_code
    except KeyboardInterrupt as error:
        say("interrupted: nothing is recorded")
        code = 128 + error.args[0]
    except OSError as error:
        say(f"{error.filename or 'this machine'}: {error.strerror or error}")
        code = 3
    if word := os.environ.get("IMAGES_SMOKE_OUTCOME"):
        Path(word).write_text(outcome, encoding="utf-8")
    return code


def _end(signal_number: int, _: object) -> None:
    for number in ENDINGS:
        signal.signal(number, signal.SIG_IGN)  # whoever presses Ctrl-C again means the same; containers are removed now
    raise Terminated(signal_number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
