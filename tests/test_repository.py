"""Rules over the repository's own recipes: version manifests, Dockerfiles and locks agree with each other."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.build.locking import check
from scripts.recipe.dockerfile import load_dockerfile
from scripts.recipe.family import SCHEMA, State, layer_of, render_schema
from scripts.recipe.inputs import context_files
from scripts.recipe.lock import REQUIREMENTS, Pin, direct_requirements, disagreements, load_lock, lock_directory
from scripts.recipe.matrix import expand_all, load_families
from tests.pages import load_pages

if TYPE_CHECKING:
    from scripts.recipe.family import Family, Row

ROOT = Path(__file__).resolve().parent.parent
FAMILIES = {family.name: family for family in load_families(ROOT)}
IMAGES = {spec.id: spec for spec in expand_all(FAMILIES.values())}
LOCKED = [(family, row) for family in FAMILIES.values() if family.manifest.lock for row in family.manifest.image]
LOCKED_NAMES = [f"{family.name}-{row.version}" for family, row in LOCKED]
NVIDIA, NGC = "nvcr.io/nvidia/cuda", "nvcr.io/nvidia"
# id: base, Python, packages, state; issue 2.
EXPECTED: dict[str, tuple[str, str, dict[str, str], str]] = {
    "python:3.9": ("python:3.9-slim-bookworm", "3.9", {"torch": "2.8.0", "tensorflow-cpu": "2.20.0"}, "frozen"),
    **{
        f"python:{python}": (
            f"python:{python}-slim-{debian}",
            python,
            {"torch": "2.13.0", "tensorflow-cpu": "2.21.0"},
            state,
        )
        for python, debian, state in (
            ("3.10", "bookworm", "frozen"),
            ("3.11", "bookworm", "active"),
            ("3.12", "bookworm", "active"),
            ("3.13", "trixie", "active"),
        )
    },
    "cuda:11.8": (f"{NVIDIA}:11.8.0-cudnn8-devel-ubuntu22.04", "3.11", {}, "frozen"),
    **{
        f"cuda:{cuda}": (f"{NVIDIA}:{base}", python, {}, "active")
        for cuda, base, python in (
            ("12.1", "12.1.1-cudnn8-devel-ubuntu22.04", "3.11"),
            ("12.4", "12.4.1-cudnn-devel-ubuntu22.04", "3.11"),
            ("12.6", "12.6.3-cudnn-devel-ubuntu24.04", "3.12"),
            ("12.8", "12.8.1-cudnn-devel-ubuntu24.04", "3.12"),
            ("13.0", "13.0.3-cudnn-devel-ubuntu24.04", "3.12"),
        )
    },
    **{
        f"torch:{torch}-cuda{cuda}": (
            f"{NVIDIA}:{base}",
            python,
            {"torch": torch, "torchvision": vision, "torchaudio": audio},
            "active",
        )
        for torch, cuda, base, python, vision, audio in (
            ("2.3.1", "12.1", "12.1.1-cudnn8-devel-ubuntu22.04", "3.11", "0.18.1", "2.3.1"),
            ("2.6.0", "12.4", "12.4.1-cudnn-devel-ubuntu22.04", "3.11", "0.21.0", "2.6.0"),
            ("2.7.1", "12.6", "12.6.3-cudnn-devel-ubuntu24.04", "3.12", "0.22.1", "2.7.1"),
            ("2.8.0", "12.8", "12.8.1-cudnn-devel-ubuntu24.04", "3.12", "0.23.0", "2.8.0"),
            ("2.13.0", "13.0", "13.0.3-cudnn-devel-ubuntu24.04", "3.12", "0.28.0", "2.11.0"),
        )
    },
    **{
        f"{name}:{version}-cuda{cuda}": (f"{NGC}/{base}", python, {name: version}, "deprecated")
        for name, version, cuda, base, python in (
            ("torch", "1.14.0", "12.0", "pytorch:23.02-py3", "3.8"),
            ("torch", "2.1.0", "12.2", "pytorch:23.10-py3", "3.10"),
            ("torch", "2.2.0", "12.3", "pytorch:23.12-py3", "3.10"),
            ("torch", "2.3.0", "12.4", "pytorch:24.04-py3", "3.10"),
            ("torch", "2.4.0", "12.4", "pytorch:24.05-py3", "3.10"),
            ("tensorflow", "2.14.0", "12.3", "tensorflow:23.12-tf2-py3", "3.10"),
            ("tensorflow", "2.15.0", "12.4", "tensorflow:24.03-tf2-py3", "3.10"),
            ("tensorflow", "2.16.1", "12.5", "tensorflow:24.06-tf2-py3", "3.10"),
        )
    },
}


def pins_of(family: Family, row: Row) -> dict[str, Pin]:
    return {pin.name: pin for pins in load_lock(family, row).values() for pin in pins}


def test_the_images_are_those_that_were_promised() -> None:
    found = {spec.id: (spec.base, spec.python, dict(spec.packages), str(spec.state)) for spec in IMAGES.values()}
    assert found == EXPECTED


@pytest.mark.parametrize(("image", "day"), [("python:3.9", "2025-10-31"), ("python:3.10", "2026-10-31")])
def test_a_python_is_frozen_from_its_end_of_life(image: str, day: str) -> None:
    assert str(IMAGES[image].since) == day


def test_every_image_that_is_not_active_has_a_reason_and_a_date() -> None:
    assert all((spec.reason and spec.since) or spec.state is State.ACTIVE for spec in IMAGES.values())


def test_images_with_cuda_are_for_gpus_and_no_others() -> None:
    assert all(spec.gpu is (spec.cuda is not None) for spec in IMAGES.values())


@pytest.mark.parametrize("version", ["2.14.0-cuda12.3", "2.15.0-cuda12.4"])
def test_what_could_not_be_verified_is_said_in_the_data(version: str) -> None:
    (row,) = [row for row in FAMILIES["deprecated-ngc"].manifest.image if row.version == version]
    assert row.note
    assert "could not be verified" in row.note


def test_the_schema_is_current() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == render_schema(), "run python -m scripts.recipe.family"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_version_manifest_points_editors_to_the_schema(family: str) -> None:
    first = (ROOT / family / "versions.toml").read_text().splitlines()[0]
    assert first.startswith("#:schema ")
    assert (ROOT / family / first.removeprefix("#:schema ")).resolve() == SCHEMA


@pytest.mark.parametrize("family", FAMILIES)
def test_the_defaults_of_a_dockerfile_are_those_of_the_default_row(family: str) -> None:
    specs = [spec for spec in IMAGES.values() if spec.family == family and spec.default]
    declared = load_dockerfile(FAMILIES[family].dockerfile).args
    for spec in specs:
        wanted = {**spec.build_args, **({"TORCH_INDEX": spec.torch_index} if spec.torch_index else {})}
        assert {name: declared[name] for name in wanted if name in declared} == {
            name: value for name, value in wanted.items() if name in declared
        }
    assert {"BASE_IMAGE", "PYTHON_VERSION", "UV_VERSION"} <= declared.keys()
    assert ("ROW" in declared) is FAMILIES[family].manifest.lock
    assert all(value is not None for value in declared.values()), "without a default it does not build by hand"


@pytest.mark.parametrize("family", FAMILIES)
def test_each_arg_of_a_dockerfile_has_the_same_default_wherever_it_is_declared(family: str) -> None:
    found: dict[str, set[str]] = {}
    for name, value in re.findall(r"^ARG (\w+)=(.*)$", FAMILIES[family].dockerfile.read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(value)
    assert all(len(values) == 1 for values in found.values()), found


def test_uv_is_that_of_the_maintainers_environment() -> None:
    (pinned,) = re.findall(r"^uv==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert {load_dockerfile(family.dockerfile).args["UV_VERSION"] for family in FAMILIES.values()} == {pinned}


def test_the_maintainers_environment_is_pinned_with_hashes() -> None:
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "requirements.txt").read_text(), flags=re.MULTILINE)
    pins = [item for item in re.split(r"\n(?=\S)", text.strip()) if item]
    assert pins
    for pin in pins:
        assert re.match(r"[a-z0-9-]+(\[[a-z,]+\])?==\S+( ;.*)? \\\n\s+--hash=sha256:[0-9a-f]{64}", pin), pin


@pytest.mark.parametrize("image", IMAGES)
def test_everything_that_an_image_copies_is_there(image: str) -> None:
    spec = IMAGES[image]
    assert context_files(ROOT, spec, load_dockerfile(spec.dockerfile))


def test_the_build_context_lets_through_all_that_is_copied_and_little_else() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    kept = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    for spec in IMAGES.values():
        for path in context_files(ROOT, spec, load_dockerfile(spec.dockerfile)):
            name = path.relative_to(ROOT).as_posix()
            assert any(name.startswith(f"{folder}/") or fnmatch(name, folder) for folder in kept), name


@pytest.mark.parametrize(("family", "row"), LOCKED, ids=LOCKED_NAMES)
def test_a_lock_has_a_file_for_each_layer_and_each_distribution_in_its_layer(family: Family, row: Row) -> None:
    lock = load_lock(family, row)
    files = {path.name for path in lock_directory(family, row).iterdir()}
    assert files == {f"{layer}.txt" for layer in family.manifest.layers}
    names = [pin.name for pins in lock.values() for pin in pins]
    assert len(set(names)) == len(names)
    assert all(layer_of(pin.name, family.manifest.layers) == layer for layer, pins in lock.items() for pin in pins)


@pytest.mark.parametrize(("family", "row"), LOCKED, ids=LOCKED_NAMES)
def test_a_lock_is_what_is_asked_for_and_holds_no_hosts(family: Family, row: Row) -> None:
    pins = pins_of(family, row)
    shared = (ROOT / REQUIREMENTS).read_text(encoding="utf-8")
    assert disagreements(direct_requirements(shared, row), row.constraints, pins.values()) == []
    for name, version in row.packages.items():
        suffix = "+cpu" if name == "torch" and row.cuda is None else ""
        assert pins[name].version == f"{version}{suffix}"
    for pin in pins.values():
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in pin.hashes)
        assert pin.hashes or pin.why


@pytest.mark.parametrize("family", [name for name, family in FAMILIES.items() if family.manifest.lock])
def test_lock_check_finds_nothing(family: str) -> None:
    check(ROOT, FAMILIES.values(), family, None)


@pytest.mark.parametrize(("family", "row"), LOCKED, ids=LOCKED_NAMES)
def test_only_torch_from_its_own_index_may_lack_a_hash(family: Family, row: Row) -> None:
    lacking = {pin.name for pin in pins_of(family, row).values() if not pin.hashes}
    assert lacking <= ({"torch"} if family.manifest.torch_index else set())


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("*/locks/*/*.txt")), ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_no_lock_names_a_host(path: Path) -> None:
    assert not re.search(r"https?:|--index|--find-links|@ ", path.read_text())


@pytest.mark.parametrize(
    "row", [row for row in FAMILIES["cuda"].manifest.image if row.packages], ids=lambda row: row.version
)
def test_the_wheel_of_torch_that_is_locked_is_built_with_the_cuda_of_its_row(row: Row) -> None:
    pins = pins_of(FAMILIES["cuda"], row)
    runtimes = [pin.version for name, pin in pins.items() if name.startswith("nvidia-cuda-runtime")]
    assert len(runtimes) == 1
    assert runtimes[0].startswith(f"{row.cuda}.")


def test_no_module_has_300_lines_or_more() -> None:
    paths = [ROOT / "tasks.py", ROOT / "noxfile.py", *ROOT.glob("*/Dockerfile")]
    paths += [path for path in (ROOT / "scripts").rglob("*") if path.is_file() and path.suffix in {"", ".py", ".sh"}]
    assert [path for path in paths if len(path.read_text().splitlines()) >= 300] == []


def test_the_quick_start_is_what_ci_runs() -> None:
    (block,) = load_pages()["README.md"].section("Build and test").blocks
    assert [line.partition("#")[0].strip() for line in block.text.splitlines()] == [
        "./scripts/invoke build cpu --version 3.11",
        "./scripts/nox",
    ]
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "exec ./scripts/nox"
