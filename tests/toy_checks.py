"""A repository with one image and checks that need no engine, for tests of the smoke command around them."""

from __future__ import annotations

import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.smoke import __main__ as program

if TYPE_CHECKING:
    import pytest

    from tests.conftest import Repository

ROOT = Path(__file__).resolve().parent.parent
NAME = "quay.io/vessl-ai/app:1"
DIGEST = "sha256:" + "ab" * 32
OTHER = "sha256:" + "cd" * 32
CONFTEST = """
def pytest_addoption(parser):
    for name in ("--image", "--digest", "--layout", "--scans", "--platform"):
        parser.addoption(name)
    for name in ("--stand-in", "--gpu"):
        parser.addoption(name, action="store_true")
"""
CHECKS = """
import pytest

def test_digest(claim, request):
    claim(request.config.getoption("--digest"), "sha256:", ok=True)
    claim.fact("workspace start seconds", 1.2)

def test_id(claim, request):
    claim(request.config.getoption("--image"), "app:1")

def test_gpu(claim, request):
    if not request.config.getoption("--gpu"):
        pytest.skip("no GPU in this engine")
    claim(1, 1)
"""


@dataclass(frozen=True)
class Toy:
    """The command, on that repository."""

    root: Path

    @property
    def out(self) -> Path:
        return self.root / "out"

    @property
    def checks(self) -> Path:
        """The file of the checks."""
        return self.root / "tests" / "smoke" / "test_toy.py"

    def smoke(self, *arguments: str) -> int:
        before = {number: signal.getsignal(number) for number in program.ENDINGS}
        try:
            return program.main([*arguments, "--workers", "1"], self.root)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def make_toy(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Toy:
    toy = Toy(repository.root)
    repository.family()
    shutil.copy(ROOT / "invoke.yaml", toy.root)
    toy.checks.parent.mkdir(parents=True)
    toy.checks.with_name("conftest.py").write_text(CONFTEST)
    toy.checks.write_text(CHECKS)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("IMAGES_SETUP", raising=False)
    return toy
