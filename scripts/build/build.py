"""Carry out a plan: ``docker buildx bake`` to OCI layouts, and the layouts into the engine."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.build import layout
from scripts.build.bake import Build
from scripts.build.baking import bake_shares
from scripts.build.builders import CURRENT, find_builders, refuse_unfit, share_out
from scripts.build.committed import recipe_commit
from scripts.build.engine import this_platform
from scripts.build.index import assemble, make_room
from scripts.build.layout import Record
from scripts.build.plan import Action, plan_build
from scripts.build.room import batches, need_of, require_room
from scripts.build.sources import Base, find_torch_wheels, provide_secrets, provide_stand_in, provide_uv, wheel_folders
from scripts.build.vcs import changed_files
from scripts.errors import BuildError, UsageError
from scripts.recipe.dockerfile import load_dockerfile
from scripts.recipe.inputs import locked_pins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from scripts.build.builders import Builder
    from scripts.build.plan import Step
    from scripts.build.settings import Settings
    from scripts.recipe.lock import Pin
    from scripts.recipe.matrix import ImageSpec


# Bytes that a build is let start with, by whether it has CUDA: its layers twice, their cache, and the load.
SPACE = {False: 10_000_000_000, True: 25_000_000_000}


class PartlyBuiltError(BuildError):
    """Some images could not be built; those in ``records`` could."""

    def __init__(self, message: str, records: tuple[Record, ...]) -> None:
        super().__init__(message)
        self.records = records


def prepare(steps: Sequence[Step], settings: Settings, work: Path, say: Callable[[str], None]) -> tuple[Build, ...]:
    """Everything that the builds of ``steps`` need of this machine, found or made.

    :param work: directory for files that are gone after the build.
    :raises BuildError: if a base or a wheel index can be had from nowhere.
    """
    uv = provide_uv(settings.cache / "tools")
    secrets = provide_secrets(work, ca_bundle=settings.ca_bundle, index_url=settings.index_url)
    wheels = wheel_folders(settings.wheels)
    changed = changed_files(settings.root)
    builds = []
    for step in steps:
        spec = step.spec
        base = step.base
        dockerfile = load_dockerfile(spec.dockerfile)
        pins = locked_pins(settings.root, spec)
        refuse_stale_lock(spec, pins)
        torch = find_torch_wheels(spec, pins, wheels)
        contexts = {"uv": str(uv), **({base.reference: base.context} if base.context else {})}
        args = {}
        if torch.folder:
            say(f"{spec.id}: wheels of torch from {torch.folder}: {spec.torch_index} can't be reached ({torch.why})")
            contexts["wheels"] = str(torch.folder)
            args["TORCH_INDEX"] = ""
        commit = recipe_commit(settings.root, spec, dockerfile, changed)
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

    :raises BuildError: if the plan has an image that can't be built, if no builder has its platform, if the disk is too
        full, and as ``prepare`` and ``build_images``.
    """
    impossible = [step for step in steps if step.action is Action.IMPOSSIBLE]
    if impossible:
        raise BuildError("\n".join(f"{step.spec.id}: {step.base.reference}: {step.why}" for step in impossible))
    pending = [step for step in steps if step.action is Action.BUILD]
    platforms = [platform for step in pending for platform in step.spec.platforms]
    builders = find_builders(settings.builders, platforms, say) if pending else ()
    refuse_unfit(pending, builders, this_platform())
    pending = list(provide_bases(pending, settings, say))
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
                records += build_images(batch, recipes, settings, builders, say)
            except PartlyBuiltError as error:
                records += error.records
                faults.append(error)
            except BuildError as error:  # the rest goes on
                faults.append(error)
    if faults:
        raise PartlyBuiltError("\n".join(map(str, faults)), tuple(records))
    return tuple(records)


def build_images(
    builds: Sequence[Build],
    recipes: Mapping[str, Mapping[str, str]],
    settings: Settings,
    builders: Sequence[Builder] = (CURRENT,),
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Record, ...]:
    """Build all of ``builds`` in one run of bake for each builder, so that BuildKit shares their stages.

    Whatever ends it early, Ctrl-C included, leaves what was built before as it was.

    :param recipes: the parts of each image's recipe, for the records.
    :raises PartlyBuiltError: if bake fails, with what other builders have built; BuildKit has then shown the failing step
        and the end of its output.
    :raises BuildError: if a layout is not what BuildKit says it made.
    """
    with ExitStack() as stack:
        builds = [
            replace(build, output=stack.enter_context(layout.partial(settings.out, build.spec.id))) for build in builds
        ]
        for build in builds if not settings.no_cache else ():
            layout.seed(settings.out, build.spec.id, build.output)
        for build in builds:
            if len(build.parts) > 1:
                make_room(build.output, build.spec.platforms)
        parts = [part for build in builds for part in build.parts]
        baked = bake_shares(share_out(parts, builders), settings, say)
        failed = {part.spec.id for part in parts if part.target not in baked.digests} if baked.faults else set()
        records = tuple(
            _finish(build, recipes[build.spec.id], baked.digests, settings)
            for build in builds
            if build.spec.id not in failed
        )
    if baked.faults:
        raise PartlyBuiltError("\n".join(baked.faults), records)
    return records


def _finish(build: Build, recipe: Mapping[str, str], digests: Mapping[str, str], settings: Settings) -> Record:
    """Put what was baked in its place."""
    spec = build.spec
    for part in build.parts:
        descriptor = layout.read_descriptor(part.output)
        told = digests.get(part.target, "nothing that it tells")
        if told != descriptor.digest:
            raise BuildError(f"{spec.id}: the layout holds {descriptor.digest}, BuildKit made {told}")
    platforms = assemble(build.output, spec.platforms, spec.id) if len(build.parts) > 1 else {}
    layout.drop_others(build.output)
    record = Record(
        id=spec.id,
        digest=layout.read_descriptor(build.output).digest,
        size=layout.size_of(build.output),
        recipe=recipe,
        base=build.base_digest,
        stand_in=build.stand_in,
        commit=build.commit,
        epoch=build.epoch,
        platforms=platforms,
    )
    layout.finish(settings.out, build.output, record)
    return record
