"""A checkout of the wrappers alone, with a fake uv, for tests of what they decide."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parent.parent
TOOLS = "cat chmod cmp cp cut date dirname flock grep id mkdir mktemp mv readlink rm sed sh sleep tail".split()  # noqa: SIM905 - one line reads better


class Checkout:
    """A copy of the wrappers with a small requirements.txt, and a PATH that holds only what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a checkout"
        self.bin = folder / "bin"
        self.calls_file = folder / "calls"
        (self.root / "scripts").mkdir(parents=True)
        self.bin.mkdir()
        for name in ("invoke", "nox", "setup"):
            shutil.copy(ROOT / "scripts" / name, self.root / "scripts" / name)
        self.requirements = self.root / "requirements.txt"
        self.requirements.write_text("invoke==1.0\n")
        for tool in TOOLS:
            (self.bin / tool).symlink_to(str(shutil.which(tool)))
        self.fake("python3", f'exec {shlex.quote(os.path.realpath(sys.executable))} "$@"')

    def fake(self, name: str, body: str) -> None:
        """Put a program on PATH that notes how it was called."""
        note = f"printf '%s\\n' \"{name} $1\" >>{shlex.quote(str(self.calls_file))}"
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).write_text(f"#!/bin/sh\n{note}\n{body}\n")
        (self.bin / name).chmod(0o755)

    def fake_uv(self, install: str = ":") -> None:
        """Make environments with the real Python but without a network, and tools that show how they are run."""
        tool = 'echo "$0 $*"; echo "$PWD $IMAGES_SETUP $VIRTUAL_ENV ${PYTHONHOME:-} ${PYTHONPATH:-} ${PATH%%:*} $IMAGES_CALLER"; exit 7'
        venv = shlex.quote(str(self.root / ".venv"))
        self.fake(
            "uv",
            'case "$1 $2" in\n'
            '"--version "*) ;;\n'
            '"venv "*) exec "$4" -I -m venv --without-pip "$5" ;;\n'
            f'"pip "*) {install}\n'
            f"for t in invoke nox; do printf '%s\\n' '#!/bin/sh' {shlex.quote(tool)} >{venv}/bin/$t; chmod 755 {venv}/bin/$t; done ;;\n"
            "esac",
        )

    @property
    def installs(self) -> int:
        return self.calls_file.read_text().splitlines().count("uv pip") if self.calls_file.exists() else 0

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        return {"PATH": str(self.bin), "HOME": str(self.bin.parent), "TMPDIR": str(self.bin.parent), **(extra or {})}

    def start(
        self, *command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        command = command or (str(self.root / "scripts/invoke"), "list")
        out = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=cwd, env=self.environment(env), stdout=out, stderr=out, text=True, start_new_session=True
        )

    def run(
        self, *command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> tuple[int, str, list[str]]:
        """Return the exit code, standard output, and the lines on standard error."""
        with self.start(*command, cwd=cwd, env=env) as process:
            out, err = process.communicate(timeout=120)
        return process.returncode, out, err.splitlines()
