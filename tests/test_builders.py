"""Builders of buildx: what each is, what goes where, and what is left of a build when one of them dies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.build.bake import Build
from scripts.build.build import PartlyBuiltError, carry_out
from scripts.build.builders import (
    CURRENT,
    Builder,
    find_builders,
    inspect_builder,
    parse_inspect,
    refuse_unfit,
    share_out,
)
from scripts.build.layout import load_record
from scripts.build.plan import Action, plan_builds
from scripts.build.settings import Settings
from scripts.errors import BuildError
from scripts.recipe.matrix import expand_all, load_families
from tests.conftest import DIGEST, VERSIONS

if TYPE_CHECKING:
    from scripts.recipe.matrix import ImageSpec
    from tests.conftest import Docker, Repository, Tasks

AMD64, ARM64 = "linux/amd64", "linux/arm64"
INSPECTED = """\
Name:          farm
Driver:        kubernetes
Last Activity: 2026-11-26 05:00:00 +0000 UTC

Nodes:
Name:                  farm0
Endpoint:              kubernetes:///farm?deployment=farm0
Driver Options:        namespace="builds" replicas="2"
Status:                running
BuildKit version:      v0.21.1
Platforms:             linux/amd64*, linux/amd64/v2, linux/386
Labels:
 org.mobyproject.buildkit.worker.executor: oci

