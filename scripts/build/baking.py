"""Run ``docker buildx bake``, one for each builder and all at the same time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.build.bake import render_bake
from scripts.build.builders import inspect_builder
from scripts.build.engine import free_space
from scripts.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scripts.build.builders import Builder, Share
    from scripts.build.settings import Settings

    Say = Callable[[str], None]
    Run = Callable[[Sequence[str], str, Path, Mapping[str, str]], int]

# Bytes that a disk counts as full under.
NEARLY_FULL = 1_000_000_000
# Paths outside the working directory are named by us, not by the Dockerfiles (buildx 0.20 asks for this).
ENVIRONMENT: Mapping[str, str] = {"BUILDX_BAKE_ENTITLEMENTS_FS": "0", "BUILDX_GIT_INFO": "false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Baked:
    """What became of the shares of several builders."""

    digests: Mapping[str, str]
    """Digest that BuildKit tells, by target, of what was built."""
    faults: Sequence[str] = field(default_factory=tuple)
    """Why the rest was not, a sentence for each builder that failed."""


def bake_shares(shares: Sequence[Share], settings: Settings, say: Say) -> Baked:
    """Have each builder build its share; one that fails does not keep the others from theirs.

    What several builders say at the same time is told apart by their names at the start of each line.
    """
    if len(shares) == 1:  # it draws on our terminal, and Ctrl-C comes there
        results = [_bake(shares[0], settings, run_foreground)]
    else:
        results = _bake_together(shares, settings, say)
    digests = {target: digest for result in results if isinstance(result, dict) for target, digest in result.items()}
    return Baked(digests=digests, faults=tuple(result for result in results if isinstance(result, str)))


def _bake_together(shares: Sequence[Share], settings: Settings, say: Say) -> list[dict[str, str] | str]:
    """Bake each share in a thread."""
    running: list[subprocess.Popen[str]] = []

    def bake(share: Share) -> dict[str, str] | str:
        def run(command: Sequence[str], text: str, cwd: Path, environment: Mapping[str, str]) -> int:
            def tell(line: str) -> None:
                say(f"{share.builder.name}: {line}")

            return _run_told_apart(command, text, cwd, environment, tell, running)

        return _bake(share, replace(settings, progress="plain"), run)

    for share in shares:
        say(f"{share.builder.title}: {', '.join(_names(share))}")
    with ThreadPoolExecutor(len(shares)) as pool:
        try:
            return list(pool.map(bake, shares))
        except KeyboardInterrupt:
            for process in running:
                process.send_signal(signal.SIGINT)
            raise


def _bake(share: Share, settings: Settings, run: Run) -> dict[str, str] | str:
    """Run bake with the definition on stdin: digests by target, or why there are none."""
    with tempfile.NamedTemporaryFile(suffix=".json") as metadata:
        command = ["docker", "buildx", "bake", "--file", "-", "--metadata-file", metadata.name]
        command += [f"--progress={settings.progress}"]
        if share.builder.name:
            command += ["--builder", share.builder.name]
        for build in share.builds:
            for override in settings.overrides:
                command += ["--set", f"{build.target}.{override}"]
        definition = render_bake(share.builds, root=settings.root, no_cache=settings.no_cache)
        returncode = run(command, definition, settings.root, {**ENVIRONMENT, **_context(share.builder)})
        if returncode:
            return _why(share, settings)
        found = json.loads(Path(metadata.name).read_text(encoding="utf-8"))
        return {
            name: target["containerimage.digest"] for name, target in found.items() if "containerimage.digest" in target
        }


def _context(builder: Builder) -> dict[str, str]:
    """What has buildx take the engine of another docker context: it builds on that of the current one only."""
    if builder.driver == "docker" and builder.name not in {"", "default"}:
        return {"DOCKER_CONTEXT": builder.name, "DOCKER_HOST": ""}
    return {}


def _why(share: Share, settings: Settings) -> str:
    """Why a builder built nothing: it is gone, the disk is full, or a step failed."""
    names = ", ".join(_names(share))
    if share.builder.name:
        names = f"{share.builder.title}: {names}"
        try:
            inspect_builder(share.builder.name)
        except BuildError as error:
            gone = str(error).removeprefix(f"{share.builder.title}: ")
            return f"{names}: not built: it does not answer any more: {gone}; what others built is kept, run it again"
    left = free_space(settings.out)
    full = f" (no space left: {left / 1e9:.1f} GB free in {settings.out})" if left < NEARLY_FULL else ""
    return f"{names}: the build failed{full}; the failing step and the end of its output are above"


def _names(share: Share) -> list[str]:
    return [f"{item.spec.id} ({item.platform})" if item.platform else item.spec.id for item in share.builds]


def _run_told_apart(
    command: Sequence[str],
    text: str,
    root: Path,
    environment: Mapping[str, str],
    tell: Say,
    running: list[subprocess.Popen[str]],
) -> int:
    """Run a command and tell what it says line by line.

    :param running: where it stands while it runs, for whoever interrupts it.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=root,
        env={**os.environ, **environment},
        text=True,
        errors="replace",
    ) as process:
        assert process.stdin  # noqa: S101 - it was asked for
        assert process.stdout  # noqa: S101 - it was asked for
        running.append(process)
        with suppress(BrokenPipeError):  # its reason follows
            process.stdin.write(text)
            process.stdin.close()
        for line in process.stdout:
            if line.strip():
                tell(line.rstrip())
    return process.returncode


def run_foreground(command: Sequence[str], text: str, cwd: Path, environment: Mapping[str, str] = ENVIRONMENT) -> int:
    """Run a command that draws its own progress on our terminal, with ``text`` on its stdin.

    Ctrl-C reaches the command as it reaches us; it is waited for, so that nothing is written after we clean up.
    """
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=2, cwd=cwd, env={**os.environ, **environment}, text=True
    ) as process:
        try:
            process.communicate(text)
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
        return process.returncode
