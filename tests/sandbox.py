"""A copy of this repository in which the documented commands of maintainers are run: as it is, with all it asks pretended.

Docker, cosign, syft and the scanner only pretend; package index and registry are real servers on loopback. Three images
are built and published, two of them four times over.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.recipe.lock import load_lock
from scripts.recipe.matrix import expand_all, load_families
from scripts.release.ledger import FILENAME, append_lines, load_ledger
from scripts.release.lines import Published
from scripts.smoke.record import hash_checks, save_record
from tests.attested import SYFT, make_build
from tests.conftest import DIGEST
from tests.pages import ROOT, load_pages
from tests.test_scanners import GRYPE
from tests.test_smoke_record import RECORD

if TYPE_CHECKING:
    from tests.conftest import Docker, PackageIndex
    from tests.fake_cosign import FakeCosign
    from tests.faulty_registry import FaultyRegistry

BUILT = ("python:3.11", "cuda:12.1", "torch:2.3.1-cuda12.1")
REVISIONS = 4


@dataclass(frozen=True)
class Sandbox:
    """The copy, and what its tasks see."""

    root: Path
    registry: FaultyRegistry
    environment: dict[str, str]

    def run(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in it; Invoke without its wrapper, which would make an environment of its own."""
        if words[0] == "./scripts/invoke":
            words = [str(Path(sys.executable).with_name("invoke")), *words[1:]]
        return subprocess.run(
            words, cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )


def make_sandbox(
    folder: Path, docker: Docker, cosign: FakeCosign, index: PackageIndex, registry: FaultyRegistry
) -> Sandbox:
    """Copy what git knows and what is new, and publish."""
    root = folder / "images"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    manifest = root / "cpu" / "versions.toml"
    manifest.write_text(manifest.read_text().replace("https://download.pytorch.org/whl/cpu", f"{index.url}/cpu"))
    shutil.copy(cosign.public(), root / "cosign.pub")
    fill_index(index)
    put_programs(docker, root)
    environment = {
        "PATH": os.pathsep.join([str(docker.folder), str(cosign.folder), os.defpath]),
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "COSIGN_PASSWORD": os.environ["COSIGN_PASSWORD"],
        "INVOKE_IMAGES_REGISTRY": f"{registry.host}/vessl-ai",
        "INVOKE_IMAGES_CACHE": str(folder / "cache"),
        "INVOKE_IMAGES_EVIDENCE_SIGN": cosign.key(),
        **{name: value for name, value in os.environ.items() if name.startswith("UV_") or name == "NO_PROXY"},
        **{f"GIT_{who}_{what}": "a@b.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    sandbox = Sandbox(root, registry, environment)
    for words in (
        ["init", "--quiet", "--initial-branch", "main"],
        ["add", "--all"],
        ["commit", "--quiet", "--message", "all"],
    ):
        subprocess.run(["git", *words], cwd=root, env=environment, check=True)
    publish(sandbox)
    return sandbox


def fill_index(index: PackageIndex) -> None:
    """A wheel of everything that is locked, at its version; none needs another."""
    families = [family for family in load_families(ROOT) if family.manifest.lock]
    locks = [load_lock(family, row) for family in families for row in family.manifest.image]
    found = {(pin.name, pin.version) for lock in locks for pins in lock.values() for pin in pins}
    found |= {("torch", "2.5.1"), ("torchvision", "0.20.1"), ("torchaudio", "2.5.1")}  # the row of the page
    for name, version in found | {(name, version.removesuffix("+cpu")) for name, version in found}:
        index.add(name, version)


def put_programs(docker: Docker, root: Path) -> None:
    """What else is on PATH, and what the registries of the bases say."""
    docker.answer(registry={spec.base: DIGEST for spec in expand_all(load_families(root))})
    report = json.dumps({**GRYPE, "matches": []})
    for name, text in (("syft", f"#!{sys.executable}\n{SYFT}"), ("grype", f"#!/bin/sh\ncat << 'END'\n{report}\nEND\n")):
        (docker.folder / name).write_text(text)
        (docker.folder / name).chmod(0o755)


def publish(sandbox: Sandbox) -> None:
    """Publish the images once by the tasks, and then again without them, which is faster."""
    specs = {spec.id: spec for spec in expand_all(load_families(sandbox.root))}
    where = f"{sandbox.registry.host}/vessl-ai"
    for name in BUILT:
        made = make_build(sandbox.root, where, name, {"etc/hostname": name})
        checks = hash_checks(sandbox.root, specs[name])
        save_record(sandbox.root / "out", replace(RECORD, id=name, digest=made.build.digest, checks=checks))
    for family, version in (("cpu", "3.11"), ("cuda", "12.1")):
        done = sandbox.run(["./scripts/invoke", "push", family, "--version", version])
        assert done.returncode == 0, done.stderr
        ledger = sandbox.root / "out" / "ledgers" / sandbox.registry.host.replace(":", "_") / family / FILENAME
        for line in load_ledger(ledger).lines:
            assert isinstance(line, Published)
            for number in range(2, REVISIONS + 1):
                change = {"revision": number, "replaces": number - 1, "same_as": 1}
                append_lines(ledger, line.model_copy(update=change))
                repository = line.repository.partition("/")[2]
                sandbox.registry.tags[repository][f"{line.tag}-r{number}"] = line.digest


def add_row_of_page(sandbox: Sandbox) -> None:
    """Do the step of "Add a version" that is no command: put its row into the version manifest."""
    (row,) = [block.text for block in load_pages()["docs/maintaining.md"].blocks if block.language == "toml"]
    with (sandbox.root / "cuda" / "versions.toml").open("a") as file:
        file.write(f"\n{row}")
