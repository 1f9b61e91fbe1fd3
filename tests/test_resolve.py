"""Resolving with the real uv against a package index on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from scripts.build.resolve import _fits, resolve
from scripts.errors import BuildError
from scripts.recipe.family import Row
from scripts.recipe.lock import Pin, parse_layer, render_layer

if TYPE_CHECKING:
    from .conftest import PackageIndex

LINUX = "cp311-cp311-manylinux_2_28_x86_64"
ROW = Row(version="1", base="a:1", python="3.11")
REFUSING = "http://127.0.0.1:9"


def resolved(*requirements: str, row: Row = ROW, **changed: Any) -> tuple[Pin, ...]:
    options: dict[str, Any] = {"platforms": ("linux/amd64",), "torch_index": None, "wheels": (), "keep": (), **changed}
    return resolve(row, requirements, **options)


@pytest.fixture
def torch(package_index: PackageIndex) -> PackageIndex:
    """An index with torch as it is: the wheel of the package index asks for CUDA, that of its own index does not."""
    package_index.add("torch", "2.13.0", "sympy", "nvidia-nccl-cu12", "triton", tag=LINUX)
    for name in ("sympy", "nvidia_nccl_cu12", "triton"):
        package_index.add(name, "1.0")
    return package_index


def test_everything_that_is_needed_is_pinned_with_its_hash(package_index: PackageIndex) -> None:
    package_index.add("one", "1.0")
    one = package_index.add("one", "1.1")
    two = package_index.add("two", "2.0", "one>=1", "other; sys_platform == 'win32'")
    assert resolved("two") == (
        Pin(name="one", version="1.1", hashes=(one,)),
        Pin(name="two", version="2.0", hashes=(two,)),
    )


def test_constraints_of_the_row_hold(package_index: PackageIndex) -> None:
    package_index.add("one", "1.0")
    package_index.add("one", "2.0")
    package_index.add("two", "1.0", "one")
    row = ROW.model_copy(update={"constraints": ("one<2", "absent<1")})
    assert [pin.version for pin in resolved("two", row=row)] == ["1.0", "1.0"]


def test_what_was_locked_is_kept_where_it_fits_and_not_where_it_does_not(package_index: PackageIndex) -> None:
    for version in ("1.0", "2.0", "3.0"):
        package_index.add("one", version)
    keep = [Pin(name="one", version="2.0"), Pin(name="gone", version="1")]
    assert resolved("one", keep=keep)[0].version == "2.0"
    assert resolved("one>2", keep=keep)[0].version == "3.0"
    assert resolved("one", keep=())[0].version == "3.0"


def test_wheels_are_those_of_the_images_python_and_platform_whatever_this_machine_has(
    package_index: PackageIndex,
) -> None:
    for python in ("cp39", "cp311"):
        for machine in ("x86_64", "aarch64"):
            package_index.add("one", "1.0", tag=f"{python}-{python}-manylinux_2_28_{machine}")
    package_index.add("one", "2.0", tag="cp311-cp311-manylinux_2_99_x86_64")
    row = ROW.model_copy(update={"python": "3.9"})
    for platform in ("linux/amd64", "linux/arm64"):
        assert resolved("one", row=row, platforms=[platform])[0].version == "1.0"


def test_the_cpu_wheels_of_torch_need_no_cuda_and_have_their_own_hash(torch: PackageIndex) -> None:
    torch.add("torch", "2.13.0+cpu", tag=LINUX.replace("311", "312"))
    digest = torch.add("torch", "2.13.0+cpu", tag=LINUX)
    found = resolved("torch==2.13.0", torch_index=f"{torch.url}/cpu")
    assert [pin.name for pin in found] == ["sympy", "torch"]
    assert found[1] == Pin(name="torch", version="2.13.0+cpu", hashes=(digest,))


@pytest.mark.usefixtures("torch")
def test_torch_of_the_package_index_keeps_its_cuda() -> None:
    assert [pin.name for pin in resolved("torch==2.13.0")] == ["nvidia-nccl-cu12", "sympy", "torch", "triton"]
    assert resolved("torch")[2].version == "2.13.0"


def test_a_cpu_wheel_that_was_locked_is_kept(torch: PackageIndex) -> None:
    torch.add("torch", "2.14.0", "sympy", tag=LINUX)
    keep = [Pin(name="torch", version="2.13.0+cpu")]
    assert resolved("torch", torch_index=REFUSING, keep=keep)[1].version == "2.13.0+cpu"


def test_a_hash_that_was_locked_is_kept_where_the_index_of_torch_is_out_of_reach(
    torch: PackageIndex, tmp_path: Any
) -> None:
    torch.add("torch", "2.13.0+cpu", tag=LINUX)
    (tmp_path / f"torch-2.13.0+cpu-{LINUX}.whl").write_bytes(torch.wheels[f"torch-2.13.0+cpu-{LINUX}.whl"])
    locked = Pin(name="torch", version="2.13.0+cpu", hashes=("a" * 64,))
    assert resolved("torch", torch_index=REFUSING, wheels=[tmp_path], keep=[locked])[1] == locked
    other = Pin(name="torch", version="2.12.0+cpu", hashes=("a" * 64,))
    assert resolved("torch==2.13.0", torch_index=REFUSING, keep=[other])[1].hashes == ()


def both(index: PackageIndex, name: str, version: str, *requires: str) -> list[str]:
    """A package with a wheel for each machine; their hashes."""
    machines = ("x86_64", "aarch64")
    return sorted(
        index.add(name, version, *requires, tag=f"cp311-cp311-manylinux_2_28_{machine}") for machine in machines
    )


def test_a_row_for_two_platforms_has_the_wheels_of_both(package_index: PackageIndex) -> None:
    one = both(package_index, "one", "1.0", "only; platform_machine == 'x86_64'")
    only = package_index.add("only", "1.0")
    found = resolved("one", platforms=["linux/amd64", "linux/arm64"])
    assert found == (
        Pin(name="one", version="1.0", hashes=tuple(one)),
        Pin(name="only", version="1.0", hashes=(only,), marker='platform_machine == "x86_64"'),
    )
    assert parse_layer(render_layer(found)) == found
    assert resolved("one", platforms=["linux/arm64"])[0].hashes != found[0].hashes


def test_the_version_that_one_platform_has_is_taken_on_the_next_where_it_is_there(package_index: PackageIndex) -> None:
    both(package_index, "one", "1.0")
    package_index.add("one", "2.0", tag="cp311-cp311-manylinux_2_28_aarch64")
    with pytest.raises(BuildError) as caught:
        resolved("one", platforms=["linux/arm64", "linux/amd64"])
    assert str(caught.value) == (
        "a lock has one version for all platforms, and one is 2.0 for linux/arm64, 1.0 for linux/amd64; "
        "nothing was written: add a constraint to the row that both can fulfil"
    )
    assert resolved("one", platforms=["linux/amd64", "linux/arm64"])[0].version == "1.0"


def test_the_cpu_wheels_of_both_platforms_are_locked_or_it_is_said_why_not(torch: PackageIndex) -> None:
    other = LINUX.replace("x86_64", "aarch64")
    torch.add("torch", "2.13.0", "sympy", tag=other)
    hashes = [torch.add("torch", "2.13.0+cpu", tag=LINUX)]
    platforms = ["linux/amd64", "linux/arm64"]
    index = f"{torch.url}/cpu"
    assert resolved("torch", platforms=platforms, torch_index=index)[1] == Pin(
        name="torch", version="2.13.0+cpu", why="its index lists no hash for it"
    )
    hashes.append(torch.add("torch", "2.13.0+cpu", tag=other))
    assert resolved("torch", platforms=platforms, torch_index=index)[1].hashes == tuple(sorted(hashes))


def test_the_hash_of_a_cpu_wheel_comes_from_a_folder_where_its_index_is_out_of_reach(
    torch: PackageIndex, tmp_path: Any
) -> None:
    digest = torch.add("torch", "2.13.0+cpu", tag=LINUX)
    (tmp_path / "notes-1.whl").touch()
    (tmp_path / f"torch-2.13.0+cpu-{LINUX}.whl").write_bytes(torch.wheels[f"torch-2.13.0+cpu-{LINUX}.whl"])
    found = resolved("torch", torch_index=REFUSING, wheels=[tmp_path])
    assert found[1] == Pin(name="torch", version="2.13.0+cpu", hashes=(digest,))


def test_a_cpu_wheel_without_a_hash_says_why(torch: PackageIndex) -> None:
    assert resolved("torch", torch_index=REFUSING)[1] == Pin(
        name="torch", version="2.13.0+cpu", why="its index could not be reached when this lock was made"
    )
    torch.add("torch", "2.13.0+cpu", tag=LINUX.replace("311", "312"))
    assert resolved("torch", torch_index=f"{torch.url}/cpu")[1].why == "its index lists no hash for it"


def test_requirements_without_a_solution_are_refused_with_uvs_reason(package_index: PackageIndex) -> None:
    package_index.add("one", "1.0")
    with pytest.raises(BuildError) as caught:
        resolved("one>1")
    first, reason = str(caught.value).split("\n", 1)
    assert first == "uv could not resolve the requirements; nothing was written"
    assert "only one==1.0 is available and you require one>1" in " ".join(reason.split())
    assert caught.value.exit_code == 3


def test_an_index_out_of_reach_is_refused_with_its_address(
    package_index: PackageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"{REFUSING}/simple")
    with pytest.raises(BuildError) as caught:
        resolved("one")
    assert str(caught.value).startswith("uv could not resolve the requirements; nothing was written\n")
    assert f"{REFUSING}/simple/one/" in str(caught.value)
    assert package_index.wheels == {}


@pytest.mark.parametrize(
    ("filename", "fits"),
    [
        (f"torch-1.0+cpu-{LINUX}.whl", True),
        ("torch-1.0+cpu-cp311-cp311-linux_x86_64.whl", True),
        (f"torchvision-1.0+cpu-{LINUX}.whl", False),
        (f"torch-1.0-{LINUX}.whl", False),
        ("torch-1.0+cpu-cp311-cp311-manylinux_2_28_aarch64.whl", False),
        ("torch-1.0+cpu-cp313-cp313t-manylinux_2_28_x86_64.whl", False),
        ("torch-1.0+cpu-cp311-cp311-win_amd64.whl", False),
        ("torch.whl", False),
    ],
)
def test_a_wheel_fits_by_name_version_python_and_platform(filename: str, *, fits: bool) -> None:
    assert _fits(filename, "torch", "1.0+cpu", "3.11", "x86_64") is fits
