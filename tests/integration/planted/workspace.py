"""Workspaces that do not start, stop or end as they should."""

from __future__ import annotations

from tests.integration.planting import Fault, edit

START = "/usr/local/bin/start-workspace"

FAULTS = (
    Fault(
        name="starts without a token",
        check="workspace.does-not-start-without-a-token",
        dockerfile=edit(START, 's/^    if not token and setting("VESSL_ALLOW_NO_TOKEN") != "1":/    if False:/'),
        says="it started",
        together="open",
    ),
    Fault(
        name="open without a warning",
        check="workspace.starts-open-only-if-told",
        dockerfile=edit(START, "s/WARNING: no token: everyone who can reach the port can run commands here/ready/"),
        says="no warning",
    ),
    Fault(
        name="SIGTERM stops nothing",
        check="workspace.stops-soon",
        dockerfile=edit(
            START,
            "s/^            self.end_children(signal.SIGTERM)/            pass/; s/^STOP_SECONDS = 4/STOP_SECONDS = 60/",
        ),
        says="still running",
    ),
    Fault(
        name="ends well when JupyterLab did not",
        check="workspace.ends-when-jupyterlab-does",
        dockerfile=edit(START, "s/return code if code >= 0 else 128 - code/return 0/"),
        says="0: workspace: JupyterLab ended",
    ),
)
