"""`invoke push` killed at each of its requests to a real registry, and run again."""

from __future__ import annotations

import json
import queue
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from scripts.build.settings import Settings
from scripts.release import commands
from scripts.release.ledger import FILENAME
from scripts.workplace import Workplace
from tests.conftest import Repository, Tasks
from tests.fault_proxy import FaultProxy, kill_after, kill_amid, kill_before
from tests.registries import serve_registry
from tests.test_push import built
from tests.trials import TEMPLATE, Published, Template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.faulty_registry import Act
    from tests.registries import RealRegistry

pytestmark = pytest.mark.engine

KILLS: dict[str, tuple[str, Callable[..., Act]]] = {
    "before": (".*", kill_before),
    "after": (".*", kill_after),
    "amid": ("PUT|PATCH", kill_amid),
}
"""Where a publisher is killed, and at requests of which methods there is such a place."""


@dataclass(frozen=True)
class Publisher:
    """A checkout and the proxy that it publishes through."""

    tasks: Tasks
    proxy: FaultProxy

    @property
    def ledger(self) -> Path:
        return self.tasks.out / "ledgers" / self.proxy.host.replace(":", "_") / "fam" / FILENAME

    def words(self, name: str) -> list[str]:
        organisation = name.removesuffix("/app")
        registry = ("--registry", f"{self.proxy.host}/{organisation}")
        return ["push", "fam", *registry, "--reason", "numpy 2.4.6", "--format", "json"]

    def start(self, name: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.tasks.command(*self.words(name)),
            env=self.tasks.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, name: str) -> tuple[str, int]:
        """What was done, and with which revision."""
        done = self.tasks.run(*self.words(name))
        assert done.returncode == 0, done.stderr
        (row,) = json.loads(done.stdout)
        return row["action"], row["revision"]

    def run_here(self, name: str) -> tuple[str, int]:
        """The same without a process of its own, whose start takes most of the time."""
        place = Workplace(self.tasks.repository.root)
        registry = f"{self.proxy.host}/{name.removesuffix('/app')}"
        settings = Settings(root=place.root, out=self.tasks.out, cache=self.tasks.out, registry=registry)
        specs = place.chosen("fam", None, None, every=False)
        ((row,), errors) = commands.push(specs, place.images(), settings, lambda _: None)
        assert not errors
        return row["action"], row["revision"]


@dataclass(frozen=True)
class Trials:
    """Two publishers to kill, so that both cores have something to do."""

    registry: RealRegistry
    template: Template
    digests: tuple[str, str]
    publishers: queue.Queue[Publisher]

    def count(self) -> list[str]:
        """The methods of the requests of a publish that nobody kills."""
        publisher = self.publishers.get()
        name = self.template.copy(publisher.proxy.host, publisher.ledger)
        start = len(publisher.proxy.requests)
        assert publisher.run(name) == ("new", 2)
        self.publishers.put(publisher)
        return [seen.method for seen in publisher.proxy.requests[start:]]

    def kill(self, kind: str, number: int) -> bool:
        """Kill a publisher at a request, and see that all goes well after; False if there was no such request."""
        publisher = self.publishers.get()
        try:
            return self._kill(publisher, kind, number)
        finally:
            publisher.proxy.faults.clear()
            self.publishers.put(publisher)

    def _kill(self, publisher: Publisher, kind: str, number: int) -> bool:
        proxy = publisher.proxy
        name = self.template.copy(proxy.host, publisher.ledger)
        published = Published(self.registry.host, name, "1")
        before = published.tags()
        method, act = KILLS[kind]
        running: list[subprocess.Popen[str]] = []
        fault = proxy.fail(method, "", act(lambda: running[0]), skip=number)
        with publisher.start(name) as process:
            running.append(process)
            _, errors = process.communicate(timeout=60)
        killed = fault.times == 0
        assert (process.returncode == -9) is killed, errors
        published.check(before)
        if killed:
            action, revision = publisher.run(name)
            published.check(before)
            assert action in {"new", "finish", "move", "unchanged"}
            assert revision == max(published.revisions())
        published.check_settled(publisher.ledger, f"{proxy.host}/{name}", *self.digests)
        assert publisher.run_here(name) == ("unchanged", max(published.revisions()))
        self.template.forget(name)
        return killed


@pytest.fixture
def trials(tasks: Tasks, tmp_path: Path) -> Iterator[Trials]:
    with ExitStack() as stack:
        registry = stack.enter_context(serve_registry(tmp_path / "registry", delete=True))
        first = built(tasks.repository, "base", "one")
        done = tasks.run("push", "fam", "--registry", f"{registry.host}/{TEMPLATE}")
        assert done.returncode == 0, done.stderr
        second = built(tasks.repository, "base", "two")
        ledger = tasks.out / "ledgers" / registry.host.replace(":", "_") / "fam" / FILENAME
        template = Template(registry, f"{TEMPLATE}/app", ledger.read_text())
        publishers: queue.Queue[Publisher] = queue.Queue()
        for number in range(2):
            root = shutil.copytree(tasks.repository.root, tmp_path / f"checkout-{number}")
            proxy = stack.enter_context(FaultProxy(registry.host))
            publishers.put(Publisher(Tasks(Repository(root), tasks.environment), proxy))
        yield Trials(registry, template, (first, second), publishers)


def test_killed_at_every_request(trials: Trials, measured: Callable[[str], None]) -> None:
    """Before each request, after each and before its answer, and in the middle of each that sends something."""
    methods = trials.count()
    there = {kind: sum(bool(re.fullmatch(method, seen)) for seen in methods) for kind, (method, _) in KILLS.items()}
    # One more than there are, to see that these were all.
    points = [(kind, number) for kind, count in there.items() for number in range(count + 1)]
    with ThreadPoolExecutor(2) as pool:
        killed = list(pool.map(trials.kill, *zip(*points, strict=True)))
    assert killed == [number < there[kind] for kind, number in points]
    told = ", ".join(f"{count} {kind}" for kind, count in there.items())
    measured(f"invoke push: killed at {sum(killed)} points ({told}) of {len(methods)} requests, each run again")
