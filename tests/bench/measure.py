"""The measurements: one function for each, which measures one side once. In MB of a million bytes, and seconds."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

import requests

from scripts.errors import BuildError
from tests.bench.sides import layers_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.bench.engine import OwnEngine

TOKEN: Final = "token-of-the-benchmark"  # noqa: S105 - of containers that live for seconds
LIMIT: Final = 180.0
"""Seconds after which a container counts as hung."""


def compressed_size(layout: Path) -> float:
    """MB that a pull of all of an image takes."""
    return sum(layers_of(layout).values()) / 1e6


def pulled_again(before: Path, after: Path) -> float:
    """MB that a pull of one image takes where another is already."""
    had = layers_of(before)
    return sum(size for digest, size in layers_of(after).items() if digest not in had) / 1e6


def pull(engine: OwnEngine, reference: str) -> float:
    """Seconds until an engine has fetched and unpacked an image."""
    os.sync()  # what the side before has left to be written is not for this one to wait for
    began = time.monotonic()
    engine.docker("pull", "--quiet", reference)
    return time.monotonic() - began


def start_to_status(engine: OwnEngine, image: str) -> float:
    """Seconds from the start of a container until its Jupyter answers to ``/api/status``.

    :raises BuildError: if it does not, with its log.
    """
    name = engine.docker("create", "--env", f"VESSL_TOKEN={TOKEN}", "--publish", "127.0.0.1::8888", image).strip()
    try:
        began = time.monotonic()
        engine.docker("start", name)
        address = engine.docker("port", name, "8888/tcp").split()[0]
        with requests.Session() as session:
            session.trust_env = False  # no proxy to loopback
            while not _answers(session, f"http://{address}/api/status"):
                if time.monotonic() - began > LIMIT:
                    raise BuildError(f"{image}: no Jupyter within {LIMIT:g} s: {engine.docker('logs', name)[-600:]}")
                time.sleep(0.01)
        return time.monotonic() - began
    finally:
        engine.docker("rm", "--force", "--volumes", name)


def _answers(session: requests.Session, address: str) -> bool:
    try:
        return session.get(address, headers={"Authorization": f"token {TOKEN}"}, timeout=5).status_code == 200
    except requests.RequestException:
        return False


def imports(engine: OwnEngine, image: str, modules: Sequence[str]) -> float:
    """Seconds from the start of a new container until its Python has imported the modules and ended."""
    code = f"import {', '.join(modules)}"
    name = engine.docker("create", "--env", "TF_CPP_MIN_LOG_LEVEL=3", image, "python", "-c", code).strip()
    try:
        began = time.monotonic()
        engine.docker("start", name)
        ended = engine.docker("wait", name).strip()
        seconds = time.monotonic() - began
        if ended != "0":
            log = engine.docker("logs", name)[-600:]
            raise BuildError(f"{image}: python -c {code!r} ended with code {ended}: {log}")
        return seconds
    finally:
        engine.docker("rm", "--force", "--volumes", name)


def contents(engine: OwnEngine, image: str, packages: Sequence[str]) -> dict[str, frozenset[str]]:
    """What images have to have in common to be compared: Python distributions and some Debian packages, with versions.

    Only some, because to do without what nobody uses of a package's dependencies is part of what is compared.
    """
    pip = ["python", "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"]
    dpkg = ["dpkg-query", "--show", "--showformat", "${Package}=${Version}\n", *packages]
    listed = {
        kind: engine.docker("run", "--rm", "--network=none", "--entrypoint", command[0], image, *command[1:])
        for kind, command in (("Python", pip), ("Debian", dpkg))
    }
    return {kind: frozenset(text.split()) for kind, text in listed.items()}
