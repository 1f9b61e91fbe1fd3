"""What tests have measured, at the end of a run: workers of xdist have no stdout of their own to print it on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "measured"


@pytest.fixture
def measured(record_property: Callable[[str, Any], None]) -> Callable[[str], None]:
    """Have a line shown at the end of the run, and kept in a report."""
    return lambda line: record_property(KEY, line)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show the lines, also those of tests that have failed."""
    lines = [
        str(value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for key, value in report.user_properties
        if key == KEY
    ]
    if lines:
        terminalreporter.section(KEY)
    for line in lines:
        terminalreporter.write_line(line)
