"""Workspaces that work for root in a container of its own, and nowhere else."""

from __future__ import annotations

from tests.integration.planting import Fault, edit

START = "/usr/local/bin/start-workspace"

FAULTS = (
    Fault(
        name="base URL is not heeded",
        check="places.base-url",
        dockerfile=edit(START, "s/--ServerApp.base_url={base_url}/--ServerApp.base_url=\\//"),
        says="answer from /user/ann/api/status",
        together="open",
        also=(
            "places.sites-that-were-named-may-use-it",
            "places.user-without-a-name",
            "places.user-without-a-name-has-ssh",
        ),
    ),
    Fault(
        name="sites that begin as a friend's are let in",
        check="places.sites-that-were-named-may-use-it",
        dockerfile=edit(START, "s/allow_origin_pat={origins}/&.*/"),
        says="'a.friend.example.evil.example': 'in'",
    ),
    Fault(
        name="no name for other users",
        check="places.user-without-a-name-has-ssh",
        dockerfile="RUN rm /usr/lib/*/libnss_wrapper.so*",
        says="no answer on port 2222",
    ),
    Fault(
        name="home directory is another in kernels",
        check="places.empty-volume-on-the-home-directory",
        dockerfile=edit(
            START, '/^    env.setdefault("SHELL"/i \\    env["HOME"] = env["HOME"].replace("/root", "/tmp")'
        ),
        says="no file",
    ),
    Fault(
        name="no word about a folder that cannot be written to",
        check="places.read-only-mount",
        dockerfile=edit(START, "s/cannot be written to: notebooks in it cannot be saved/is fine/"),
        says="no warning",
    ),
)
