"""A pytest plugin that writes what each check measured to a file: ``-p scripts.smoke.plugin --results FILE``.

With ``--checks NAMES`` only those run, by the names that the report has.

A check claims what it measures through the fixture ``claim``. One that claims nothing fails: it cannot have looked.
"""

from __future__ import annotations

import json
import signal
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scripts.smoke.record import Outcome, Result

if TYPE_CHECKING:
    from collections.abc import Sequence

MEASURED, EXPECTED, FACT = "measured", "expected", "fact"
Properties = list[tuple[str, object]]


class Claim:
    """What a check measured, against what it should be; the last one that was made is what the report shows."""

    def __init__(self, properties: Properties) -> None:
        self._properties = properties

    def __call__(self, measured: object, expected: object, *, ok: bool | None = None) -> None:
        """Claim that something measured is as expected.

        :param ok: whether it is, where that is not a question of being equal.
        """
        self._properties += [(MEASURED, str(measured)), (EXPECTED, str(expected))]
        if not (measured == expected if ok is None else ok):
            pytest.fail(" ".join(f"measured {measured}, expected {expected}".split()), pytrace=False)

    def fact(self, name: str, value: Any) -> None:
        """Write something that is worth knowing into the record; ``value`` is JSON."""
        self._properties.append((FACT, json.dumps([name, value])))


@pytest.fixture
def claim(request: pytest.FixtureRequest) -> Claim:
    """How a check says what it measured."""
    return Claim(request.node.user_properties)


def name_of(nodeid: str) -> str:
    """The name of a check: ``tests/smoke/test_declared.py::test_python`` is ``declared.python``."""
    path, _, function = nodeid.partition("::")
    return f"{Path(path).stem.removeprefix('test_')}.{function.removeprefix('test_').replace('_', '-')}"


class Collector:
    """Puts the reports of setup, call and teardown of every check together."""

    def __init__(self) -> None:
        self.planned: set[str] = set()
        self.reports: dict[str, list[pytest.TestReport]] = {}
        self.broken: dict[str, str] = {}

    @pytest.hookimpl
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module of checks could not be read: none of its checks ran, which must not look like a pass."""
        if report.failed:
            self.broken[report.nodeid] = str(report.longrepr).strip().rpartition("\n")[2].removeprefix("E").strip()

    @pytest.hookimpl
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """What is to run is known, if there are no workers."""
        self.planned |= {item.nodeid for item in session.items}

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: object, ids: Sequence[str]) -> None:  # noqa: ARG002 - xdist's
        """What is to run is known, from a worker."""
        self.planned |= set(ids)

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One phase of one check has ended, here or on a worker."""
        self.reports.setdefault(report.nodeid, []).append(report)

    def results(self) -> list[Result]:
        """All checks, by name, and what could not be read in place of its checks."""
        found = [_result(name_of(node), group) for node, group in self.reports.items()]
        silent = [(name_of(node), "it did not run") for node in self.planned - self.reports.keys()]
        for name, reason in [*((name_of(node).rstrip("."), why) for node, why in self.broken.items()), *silent]:
            found.append(Result(check=name, outcome=Outcome.FAIL, measured="", expected="", reason=reason, seconds=0))
        return sorted(found, key=lambda result: result.check)

    def names(self) -> list[str]:
        """What there should be a result for."""
        return sorted({name_of(node) for node in self.planned} | {name_of(node).rstrip(".") for node in self.broken})

    def facts(self) -> dict[str, Any]:
        """All facts that checks noted."""
        properties = (pair for group in self.reports.values() for report in group for pair in report.user_properties)
        return dict(json.loads(str(value)) for name, value in properties if name == FACT)


def _result(name: str, reports: list[pytest.TestReport]) -> Result:
    # The later phases' reports repeat the properties of the earlier ones.
    claimed = {key: str(value) for key, value in reports[-1].user_properties if key in (MEASURED, EXPECTED)}
    outcome, reason = Outcome.PASS, ""
    if skipped := next((report for report in reports if report.skipped), None):
        outcome, reason = Outcome.SKIP, _why_skipped(skipped)
    if failed := next((report for report in reports if report.failed), None):
        outcome, reason = Outcome.FAIL, _why_failed(failed)
    if outcome is Outcome.PASS and MEASURED not in claimed:
        outcome, reason = Outcome.FAIL, "the check measured nothing"
    return Result(
        check=name,
        outcome=outcome,
        measured=claimed.get(MEASURED, ""),
        expected=claimed.get(EXPECTED, ""),
        reason=reason,
        seconds=round(sum(report.duration for report in reports), 2),
    )


def _why_skipped(report: pytest.TestReport) -> str:
    return str(report.longrepr[2]).removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""


def _why_failed(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    message = str(crash.message if crash else report.longrepr or "").strip()
    where = "" if report.when == "call" else f"{report.when}: "
    return where + (message.partition("\n")[0].removeprefix("Failed: ").removeprefix("AssertionError: ") or "failed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the file."""
    parser.addoption("--results", metavar="FILE", help="write what the checks measured to FILE, as JSON")
    parser.addoption("--checks", metavar="NAMES", help="run these checks only: names of the report, comma-separated")


def pytest_configure(config: pytest.Config) -> None:
    """Collect, but not on a worker of xdist: its reports reach the controller."""
    if config.getoption("--results") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Collector(), "smoke-collector")
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(*_: object) -> None:
    """End the run, once: another Ctrl-C would end what removes the containers, and then it hangs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what was not asked for."""
    if asked := config.getoption("--checks"):
        wanted = set(asked.split(","))
        items[:] = [item for item in items if name_of(item.nodeid) in wanted]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the file."""
    collector = session.config.pluginmanager.get_plugin("smoke-collector")
    if isinstance(collector, Collector):
        content = {
            "planned": collector.names(),
            "results": [asdict(result) for result in collector.results()],
            "facts": collector.facts(),
        }
        Path(session.config.getoption("--results")).write_text(json.dumps(content), encoding="utf-8")
