"""Families to image specs: what a row becomes, and every rule that a row, a family or two of them can break."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest

from scripts.recipe.family import State, load_family
from scripts.recipe.faults import ManifestError
from scripts.recipe.matrix import RESERVED_ARGS, expand, expand_all, load_families

from .conftest import DOCKERFILE, VERSIONS

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.recipe.matrix import ImageSpec

    from .conftest import Repository

LAYERED = """\
FROM scratch AS app
COPY fam/locks/${ROW}/torch.txt /lock/
FROM app AS more
COPY fam/locks/${ROW}/rest.txt /lock/
"""
FROZEN = 'state = "frozen"\nreason = "old"\nsince = 2025-10-31\n'
OCI = "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"


def images(root: Path) -> tuple[ImageSpec, ...]:
    return expand_all(load_families(root))


def refusal(root: Path) -> str:
    with pytest.raises(ManifestError) as caught:
        images(root)
    assert caught.value.exit_code == 2
    return str(caught.value)


def row(version: str, *lines: str) -> str:
    return f'[[image]]\nversion = "{version}"\nbase = "python:3.11"\npython = "3.11"\n' + "".join(
        f"{x}\n" for x in lines
    )


def test_a_row_becomes_one_image_a_stage(repository: Repository) -> None:
    versions = VERSIONS.replace(
        "[[image]]", '[stages.files]\nrepository = "files"\ntag = "{python}-v{version}"\n[[image]]'
    )
    repository.family(versions=versions)
    app, files = images(repository.root)
    assert (app.id, app.repository, app.tag, app.stage, app.target) == ("app:1", "app", "1", "app", "app_1")
    assert (files.id, files.stage, files.target) == ("files:3.11-v1", "files", "files_3_11-v1")
    assert (app.family, app.version, app.python, app.cuda, app.default) == ("fam", "1", "3.11", None, True)
    assert (app.platforms, app.gpu, app.state, app.reason, app.since) == (
        ("linux/amd64",),
        False,
        State.ACTIVE,
        None,
        None,
    )


def test_build_args_are_the_rows_own_over_the_defaults_and_those_that_every_image_has(repository: Repository) -> None:
    versions = VERSIONS.replace('"python:3.11"', '"python:3.11@sha256:' + "0" * 64 + '"')
    dockerfile = DOCKERFILE + "ARG SIZE\n"
    versions += 'args = { FLAVOUR = "row" }\n[defaults]\nargs = { FLAVOUR = "default", SIZE = "1" }\n'
    repository.family(versions=versions, dockerfile=dockerfile)
    (spec,) = images(repository.root)
    assert spec.build_args == {
        "FLAVOUR": "row", "SIZE": "1", "BASE_IMAGE": "python:3.11", "PYTHON_VERSION": "3.11", "ROW": "1",
    }  # fmt: skip
    assert spec.build_args.keys() - {"FLAVOUR", "SIZE"} == RESERVED_ARGS - {"SOURCE_DATE_EPOCH", "UV_VERSION"}


def test_a_row_overrides_the_defaults_of_its_family(repository: Repository) -> None:
    defaults = f'[defaults]\ngpu = true\nplatforms = ["linux/arm64"]\n{FROZEN}'
    versions = VERSIONS + row("2", 'state = "active"', "gpu = false", 'platforms = ["linux/amd64", "linux/arm64"]')
    repository.family(versions=versions + defaults)
    first, second = images(repository.root)
    assert (first.gpu, first.platforms, first.state) == (True, ("linux/arm64",), State.FROZEN)
    assert (first.reason, first.since) == ("old", datetime.date(2025, 10, 31))
    assert (second.gpu, second.platforms, second.state) == (False, ("linux/amd64", "linux/arm64"), State.ACTIVE)
    assert (second.reason, second.since) == (None, None)


def test_an_image_has_only_the_packages_whose_layer_its_stage_copies(repository: Repository) -> None:
    versions = VERSIONS.replace("lock = false\n", '[layers]\ntorch = ["torch*"]\nrest = ["*"]\n')
    versions = versions.replace("[[image]]", '[stages.more]\nrepository = "more"\ntag = "{cuda}"\n[[image]]')
    versions += 'cuda = "12.1"\npackages = { torch = "2.3.1", numpy = "1.26.4" }\n'
    repository.family(versions=versions, dockerfile=LAYERED)
    app, more = images(repository.root)
    assert app.packages == {"torch": "2.3.1"}
    assert more.packages == {"torch": "2.3.1", "numpy": "1.26.4"}


def test_a_row_can_have_some_of_the_stages_only(repository: Repository) -> None:
    versions = VERSIONS.replace("[[image]]", '[stages.files]\nrepository = "files"\ntag = "{cuda}"\n[[image]]')
    repository.family(versions=versions + 'stages = ["app"]\n')
    assert [spec.id for spec in images(repository.root)] == ["app:1"]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("args = { FLAVOR = 'x' }", 'image[0].args.FLAVOR: Dockerfile declares no such ARG, did you mean "FLAVOUR"?'),
        ("args = { ROW = 'x' }", "image[0].args.ROW: is set for every image from base, python and version"),
        ("stages = ['ap']", 'image[0].stages: no stage "ap", did you mean "app"?'),
        ("state = 'frozen'", "image[0]: frozen images say why and from when (reason and since)"),
        ("state = 'frozen'\nreason = 'r'", "image[0]: frozen images say why and from when (reason and since)"),
        (
            "state = 'deprecated'\nsince = 2025-01-01",
            "image[0]: deprecated images say why and from when (reason and since)",
        ),
        ("reason = 'old'", "image[0]: reason and since go with state frozen or deprecated"),
        ("since = 2025-01-01", "image[0]: reason and since go with state frozen or deprecated"),
    ],
)
def test_a_row_that_breaks_a_rule_is_refused(repository: Repository, line: str, fault: str) -> None:
    repository.family(versions=f"{VERSIONS}{line}\n")
    assert refusal(repository.root) == f"fam/versions.toml: {fault}"


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("{pyton}", "stages.app.tag: '{pyton}': image[0] has no field {pyton}, did you mean \"python\"?"),
        ("{cuda}", "stages.app.tag: '{cuda}': image[0] has no field {cuda}; known: python, version"),
        ("{}", "stages.app.tag: '{}': image[0] has no field {}; known: python, version"),
        ("{version.x}", "stages.app.tag: '{version.x}': image[0] has no field {version.x}, did you mean \"version\"?"),
        ("{version", "stages.app.tag: '{version': expected '}' before end of string"),
        ("version}", "stages.app.tag: 'version}': Single '}' encountered in format string"),
        ("{version!x}", "stages.app.tag: '{version!x}': fields are plain names, such as {version}"),
        ("{version:{x}}", "stages.app.tag: '{version:{x}}': fields are plain names, such as {version}"),
        ("v {version}", f"image[0]: tag 'v 1' is against the OCI grammar: {OCI}"),
        ("-{version}", f"image[0]: tag '-1' is against the OCI grammar: {OCI}"),
        ("{version}+cpu", f"image[0]: tag '1+cpu' is against the OCI grammar: {OCI}"),
        ("{version}-r3", "image[0]: tag '1-r3' ends like a revision tag (-rN)"),
    ],
)
def test_a_tag_that_cannot_be_is_refused(repository: Repository, template: str, fault: str) -> None:
    repository.family(versions=VERSIONS.replace("{version}", template))
    assert refusal(repository.root) == f"fam/versions.toml: {fault}"


def test_a_tag_of_more_than_128_characters_is_refused(repository: Repository) -> None:
    repository.family(versions=VERSIONS.replace("{version}", "x" * 128))
    assert len(images(repository.root)[0].tag) == 128
    repository.family(versions=VERSIONS.replace("{version}", "x" * 129))
    assert (
        refusal(repository.root) == f"fam/versions.toml: image[0]: tag '{'x' * 129}' is against the OCI grammar: {OCI}"
    )


def test_a_base_with_the_default_registry_is_refused_because_its_stand_in_would_not_be_used(
    repository: Repository,
) -> None:
    repository.family(versions=VERSIONS.replace('"python:3.11"', '"docker.io/library/python:3.11"'))
    assert refusal(repository.root) == (
        'fam/versions.toml: image[0].base: leave out the default registry: "python:3.11"'
    )


def test_the_same_fault_of_all_rows_is_said_once(repository: Repository) -> None:
    versions = (
        VERSIONS.replace("{version}", "{version")
        + row("2")
        + row("3")
        + "[defaults]\nargs = { SIZE = '1', ROW = '2' }\n"
    )
    repository.family(versions=versions)
    assert refusal(repository.root).splitlines() == [
        "fam/versions.toml: defaults.args.SIZE: Dockerfile declares no such ARG; known: FLAVOUR",
        "fam/versions.toml: defaults.args.ROW: is set for every image from base, python and version",
        "fam/versions.toml: stages.app.tag: '{version': expected '}' before end of string",
    ]


def test_a_default_that_no_row_has_and_a_version_that_two_rows_have_are_refused(repository: Repository) -> None:
    repository.family(
        versions=VERSIONS.replace('default = "1"', 'default = "12.1"') + row("12.4") + row("12.4", "gpu=true")
    )
    assert refusal(repository.root).splitlines() == [
        'fam/versions.toml: default: no row has version "12.1", did you mean "12.4"?',
        'fam/versions.toml: image[2].version: "12.4" is the version of image[1] too',
    ]


def test_a_stage_that_the_dockerfile_has_not_is_refused(repository: Repository) -> None:
    repository.family(versions=VERSIONS.replace("[stages.app]", "[stages.apps]"))
    assert (
        refusal(repository.root) == 'fam/versions.toml: stages.apps: Dockerfile has no such stage, did you mean "app"?'
    )


def test_a_missing_dockerfile_is_one_fault_beside_the_others(repository: Repository) -> None:
    repository.family(versions=VERSIONS + 'args = { X = "1" }\nreason = "r"\n', dockerfile=None)
    assert refusal(repository.root).splitlines() == [
        "fam/versions.toml: dockerfile: Dockerfile cannot be read: No such file or directory",
        "fam/versions.toml: image[0]: reason and since go with state frozen or deprecated",
    ]


def test_a_dockerfile_that_is_not_utf_8_is_refused(repository: Repository) -> None:
    (repository.family() / "Dockerfile").write_bytes(b"FROM scratch AS app\n# caf\xe9\n")
    assert refusal(repository.root) == "fam/versions.toml: dockerfile: Dockerfile is not UTF-8 at byte 25"


def test_layers_and_the_locks_that_the_dockerfile_copies_must_be_the_same(repository: Repository) -> None:
    versions = VERSIONS.replace("lock = false\n", '[layers]\ntorsh = ["torch"]\nrest = ["*"]\n')
    repository.family(versions=versions, dockerfile=LAYERED)
    assert refusal(repository.root).splitlines() == [
        'fam/versions.toml: layers.torsh: Dockerfile copies no lock of that layer, did you mean "torch"?',
        'fam/versions.toml: layers: Dockerfile copies a lock of "torch", which is no layer here',
    ]


@pytest.mark.parametrize(
    ("index", "lines", "fault"),
    [
        ("", ('cuda = "12.4"', 'packages = { torch = "2.3.1" }'),
         "torch: the wheel of 2.3.1 on the package index is for CUDA 12.1, not 12.4"),
        ('torch_index = "http://127.0.0.1:9"', ('cuda = "12.8"', 'packages = { torch = "2.3.1" }'),
         "torch: 2.3.1 has no wheel for CUDA 12.8; it has 11.8, 12.1"),
        ("", ('packages = { torch = "2.3.1", torchvision = "0.19.0" }',),
         "torchvision: 0.19.0 does not go with torch 2.3.1, which needs 0.18.*"),
    ],
)  # fmt: skip
def test_a_torch_without_such_a_wheel_is_refused(
    repository: Repository, index: str, lines: tuple[str, ...], fault: str
) -> None:
    versions = VERSIONS.replace("lock = false", index) + "\n".join(lines) + "\n"
    repository.family(versions=versions)
    assert refusal(repository.root) == f"fam/versions.toml: image[0].packages.{fault}"


def test_the_torch_of_a_base_that_brings_its_own_is_not_looked_up(repository: Repository) -> None:
    repository.family(versions=VERSIONS + 'packages = { torch = "1.14.0" }\n')
    assert images(repository.root)[0].packages == {"torch": "1.14.0"}


def test_one_tag_of_two_rows_is_refused(repository: Repository) -> None:
    repository.family(versions=VERSIONS.replace("{version}", "{python}") + row("2"))
    assert refusal(repository.root) == (
        "versions.toml: app:3.11: claimed by fam/versions.toml 1, stage app and fam/versions.toml 2, stage app"
    )


def test_one_tag_of_two_families_is_refused(repository: Repository) -> None:
    repository.family("a")
    repository.family("b")
    assert refusal(repository.root) == (
        "versions.toml: app:1: claimed by a/versions.toml 1, stage app and b/versions.toml 1, stage app"
    )


def test_two_ids_with_one_bake_target_are_refused(repository: Repository) -> None:
    repository.family("a", VERSIONS.replace('"app"', '"torch"').replace("{version}", "2.3.{version}"))
    repository.family("b", VERSIONS.replace('"app"', '"torch_2"').replace("{version}", "3.{version}"))
    assert refusal(repository.root) == (
        "versions.toml: torch:2.3.1 and torch_2:3.1: both become the bake target torch_2_3_1 "
        "(a/versions.toml 1, stage app and b/versions.toml 1, stage app)"
    )


def test_the_faults_of_several_files_are_said_at_once(repository: Repository) -> None:
    repository.family("a", VERSIONS + "gpuu = 1\n")
    repository.family("b", "x")
    repository.family("c")
    assert refusal(repository.root).splitlines() == [
        'a/versions.toml: image[0].gpuu: unknown key, did you mean "gpu"?',
        "b/versions.toml: not valid TOML: Expected '=' after a key in a key/value pair (at end of document)",
    ]


def test_the_broken_rules_of_several_files_are_said_at_once(repository: Repository) -> None:
    repository.family("a", VERSIONS + 'reason = "r"\n')
    repository.family("b", VERSIONS.replace('default = "1"', 'default = "2"') + 'stages = ["x"]\n')
    repository.family("c")
    assert refusal(repository.root).splitlines() == [
        "a/versions.toml: image[0]: reason and since go with state frozen or deprecated",
        'b/versions.toml: default: no row has version "2"; known: 1',
        'b/versions.toml: image[0].stages: no stage "x"; known: app',
    ]


def test_a_family_alone_can_be_expanded(repository: Repository) -> None:
    assert [spec.id for spec in expand(load_family(repository.family()))] == ["app:1"]


def test_a_repository_without_families_has_no_images(repository: Repository) -> None:
    assert images(repository.root) == ()
