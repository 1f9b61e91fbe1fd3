"""The sides of the benchmark: each builds the same image its own way, from one copy of the checkout, to an OCI layout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scripts.build.bake import render_bake
from scripts.build.build import prepare, provide_bases
from scripts.build.layout import seed
from scripts.build.plan import plan_builds
from scripts.console import say
from scripts.recipe.dockerfile import load_dockerfile
from scripts.recipe.inputs import context_files, is_lock
from scripts.recipe.lock import parse_layer, render_layer
from scripts.recipe.matrix import expand_all, load_families
from tests.bench.building import run_buildx
from tests.bench.figures import Side
from tests.bench.plain import bumped, write_context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.build.bake import Build
    from scripts.build.settings import Settings
    from scripts.recipe.lock import Pin
    from tests.bench.building import Built
    from tests.bench.engine import OwnEngine

HERE: Final = Path(__file__).parent
START: Final = "scripts/image/start-workspace"
DOCKERFILES: Final = {Side.PLAIN: "Dockerfile", Side.COMPILED: "Dockerfile", Side.SORTED: "Dockerfile.sorted"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One image as both sides build it here: what was found out about this machine, and a copy of the checkout."""

    build: Build
    root: Path
    """The copy, which may be changed."""
    work: Path

    def lock_files(self) -> dict[Path, tuple[Pin, ...]]:
        """The lock files of the image, with their pins."""
        files = context_files(self.root, self.build.spec, load_dockerfile(self.build.spec.dockerfile))
        return {path: parse_layer(path.read_text(encoding="utf-8")) for path in files if is_lock(self.root, path)}

    @property
    def pins(self) -> tuple[Pin, ...]:
        """All distributions of the image."""
        return tuple(pin for pins in self.lock_files().values() for pin in pins)

    def bump(self, to: Pin) -> None:
        """Move one pin in the lock."""
        bumped(self.pins, to)
        for path, pins in self.lock_files().items():
            if any(pin.name == to.name for pin in pins):
                path.write_text(render_layer(bumped(pins, to)), encoding="utf-8")

    def save(self) -> dict[Path, bytes]:
        """The files that ``bump`` and ``edit`` change, as they are now."""
        return {path: path.read_bytes() for path in (*self.lock_files(), self.root / START)}

    def restore(self, files: dict[Path, bytes]) -> None:
        """Put files back."""
        for path, content in files.items():
            path.write_bytes(content)

    def edit(self, word: str) -> None:
        """Change start-workspace, by a comment."""
        with (self.root / START).open("a", encoding="utf-8") as file:
            file.write(f"# {word}\n")

    def make(self, side: Side, engine: OwnEngine, layout: Path, *, before: Path | None = None) -> Built:
        """Build a side of it to an OCI layout directory.

        :param before: layout of the build before, so that blobs that did not change are not exported again.
        :raises BuildError: if the build fails.
        """
        shutil.rmtree(layout, ignore_errors=True)
        layout.mkdir(parents=True)
        if before is None:
            return self._make(side, engine, layout)
        if side is not Side.OURS:  # who builds to the same place again has them there
            shutil.copytree(before / "blobs", layout / "blobs", copy_function=os.link)
            return self._make(side, engine, layout)
        began = time.monotonic()
        seed(before.parent, before.name, layout)
        seconds = time.monotonic() - began
        built = self._make(side, engine, layout)
        return replace(built, seconds=built.seconds + seconds)

    def _make(self, side: Side, engine: OwnEngine, layout: Path) -> Built:
        record = self.work / "buildx.log"
        if side is Side.OURS:
            definition = render_bake([replace(self.build, output=layout)], root=self.root)
            return run_buildx(["bake", "--file", "-"], engine, cwd=self.root, record=record, definition=definition)
        context = self.work / "plain"
        write_context(self.root, self.pins, context)
        return run_buildx(self._plain(side, context, layout), engine, cwd=context, record=record)

    def _plain(self, side: Side, context: Path, layout: Path) -> list[str]:
        args = {name: self.build.spec.build_args[name] for name in ("BASE_IMAGE", "PYTHON_VERSION")}
        args["TORCH_INDEX"] = self.build.args.get("TORCH_INDEX", self.build.spec.torch_index or "")
        if side is Side.COMPILED:
            args["COMPILE"] = "--compile"
        contexts = {name: value for name, value in self.build.contexts.items() if name != "uv"}
        secrets = [secret for secret in self.build.secrets if secret.id != "uv-config"]
        return [
            *("build", str(context), "--file", str(HERE / DOCKERFILES[side]), "--provenance=false"),
            *(f"--build-arg={name}={value}" for name, value in args.items()),
            *(f"--build-context={name}={value}" for name, value in contexts.items()),
            *(f"--secret=id={secret.id},src={secret.path}" for secret in secrets),
            f"--secret=id=pip-config,src={self.work / 'pip.conf'}",
            f"--output=type=oci,tar=false,dest={layout}",
        ]


def prepare_subject(image: str, settings: Settings, work: Path) -> Subject:
    """Find out what the builds of an image need of this machine, and copy the checkout.

    :raises UsageError: if the copy's version manifests are faulty.
    :raises BuildError: if a base or a wheel index can be had from nowhere.
    """
    root = work / "checkout"
    copy_checkout(settings.root, root)
    copied = replace(settings, root=root, out=work / "out")
    specs = [spec for spec in expand_all(load_families(root)) if spec.id == image]
    steps = provide_bases(plan_builds(specs, copied), copied, say)
    (build,) = prepare(steps, copied, work, say)
    (work / "pip.conf").touch(mode=0o600)
    (work / "pip.conf").write_text("\n".join(_pip_config(build, settings)) + "\n", encoding="utf-8")
    return Subject(build=build, root=root, work=work)


def _pip_config(build: Build, settings: Settings) -> Iterator[str]:
    yield "[global]"
    yield "disable-pip-version-check = true"
    if any(secret.id == "ca-bundle" for secret in build.secrets):
        yield "cert = /run/secrets/ca-bundle"
    if settings.index_url:
        yield f"index-url = {settings.index_url}"


def copy_checkout(source: Path, target: Path) -> None:
    """Copy what git knows of a checkout, as it stands there now."""
    command = ["git", "-c", "safe.directory=*", "-C", str(source), "ls-files", "-z"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, target / name)


def layers_of(layout: Path) -> dict[str, int]:
    """Digest to compressed bytes of everything that a pull of the image takes: its layers and its config."""
    (entry,) = json.loads((layout / "index.json").read_text(encoding="utf-8"))["manifests"]
    blob = layout / "blobs" / "sha256" / entry["digest"].removeprefix("sha256:")
    manifest = json.loads(blob.read_text(encoding="utf-8"))
    return {item["digest"]: item["size"] for item in (manifest["config"], *manifest["layers"])}
