"""What a build can see: the parts of a recipe, which changes move it, and the words for them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scripts.errors import UsageError
from scripts.recipe.dockerfile import parse_dockerfile
from scripts.recipe.inputs import Recipe, context_files, is_lock, recipe_of, summarise
from scripts.recipe.matrix import expand_all, load_families

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.recipe.matrix import ImageSpec

    from .conftest import Repository

TEXT = """\
ARG BASE_IMAGE=python:3.11
ARG UV_VERSION=1
FROM uv:${UV_VERSION} AS uv
FROM ${BASE_IMAGE} AS app
ARG ROW=1
ARG FLAVOUR
COPY files /files
COPY fam/locks/${ROW}/rest.txt /lock/
RUN --mount=type=bind,from=uv,source=/uv,target=/uv echo $HOME 'a  b'
FROM ${BASE_IMAGE} AS unused
COPY unused /
"""


@pytest.fixture
def root(repository: Repository) -> Path:
    repository.family()
    lock = repository.root / "fam" / "locks" / "1"
    lock.mkdir(parents=True)
    (lock / "rest.txt").write_text("one==1\n")
    return repository.root


@pytest.fixture
def spec(root: Path) -> ImageSpec:
    (spec,) = expand_all(load_families(root))
    return spec


def parts(root: Path, spec: ImageSpec, text: str = TEXT, base: str = "sha256:1", **settings: str) -> Recipe:
    return recipe_of(root, spec, parse_dockerfile(text), base=base, settings={"compression": "zstd", **settings})


def test_a_recipe_has_a_part_for_everything_that_the_build_sees(root: Path, spec: ImageSpec) -> None:
    assert list(parts(root, spec).parts) == [
        "base", "platforms", "setting compression", "arg BASE_IMAGE", "arg ROW", "stage uv", "stage app",
        "fam/locks/1/rest.txt", "pin one", "files/hello",
    ]  # fmt: skip
    (root / ".dockerignore").write_text("*\n!files\n")
    assert list(parts(root, spec).parts)[-1] == ".dockerignore"


def test_what_keeps_files_out_of_the_context_is_an_input_and_the_dockerfiles_own_wins(
    root: Path, spec: ImageSpec
) -> None:
    (root / ".dockerignore").write_text("*\n!files\n")
    before = parts(root, spec).parts
    (root / ".dockerignore").write_text("*\n")
    assert parts(root, spec).changed(before) == (".dockerignore",)
    (root / "fam" / "Dockerfile.dockerignore").write_text("*\n")
    assert parts(root, spec).changed(before) == (".dockerignore", "fam/Dockerfile.dockerignore")
    assert ".dockerignore" not in parts(root, spec).parts


def test_a_change_of_a_lock_names_the_packages_that_moved(root: Path, spec: ImageSpec) -> None:
    lock = root / "fam" / "locks" / "1" / "rest.txt"
    lock.write_text("gone==3\none==1 \\\n    --hash=sha256:" + "a" * 64 + "\nsame==1\n")
    before = parts(root, spec).parts

    def reason(text: str) -> str:
        lock.write_text(text)
        after = parts(root, spec)
        return summarise(after.changed(before), before, after.parts)

    assert reason("added==1.5\none==2\nsame==1\n") == ("lock changed: added (new) -> 1.5, gone 3 -> (gone), one 1 -> 2")
    # The same versions with other wheels: then the layer is all that can be named.
    assert reason("gone==3\none==1 \\\n    --hash=sha256:" + "b" * 64 + "\nsame==1\n") == "lock changed: rest"


def test_a_record_without_pins_names_the_layer(root: Path, spec: ImageSpec) -> None:
    before = {name: value for name, value in parts(root, spec).parts.items() if not name.startswith("pin ")}
    (root / "fam" / "locks" / "1" / "rest.txt").write_text("one==2\n")
    after = parts(root, spec)
    assert summarise(after.changed(before), before, after.parts) == "lock changed: rest"


def test_only_files_below_a_familys_locks_are_locks(tmp_path: Path) -> None:
    root = tmp_path / "locks" / "checkout"
    assert is_lock(root, root / "cpu" / "locks" / "3.11" / "torch.txt")
    assert not is_lock(root, root / "scripts" / "image" / "entrypoint")


def test_the_same_inputs_give_the_same_hash_and_no_change(root: Path, spec: ImageSpec) -> None:
    recipe = parts(root, spec)
    (root / "files" / "hello").write_text("hello\n")
    assert recipe.hash == parts(root, spec).hash
    assert recipe.changed(parts(root, spec).parts) == ()


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("UV_VERSION=1", "UV_VERSION=2", ("stage uv",)),
        ("echo $HOME", "echo $PATH", ("stage app",)),
        ("'a  b'", "'a b'", ("stage app",)),
        ("ARG ROW=1\n", "ARG ROW=1\nENV X=1\n", ("stage app",)),
        ("UV_VERSION=1\n", "UV_VERSION=1\nARG FLAVOUR=x\n", ("stage app",)),
        ("COPY unused /", "COPY other /", ()),
        ("COPY files", "# why\nCOPY files", ()),
    ],
)
def test_a_change_of_the_dockerfile_moves_the_stages_that_it_touches(
    root: Path, spec: ImageSpec, old: str, new: str, changed: tuple[str, ...]
) -> None:
    after = parts(root, spec, TEXT.replace(old, new))
    assert after.changed(parts(root, spec).parts) == changed


def test_base_platforms_settings_and_arguments_are_inputs(root: Path, spec: ImageSpec) -> None:
    before = parts(root, spec).parts
    assert parts(root, spec, base="sha256:2").changed(before) == ("base",)
    assert parts(root, spec, compression="gzip").changed(before) == ("setting compression",)
    assert parts(root, replace(spec, platforms=("linux/arm64",))).changed(before) == ("platforms",)
    assert parts(root, replace(spec, args={"FLAVOUR": "x"})).changed(before) == ("arg FLAVOUR",)
    assert parts(root, replace(spec, args={"UNDECLARED": "x"})).changed(before) == ()


def test_the_content_the_name_and_the_executable_bit_of_a_file_are_inputs(root: Path, spec: ImageSpec) -> None:
    before, hello = parts(root, spec).parts, root / "files" / "hello"
    hello.chmod(0o755)
    assert parts(root, spec).changed(before) == ("files/hello",)
    hello.chmod(0o600)
    assert parts(root, spec).changed(before) == ()
    hello.write_text("hallo\n")
    assert parts(root, spec).changed(before) == ("files/hello",)
    hello.rename(root / "files" / "hi")
    assert parts(root, spec).changed(before) == ("files/hello", "files/hi")


def test_files_of_a_directory_are_found_without_byte_code(root: Path, spec: ImageSpec) -> None:
    (root / "files" / "sub" / "__pycache__").mkdir(parents=True)
    (root / "files" / "sub" / "__pycache__" / "x.pyc").touch()
    (root / "files" / "sub" / "x.py").touch()
    found = context_files(root, spec, parse_dockerfile(TEXT))
    assert [path.relative_to(root).as_posix() for path in found] == [
        "fam/locks/1/rest.txt", "files/hello", "files/sub/x.py",
    ]  # fmt: skip


def test_a_missing_lock_is_refused_with_the_command_that_makes_it(root: Path, spec: ImageSpec) -> None:
    (root / "fam" / "locks" / "1" / "rest.txt").unlink()
    with pytest.raises(UsageError) as caught:
        parts(root, spec)
    assert str(caught.value) == (
        "app:1: fam/locks/1/rest.txt, which fam/Dockerfile copies, is missing: run `invoke lock fam --version 1`"
    )


def test_another_missing_file_is_refused_by_its_name(root: Path, spec: ImageSpec) -> None:
    with pytest.raises(UsageError) as caught:
        parts(root, spec, TEXT.replace("COPY files", "COPY fils"))
    assert str(caught.value) == "app:1: fils, which fam/Dockerfile copies, is missing"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ((), ""),
        (("base",), "base moved"),
        (("cpu/locks/3.11/torch.txt", "cpu/locks/3.11/common.txt"), "lock changed: torch, common"),
        (("stage app", "scripts/image/entrypoint"), "recipe changed: scripts/image/entrypoint, stage app"),
        (("base", "a/locks/1/x.txt", "arg ROW"), "base moved; lock changed: x; recipe changed: arg ROW"),
        (("setting x", "platforms"), "recipe changed: setting x, platforms"),
        (tuple("abcdef"), "recipe changed: a, b, c, d and 2 more"),
        (tuple("abcd"), "recipe changed: a, b, c, d"),
    ],
)
def test_changes_are_summed_up_by_their_kind(changed: tuple[str, ...], words: str) -> None:
    assert summarise(changed) == words