Name:                  farm1
Endpoint:              kubernetes:///farm?deployment=farm1
Status:                running
Platforms:             linux/arm64, linux/arm/v7
"""
ROWS = VERSIONS + "".join(
    f'[[image]]\nversion = "{number}"\nbase = "python:3.11"\npython = "3.11"\n' for number in range(2, 7)
)


@pytest.fixture
def settings(repository: Repository, docker: Docker, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr("scripts.build.build.SPACE", {False: 0, True: 0})
    repository.family(versions=ROWS)
    docker.answer(registry={"python:3.11": DIGEST}, builders={"a": f"docker: {AMD64}", "b": f"remote: {AMD64}"})
    root = repository.root
    return Settings(root=root, out=root / "out", cache=cache, registry="r", progress="plain", builder="a,b")


def test_what_buildx_says_of_a_builder_is_read() -> None:
    assert parse_inspect(INSPECTED, "farm") == Builder(
        name="farm",
        driver="kubernetes",
        platforms=frozenset({AMD64, "linux/386", ARM64, "linux/arm"}),
        native=frozenset({AMD64, ARM64}),
    )


def test_the_current_builder_is_not_asked_about_the_usual(docker: Docker) -> None:
    assert find_builders((), [AMD64, AMD64], print) == (CURRENT,)
    assert docker.calls() == []


def test_a_builder_that_is_not_there_is_named(docker: Docker) -> None:
    docker.answer(builders={"a": f"docker: {AMD64}"})
    with pytest.raises(BuildError) as caught:
        inspect_builder("b")
    assert str(caught.value) == 'builder b: no builder "b" found (docker buildx ls shows which there are)'
    docker.answer(builders={"b": "remote: "})
    with pytest.raises(BuildError, match="builder b: it does not answer: it tells no platforms"):
        inspect_builder("b")


def test_why_a_builder_does_not_start_comes_after_what_buildx_does_about_it(docker: Docker) -> None:
    waited = "#1 [internal] waiting for connection\n#1 ERROR: {0}\n------\n > [internal]:\n------\nERROR: {0}\n"
    hint = ": nothing that it can talk to: is it running, are address and certificates the right ones"
    for reason, more in (("no such image", ""), ("context deadline exceeded", hint)):
        docker.answer(builders={"b": f"says: {waited.format(reason)}"})
        with pytest.raises(BuildError) as caught:
            inspect_builder("b")
        assert str(caught.value) == f"builder b: {reason}{more} (docker buildx ls shows which there are)"


def test_rows_are_shared_out_and_stages_of_a_row_stay_together(settings: Settings, repository: Repository) -> None:
    both = ROWS.replace("[[image]]", '[stages.files]\nrepository = "files"\ntag = "{version}"\n[[image]]', 1)
    repository.family(versions=both)
    a, b = (Builder(name=name, platforms=frozenset({AMD64}), native=frozenset({AMD64})) for name in "ab")
    builds = [made(spec) for spec in expand_all(load_families(settings.root))]
    shares = share_out(builds, (a, b))
    assert [(share.builder.name, len(share.builds)) for share in shares] == [("a", 6), ("b", 6)]
    rows = [{build.spec.version for build in share.builds} for share in shares]
    assert rows[0] | rows[1] == set("123456")
    assert not rows[0] & rows[1]
    assert share_out(builds, (a,))[0].builds == tuple(builds)


def test_a_builder_of_the_platform_itself_goes_before_one_that_emulates_it(settings: Settings) -> None:
    emulates = Builder(name="a", platforms=frozenset({AMD64, ARM64}), native=frozenset({AMD64}))
    native = Builder(name="b", platforms=frozenset({ARM64}), native=frozenset({ARM64}))
    specs = [replace(spec, platforms=(ARM64,)) for spec in expand_all(load_families(settings.root))]
    (share,) = share_out([made(spec) for spec in specs], (emulates, native))
    assert share.builder == native
    (share,) = share_out([made(spec) for spec in specs], (emulates,))
    assert share.builder == emulates


def made(spec: ImageSpec) -> Build:
    return Build(spec=spec, output=Path("x"), recipe_hash="", base_digest="", stand_in=False, commit="", epoch=0)


def test_a_builder_that_dies_is_named_and_the_rest_goes_on_and_a_rerun_resumes(
    settings: Settings, docker: Docker
) -> None:
    docker.answer(dead=["b"])
    said: list[str] = []
    specs = expand_all(load_families(settings.root))
    with pytest.raises(PartlyBuiltError) as caught:
        carry_out(plan_builds(specs, settings), settings, said.append)
    assert str(caught.value) == (
        "builder b: app:2, app:4, app:6: not built: it does not answer any more: "
        "failed to list workers: connection refused (docker buildx ls shows which there are); "
        "what others built is kept, run it again"
    )
    assert [record.id for record in caught.value.records] == ["app:1", "app:3", "app:5"]
    assert "b: ERROR: failed to list workers: connection refused" in said
    again = plan_builds(specs, settings)
    assert [step.spec.id for step in again if step.action is Action.BUILD] == ["app:2", "app:4", "app:6"]
    carry_out(again, replace(settings, builder="a"), said.append)
    assert all(load_record(settings.out, spec.id) for spec in specs)


def test_a_step_that_fails_on_one_builder_does_not_keep_the_other_from_its_own(
    settings: Settings, docker: Docker
) -> None:
    docker.answer(fails=["b"])
    specs = expand_all(load_families(settings.root))
    with pytest.raises(PartlyBuiltError) as caught:
        carry_out(plan_builds(specs, settings), settings, lambda _: None)
    assert str(caught.value) == (
        "builder b: app:2, app:4, app:6: the build failed; the failing step and the end of its output are above"
    )
    assert len(caught.value.records) == 3


def test_a_base_that_only_the_engine_has_is_no_base_for_a_builder_apart(settings: Settings, docker: Docker) -> None:
    docker.answer(registry={}, images={"python:3.11": DIGEST})
    specs = expand_all(load_families(settings.root))
    steps = plan_builds(specs, settings)
    with pytest.raises(BuildError) as caught:
        carry_out(steps, settings, lambda _: None)
    assert str(caught.value).splitlines()[0] == (
        "app:1: only this machine's engine has python:3.11 (registry-1.docker.io: no such host), and builder b (remote) "
        "cannot see it: push it where both can, or build without --builder"
    )
    refuse_unfit(steps, [Builder(name="a", driver="docker")], AMD64)


def test_the_task_builds_and_loads_what_it_can_and_ends_with_3(tasks: Tasks, docker: Docker) -> None:
    tasks.repository.family(versions=ROWS)
    builders = {"a": f"docker: {AMD64}", "b": f"remote: {AMD64}"}
    docker.answer(registry={"python:3.11": DIGEST}, builders=builders, dead=["b"])
    done = tasks.run("build", "fam", "--all", "--builder", "a,b", "--format", "json")
    assert done.returncode == 3, done.stderr
    assert [line for line in done.stdout.splitlines() if '"id"' in line] == [
        f'    "id": "app:{number}",' for number in (1, 3, 5)
    ]
    assert done.stderr.splitlines()[-1].startswith("builder b: app:2, app:4, app:6: not built: it does not answer any")
    assert len(docker.images) == 3


def test_what_is_no_name_of_a_builder_is_refused(tasks: Tasks) -> None:
    done = tasks.run("build", "fam", "--builder", "a, --push")
    assert (done.returncode, done.stderr) == (2, "--builder: '--push' is no name of a builder (docker buildx ls)\n")
