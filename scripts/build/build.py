"""Carry out a plan: ``docker buildx bake`` to OCI layouts, and the layouts into the engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.build import layout
from scripts.build.bake import Build, render_bake
from scripts.build.engine import free_space
from scripts.build.layout import Record
from scripts.build.plan import Action, plan_build, recipe_commit
from scripts.build.room import batches, need_of, require_room
from scripts.build.sources import Base, find_torch_wheels, provide_secrets, provide_stand_in, provide_uv
from scripts.errors import BuildError, UsageError
from scripts.recipe.dockerfile import load_dockerfile
from scripts.recipe.inputs import locked_pins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from scripts.build.plan import Step
    from scripts.build.settings import Settings
    from scripts.recipe.lock import Pin
    from scripts.recipe.matrix import ImageSpec


# Bytes: what a disk counts as full under, and what a build is let start with, by whether it has CUDA: its layers twice, their cache, and the load.
NEARLY_FULL = 1_000_000_000
SPACE = {False: 10_000_000_000, True: 25_000_000_000}


def prepare(steps: Sequence[Step], settings: Settings, work: Path, say: Callable[[str], None]) -> tuple[Build, ...]:
    """Everything that the builds of ``steps`` need of this machine, found or made.

    :param work: directory for files that are gone after the build.
    :raises BuildError: if a base or a wheel index can be had from nowhere.
    """
    uv = provide_uv(settings.cache / "tools")
    secrets = provide_secrets(work, ca_bundle=settings.ca_bundle, index_url=settings.index_url)
    builds = []
    for step in steps:
        spec = step.spec
        base = step.base
        dockerfile = load_dockerfile(spec.dockerfile)
        pins = locked_pins(settings.root, spec)
        refuse_stale_lock(spec, pins)
        torch = find_torch_wheels(spec, pins, settings.wheels)
        contexts = {"uv": str(uv), **({base.reference: base.context} if base.context else {})}
        args = {}
        if torch.folder:
            say(f"{spec.id}: wheels of torch from {torch.folder}: {spec.torch_index} can't be reached ({torch.why})")
            contexts["wheels"] = str(torch.folder)
            args["TORCH_INDEX"] = ""
        commit = recipe_commit(settings.root, spec, dockerfile)
        builds.append(
            Build(
                spec=spec,
                output=layout.directory_of(settings.out, spec.id),
                recipe_hash=step.recipe.hash,
                base_digest=base.digest,
                stand_in=base.stand_in,
                commit=commit.id,
                epoch=commit.epoch,
                source=settings.source,
                contexts=contexts,
                args=args,
                secrets=secrets,
                cache_to=settings.cache_to,
                cache_from=settings.cache_from,
            )
        )
    return tuple(builds)


def refuse_stale_lock(spec: ImageSpec, pins: Iterable[Pin]) -> None:
    """Refuse to build an image whose lock has other versions than its tag will promise.

    :raises UsageError: with every package that differs.
    """
    locked = {pin.name: pin.version.removesuffix("+cpu") for pin in pins}
    if not locked:  # the base brings the packages
        return
    faults = [
        f"{name} {version} is asked for, {locked.get(name, 'none')} is locked"
        for name, version in spec.packages.items()
        if locked.get(name) != version
    ]
    if faults:
        fix = f"run `invoke lock {spec.family} --version {spec.version}`"
        raise UsageError(f"{spec.family}/locks/{spec.version}: {', '.join(faults)}: {fix}")


def provide_bases(steps: Sequence[Step], settings: Settings, say: Callable[[str], None]) -> tuple[Step, ...]:
    """The steps with their stand-ins made, and planned again where one was: its digest is part of the recipe.

    Loud about each stand-in.

    :raises BuildError: if a stand-in cannot be made.
    """
    bases: dict[Base, Base] = {}
    for base in dict.fromkeys(step.base for step in steps):  # not by name: two rows may pin one to different digests
        if base.stand_in:
            say(f"{base.reference}: USING A STAND-IN BASE: the real one could not be resolved: {base.why}")
        elif base.why:
            say(f"{base.reference}: using the engine's copy: its registry did not answer: {base.why}")
        bases[base] = provide_stand_in(base, settings.cache / "bases", say)
    return tuple(
        step
        if (base := bases[step.base]) == step.base
        else plan_build(step.spec, base, layout.load_record(settings.out, step.spec.id), settings)
        for step in steps
    )


def carry_out(steps: Sequence[Step], settings: Settings, say: Callable[[str], None]) -> tuple[Record, ...]:
    """Build what a plan says is to be built, to OCI layouts, and say why; the records of what was built.

    :raises BuildError: if the plan has an image that can't be built, if the disk is too full, and as ``prepare`` and
        ``build_images``.
    """
    impossible = [step for step in steps if step.action is Action.IMPOSSIBLE]
    if impossible:
        raise BuildError("\n".join(f"{step.spec.id}: {step.base.reference}: {step.why}" for step in impossible))
    pending = provide_bases([step for step in steps if step.action is Action.BUILD], settings, say)
    planned = {step.spec.id: step for step in (*steps, *pending)}
    wanted = [step for step in planned.values() if step.action is Action.BUILD]
    for step in planned.values():
        verb = "building" if step.action is Action.BUILD else "nothing to build"
        say(f"{step.spec.id}: {verb}: {step.why}")
    if not wanted:
        return ()
    need = max(need_of(step.spec, settings, SPACE) for step in wanted)
    recipes = {step.spec.id: step.recipe.parts for step in wanted}
    records: list[Record] = []
    faults: list[BuildError] = []
    with tempfile.TemporaryDirectory() as work:
        require_room([wanted[0].spec], settings, SPACE)
        builds = prepare(wanted, settings, Path(work), say)
        for batch in batches(builds, lambda build: build.spec, settings, need):
            try:
                require_room([build.spec for build in batch], settings, SPACE)
                records += build_images(batch, recipes, settings)
            except BuildError as error:  # the rest goes on
                faults.append(error)
    if faults:
        raise BuildError("\n".join(map(str, faults)))
    return tuple(records)


def build_images(
    builds: Sequence[Build], recipes: Mapping[str, Mapping[str, str]], settings: Settings
) -> tuple[Record, ...]:
    """Build all of ``builds`` in one run of bake, so that BuildKit shares their stages.

    Whatever ends it early, Ctrl-C included, leaves what was built before as it was.

    :param recipes: the parts of each image's recipe, for the records.
    :raises BuildError: if bake fails; BuildKit has then shown the failing step and the end of its output.
    """
    with ExitStack() as stack:
        builds = [
            replace(build, output=stack.enter_context(layout.partial(settings.out, build.spec.id))) for build in builds
        ]
        for build in builds if not settings.no_cache else ():
            layout.seed(settings.out, build.spec.id, build.output)
        metadata = _bake(builds, settings)
        records = []
        for build in builds:
            spec, descriptor = build.spec, layout.read_descriptor(build.output)
            told = metadata.get(spec.target, {}).get("containerimage.digest", "nothing that it tells")
            if told != descriptor.digest:
                raise BuildError(f"{spec.id}: the layout holds {descriptor.digest}, BuildKit made {told}")
            layout.drop_others(build.output)
            record = Record(
                id=spec.id,
                digest=descriptor.digest,
                size=layout.size_of(build.output),
                recipe=recipes[spec.id],
                base=build.base_digest,
                stand_in=build.stand_in,
                commit=build.commit,
                epoch=build.epoch,
            )
            layout.finish(settings.out, build.output, record)
            records.append(record)
        return tuple(records)


def _bake(builds: Sequence[Build], settings: Settings) -> dict[str, dict[str, str]]:
    """Run bake with the definition on stdin; its metadata by target."""
    with tempfile.NamedTemporaryFile(suffix=".json") as metadata:
        command = ["docker", "buildx", "bake", "--file", "-", "--metadata-file", metadata.name]
        command += [f"--progress={settings.progress}"]
        if settings.builder:
            command += ["--builder", settings.builder]
        for build in builds:
            for override in settings.overrides:
                command += ["--set", f"{build.spec.target}.{override}"]
        definition = render_bake(builds, root=settings.root, no_cache=settings.no_cache)
        # Paths outside the working directory are named by us, not by the Dockerfiles (buildx 0.20 asks for this).
        environment = {"BUILDX_BAKE_ENTITLEMENTS_FS": "0", "BUILDX_GIT_INFO": "false"}
        returncode = run_foreground(command, definition, cwd=settings.root, environment=environment)
        if returncode:
            names = ", ".join(build.spec.id for build in builds)
            left = free_space(settings.out)
            full = f" (no space left: {left / 1e9:.1f} GB free in {settings.out})" if left < NEARLY_FULL else ""
            raise BuildError(f"{names}: the build failed{full}; the failing step and the end of its output are above")
        found: dict[str, dict[str, str]] = json.loads(Path(metadata.name).read_text(encoding="utf-8"))
        return found


def run_foreground(command: Sequence[str], text: str, *, cwd: Path, environment: dict[str, str]) -> int:
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
