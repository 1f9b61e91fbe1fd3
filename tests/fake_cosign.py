"""A cosign that only pretends, on PATH, and keys for it; what the real one does is in tests/integration."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.release.cosign import Cosign

WORD = "open sesame"


@dataclass(frozen=True)
class FakeCosign:
    """The folder that it is in."""

    folder: Path

    @property
    def tool(self) -> Cosign:
        return Cosign(str(self.folder / "cosign"))

    def key(self, name: str = "ours") -> str:
        """A private key."""
        path = self.folder / f"{name}.key"
        path.write_text(f"{WORD}\n")
        return str(path)

    def public(self, name: str = "ours") -> str:
        """The public part of a key, as a file."""
        path = self.folder / f"{name}.pub"
        path.write_text(self.tool.public_key(self.key(name)))
        return str(path)

    def answer(self, **answers: Any) -> None:
        (self.folder / "cosign.json").write_text(json.dumps(answers))

    def calls(self, command: str) -> list[list[str]]:
        path = self.folder / "cosign-calls.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [words for words in map(json.loads, lines) if words[0] == command]


def put_cosign(folder: Path) -> FakeCosign:
    """Put it into a folder."""
    folder.mkdir(exist_ok=True)
    program = folder / "cosign"
    program.write_text(f"#!{sys.executable} -IS\n{(Path(__file__).parent / 'data' / 'cosign').read_text()}")
    program.chmod(0o755)
    return FakeCosign(folder)
