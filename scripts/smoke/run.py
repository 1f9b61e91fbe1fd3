"""Run the checks of ``tests/smoke`` on one image, and record what they found."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.build.baking import run_foreground
from scripts.errors import BuildError, SmokeError
from scripts.smoke.checks import CHECKS, ENGINE_LOST, PYTEST, SETTINGS
from scripts.smoke.record import Outcome, Record, Result, directory_of, hash_checks, overall, save_record
from scripts.smoke.surroundings import surroundings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.build.settings import Settings
    from scripts.smoke.subject import Subject


def engine_has_gpu() -> bool:
    """Whether the engine offers a GPU to containers: NVIDIA's runtime, or a CDI device of NVIDIA's."""
    command = ["docker", "info", "--format", "{{json .}}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        info = json.loads(done.stdout)
    except ValueError:
        return False
    devices = [str(device.get("ID", "")) for device in info.get("DiscoveredDevices") or ()]
    return "nvidia" in (info.get("Runtimes") or ()) or any(name.startswith("nvidia.com/gpu") for name in devices)


def run_checks(
    subject: Subject, settings: Settings, *, gpu: bool, only: Sequence[str] = (), workers: int = 0
) -> Record:
    """Run the checks on an image; its record and a JUnit file are kept, but not those of a selection.

    :param gpu: whether a GPU has to be there.
    :param only: names of the checks to run, none for all.
    :raises SmokeError: if the checks could not run.
    :raises BuildError: if the engine is not on this machine, or went away under them: that says nothing of the image.
    """
    root, spec = settings.root, subject.spec
    began, started = time.monotonic(), datetime.datetime.now(datetime.UTC)
    checks, environment = hash_checks(root, spec), surroundings(os.environ)
    directory = directory_of(settings.out, subject.digest)
    if not only:
        directory.mkdir(parents=True, exist_ok=True)  # a disk that is full or read-only is told now, not at the end
    with tempfile.TemporaryDirectory() as work:
        results, junit = Path(work, "results.json"), Path(work, "junit.xml")
        command = [*PYTEST, *SETTINGS, "--tb=short", "--dist=loadfile", f"--scans={settings.out / 'smoke' / 'layers'}"]
        command += ["-n", str(workers or (os.cpu_count() or 1) + 1), f"--results={results}", f"--junitxml={junit}"]
        command += ["-o", f"junit_suite_name={spec.id}", f"--image={spec.id}", f"--digest={subject.digest}"]
        command += [f"--layout={subject.layout}"] if subject.layout else []
        command += [f"--platform={subject.platform}"] if subject.platform else []
        command += ["--stand-in"] if subject.stand_in else []
        command += ["--gpu"] if gpu else []
        command += [f"--checks={','.join(only)}"] if only else []
        code = run_foreground([*command, CHECKS], "", cwd=root, environment=environment)
        if code == ENGINE_LOST:
            raise BuildError(f"{spec.id}: the checks lost their engine (the reason is above): nothing is recorded")
        if code not in (0, 1) or not results.exists():
            raise SmokeError(
                f"{spec.id}: the checks could not run (pytest ended with code {code}, its output is above)"
            )
        content: dict[str, Any] = json.loads(results.read_text(encoding="utf-8"))
        found = tuple(Result(**{**item, "outcome": Outcome(item["outcome"])}) for item in content["results"])
        record = Record(
            id=spec.id,
            digest=subject.digest,
            checks=checks,
            # pytest's own word counts too: it may have failed at what is no check
            outcome=overall(found) if code == 0 else Outcome.FAIL,
            reference=subject.reference,
            source=subject.source,
            stand_in=subject.stand_in,
            gpu=gpu,
            started=started.isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - began, 1),
            results=found,
            planned=tuple(content["planned"]),
            facts=content["facts"],
        )
        if not only:
            save_record(settings.out, record)
            shutil.copyfile(junit, directory / "junit.xml")
    return record
