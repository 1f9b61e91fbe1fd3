"""Publishing when something is in the way: the registry, the disk, another publisher, Ctrl-C."""

from __future__ import annotations

import errno
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from scripts.build.settings import Settings
from scripts.recipe.matrix import expand_all, load_families
from scripts.release.lock import locked
from scripts.release.progress import Progress
from scripts.release.push import Order, Pusher
from scripts.release.upload import Blob, Outcome
from tests.conftest import VERSIONS
from tests.faulty_registry import FaultyRegistry, connect, say
from tests.products import NO_EVIDENCE
from tests.test_push import ROOT, built, push, rows, tags

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.recipe.matrix import ImageSpec
    from tests.conftest import Tasks


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as made:
        yield made


def test_a_dry_run_waits_for_nobody_and_leaves_nothing(tasks: Tasks, registry: FaultyRegistry) -> None:
    built(tasks.repository, "one")
    before = sorted(path.relative_to(tasks.out) for path in tasks.out.rglob("*"))
    with locked(tasks.repository.root / "elsewhere", lambda _: None):
        (row,) = rows(push(tasks, registry, "--dry-run", "--format", "json"))
    assert row["action"] == "new"
    assert sorted(path.relative_to(tasks.out) for path in tasks.out.rglob("*")) == before
    where = ("--registry", f"{registry.host}/vessl-ai", "--reason", "x", "--dry-run")
    push(tasks, registry)
    before = sorted(path.relative_to(tasks.out) for path in tasks.out.rglob("*"))
    asked = len(registry.requests)
    with locked(tasks.out, lambda _: None):
        assert rows(push(tasks, registry, "--dry-run", "--format", "json"))
        assert rows(tasks.run("rollback", "app:1", "--to", "r1", *where, "--format", "json"))
        assert rows(tasks.run("yank", "app:1-r1", *where, "--format", "json"))
        assert tasks.run("ledger", "fam", "--adopt", *where).returncode == 0
    assert sorted(path.relative_to(tasks.out) for path in tasks.out.rglob("*")) == before
    assert all(seen.method in {"GET", "HEAD"} for seen in registry.requests[asked:])


def test_a_full_disk_is_the_failure_of_one_image(
    tasks: Tasks, registry: FaultyRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks.repository.family(versions=VERSIONS + '[[image]]\nversion = "2"\nbase = "python:3.11"\npython = "3.11"\n')
    specs = expand_all(load_families(tasks.repository.root))
    settings = Settings(
        root=tasks.repository.root,
        out=tasks.out,
        cache=tasks.out,
        registry=f"{registry.host}/vessl-ai",
        evidence=NO_EVIDENCE,
    )
    digest = built(tasks.repository, "two", tag="2")
    real = Pusher.push

    def push_one(self: Pusher, spec: ImageSpec) -> dict[str, Any]:
        if spec.tag == "1":
            raise OSError(errno.ENOSPC, "No space left on device", "/out/ledgers")
        return real(self, spec)

    monkeypatch.setattr(Pusher, "push", push_one)
    said: list[str] = []
    with connect() as client:
        found = list(
            Pusher(settings, client.transport, Order(time="2026-11-25T12:00:00Z"), said.append).push_all(specs)
        )
    assert (found[0]["action"], found[0]["why"]) == ("failed", "/out/ledgers: No space left on device")
    assert found[0]["error"].exit_code == 3
    assert found[1]["action"] == "new"
    assert tags(registry)["2"] == digest


def test_ctrl_c_does_not_wait_for_a_registry_that_is_silent(tasks: Tasks, registry: FaultyRegistry) -> None:
    built(tasks.repository, "one")
    silent = threading.Event()

    def stall(_: Any) -> None:
        silent.wait(60)

    registry.fail("PUT", "blobs/uploads", stall, times=99)
    command = [*tasks.command("push", "fam", "--registry", f"{registry.host}/vessl-ai")]
    process = subprocess.Popen(
        command, cwd=tasks.repository.root, env=tasks.environment, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 30
        while not any(seen.method == "PUT" for seen in registry.requests) and time.monotonic() < deadline:
            time.sleep(0.05)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    finally:
        process.kill()
        silent.set()
    assert time.monotonic() - began < 5
    assert process.returncode == 130
    assert told.splitlines()[-1] == "interrupted: what was under way does not count as done; run it again"


def test_a_registry_that_refuses_is_4(tasks: Tasks, registry: FaultyRegistry) -> None:
    built(tasks.repository, "one")
    registry.fail("POST", "/v2/", say(403), times=99)
    done = push(tasks, registry)
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    assert f"{registry.host}/vessl-ai/app" in done.stderr


def test_a_registry_that_is_not_there_is_4(tasks: Tasks) -> None:
    built(tasks.repository, "one")
    done = tasks.run("push", "fam", "--registry", "localhost:1/vessl-ai")
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    assert "localhost:1" in done.stderr


def test_one_publish_at_a_time(tmp_path: Path) -> None:
    said: list[str] = []
    code = (
        "import pathlib, sys, time; from scripts.release.lock import locked\n"
        f"with locked(pathlib.Path({str(tmp_path)!r}), lambda line: print(line, flush=True)): print('in', flush=True)\n"
    )
    with locked(tmp_path, said.append):
        other = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert other.stdout
        assert other.stdout.readline() == "waiting for another publish of this checkout\n"
        with suppress(subprocess.TimeoutExpired):
            assert other.wait(0.3) is None
    assert other.communicate(timeout=10)[0] == "in\n"
    assert said == []


def test_progress(tmp_path: Path) -> None:
    blobs = [Blob(digest=f"sha256:{name}", size=size, path=tmp_path) for name, size in (("a", 10**8), ("b", 3 * 10**8))]
    lines: list[str] = []
    times = iter([0.0, 1.0, 2.5, 2.5, 2.6, 9.0, 9.0])
    progress = Progress("app:1", blobs, lines.append, clock=lambda: next(times))
    progress(blobs[0], 5 * 10**7, None)
    progress(blobs[1], 10**8, None)
    progress(blobs[0], 10**8, Outcome.SENT)
    progress(blobs[1], 0, Outcome.MOUNTED)
    assert lines == [
        "app:1: [#######-------------] 150 of 400 MB, 37 %",
        "app:1: [####################] 400 of 400 MB, 100 %",
    ]
    assert progress.summary == "1 mounted, 1 sent (100 MB)"
    assert re.fullmatch(r"[\w, ()]+", progress.summary)
