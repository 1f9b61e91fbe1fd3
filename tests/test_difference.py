"""What changed from one image to another, group by group, in the order that people read."""

from __future__ import annotations

from typing import Any

from scripts.contents.changes import Kind, Step
from scripts.contents.difference import Difference, Setting, compare
from scripts.contents.inventory import Architectures, CondaPackage, Environment, Gpu, Inventory, Subject, System
from tests.inventories import apt, config, digest, gpu, inventory, layer, python


def names(found: Difference, group: str) -> list[tuple[str, str]]:
    return [(change.name, str(change.kind)) for change in getattr(found, group)]


def test_an_image_does_not_differ_from_itself() -> None:
    one = inventory(apt=apt(("a", "1")), python=python(("b", "1", True)))
    found = compare(one, one)
    assert (found.programs, found.python, found.apt, found.conda, found.settings) == ((), (), (), (), ())
    assert found.layers.pull_size == 0


def test_python_direct_first_then_major_minor_patch_then_by_name() -> None:
    old: list[Any] = [
        ("a", "1.0.0"),
        ("b", "1.0.0"),
        ("c", "1.0.0"),
        ("d", "1.0.0"),
        ("z", "1.0.0", True),
        ("Y", "1.0.0", True),
        ("same", "1"),
    ]
    new: list[Any] = [
        ("a", "1.0.1"),
        ("b", "1.1.0"),
        ("c", "2.0.0"),
        ("d", "0.9"),
        ("z", "1.0.1", True),
        ("y", "1.2", True),
        ("same", "1"),
        ("n", "1"),
    ]
    found = compare(inventory(python=python(*old)), inventory(python=python(*new)))
    assert [(item.name, item.direct, item.step) for item in found.python] == [
        ("y", True, Step.MINOR),
        ("z", True, Step.PATCH),
        ("c", False, Step.MAJOR),
        ("d", False, Step.MAJOR),
        ("b", False, Step.MINOR),
        ("a", False, Step.PATCH),
        ("n", False, Step.OTHER),
    ]
    assert [item.kind for item in found.python][3] is Kind.DOWNGRADED


def test_what_was_asked_for_in_either_image_is_direct() -> None:
    found = compare(inventory(python=python(("a", "1", True))), inventory(python=python(("a", "2"), ("b", "1", True))))
    assert [(item.name, item.direct) for item in found.python] == [("a", True), ("b", True)]


def test_environments_are_compared_each_with_itself() -> None:
    place = python(("pip", "1"), path="/usr/local").environments
    found = compare(
        inventory(python=python(("pip", "2"), more=place)), inventory(python=python(("pip", "3"), more=place))
    )
    assert [(item.where, item.old, item.new) for item in found.python] == [("/opt/venv", "2", "3")]


def test_a_distribution_that_is_twice_in_an_environment_is_told_with_both_versions() -> None:
    found = compare(inventory(python=python(("a", "1"))), inventory(python=python(("a", "1"), ("A", "2"))))
    assert [(item.old, item.new, item.kind) for item in found.python] == [("1", "1 and 2", Kind.CHANGED)]


def test_debian_packages_by_what_became_of_them() -> None:
    old = apt(("gone", "1"), ("up", "1.0~rc1-1"), ("down", "2"), ("same", "1"), ("alike", "0:1"))
    new = apt(("up", "1.0-1"), ("down", "1"), ("same", "1"), ("come", "1"), ("alike", "1"))
    assert names(compare(inventory(apt=old), inventory(apt=new)), "apt") == [
        ("up", "upgraded"),
        ("down", "downgraded"),
        ("alike", "changed"),
        ("come", "added"),
        ("gone", "removed"),
    ]


def test_packages_of_two_architectures_are_told_apart_and_those_of_another_image_are_not() -> None:
    both = apt(("libc6", "1")) + apt(("libc6", "1"), architecture="i386")
    newer = apt(("libc6", "1")) + apt(("libc6", "2"), architecture="i386")
    found = compare(inventory(apt=both), inventory(apt=newer))
    assert [(item.name, item.where) for item in found.apt] == [("libc6", "i386")]
    assert compare(inventory(apt=apt(("a", "1"))), inventory(apt=apt(("a", "1"), architecture="arm64"))).apt == ()


def test_the_programs_of_an_image() -> None:
    old = inventory(python=python(version="3.11.2"), gpu=gpu(("CUDA", "12.1.1"), ("cuDNN", "8.9.0"), ("NCCL", "2.1")))
    new = inventory(python=python(version="3.11.4"), gpu=gpu(("CUDA", "12.4.1"), ("cuDNN", "9.0"), ("cuDNN", "8.9.0")))
    found = compare(old, new)
    assert [(item.name, item.old, item.new, str(item.kind)) for item in found.programs] == [
        ("Python", "3.11.2", "3.11.4", "upgraded"),
        ("CUDA", "12.1.1", "12.4.1", "upgraded"),
        ("cuDNN", "8.9.0", "8.9.0 and 9.0", "changed"),
        ("NCCL", "2.1", "", "removed"),
    ]


def test_what_only_a_smoke_test_finds_out_is_compared_where_both_images_were_tested() -> None:
    def of(driver: str | None, **sass: tuple[str, ...]) -> Inventory:
        found = {name: Architectures(sass=codes, ptx=("compute_90",)) for name, codes in sass.items()}
        return inventory(gpu=Gpu(libraries=(), architectures=found or None, lowest_driver=driver))

    old, new = of("525.60.13", torch=("sm_50", "sm_90")), of("580", torch=("sm_90", "sm_120"), other=("sm_90",))
    assert [(item.name, item.old, item.new, str(item.kind)) for item in compare(old, new).programs] == [
        ("GPU code of torch", "sm_50 sm_90 compute_90", "sm_90 sm_120 compute_90", "changed"),
        ("lowest driver", "525.60.13", "580", "upgraded"),
    ]
    assert compare(old, of(None)).programs == compare(of(None), new).programs == ()


def test_an_image_for_another_platform() -> None:
    other = inventory(image=Subject(digest=digest(2), platform="linux/arm64", id=None))
    assert [(item.name, item.old, item.new) for item in compare(inventory(), other).programs] == [
        ("platform", "linux/amd64", "linux/arm64")
    ]


def test_the_distribution() -> None:
    def of(identifier: str, version: str | None) -> Inventory:
        return inventory(system=System(id=identifier, name="x", version=version))

    for old, new, expected in (
        (of("debian", "12"), of("debian", "13"), ("Debian 12", "Debian 13", Kind.UPGRADED)),
        (of("debian", "12"), of("ubuntu", "22.04"), ("Debian 12", "Ubuntu 22.04", Kind.CHANGED)),
        (of("debian", None), of("debian", "13"), ("Debian", "Debian 13", Kind.CHANGED)),
    ):
        (change,) = compare(old, new).programs
        assert (change.old, change.new, change.kind) == expected


def test_conda() -> None:
    def of(version: str, build: str) -> tuple[CondaPackage, ...]:
        return (CondaPackage(prefix="/opt/conda", name="zlib", version=version, build=build),)

    (change,) = compare(inventory(conda=of("1.2", "h0")), inventory(conda=of("1.3", "h0"))).conda
    assert (change.old, change.new, change.kind) == ("1.2 h0", "1.3 h0", Kind.UPGRADED)
    (change,) = compare(inventory(conda=of("1.2", "h0")), inventory(conda=of("1.2", "h1"))).conda
    assert change.kind is Kind.CHANGED


def test_every_part_of_the_config() -> None:
    old = config(env={"A": "1", "B": "1"}, labels={"l": "1"})
    new = config(
        env={"A": "2", "C": ""},
        labels={},
        entrypoint=None,
        command=("a", "b c"),
        user="app",
        working_dir="/x",
        ports=(),
    )
    assert compare(inventory(config=old), inventory(config=new)).settings == (
        Setting(part="env", name="A", old="1", new="2"),
        Setting(part="env", name="B", old="1", new=None),
        Setting(part="env", name="C", old=None, new=""),
        Setting(part="labels", name="l", old="1", new=None),
        Setting(part="entrypoint", name="", old='["tini"]', new=None),
        Setting(part="command", name="", old='["start"]', new='["a", "b c"]'),
        Setting(part="user", name="", old="", new="app"),
        Setting(part="working_dir", name="", old="", new="/x"),
        Setting(part="ports", name="", old='["8888/tcp"]', new="[]"),
    )


def test_what_a_user_pulls_counts_each_layer_once_and_none_that_is_there() -> None:
    old = inventory(layers=(layer(1, 100), layer(2, 50)))
    new = inventory(layers=(layer(2, 50), layer(3, 7), layer(3, 7), layer(4, 1)))
    layers = compare(old, new).layers
    assert [item.digest[-1] for item in layers.pulled] == ["3", "4"]
    assert layers.pull_size == 8
    assert len(layers.shared) == 1


def test_an_environment_that_is_gone_takes_its_distributions_with_it() -> None:
    more: tuple[Environment, ...] = python(("six", "1"), path="/usr").environments
    found = compare(inventory(python=python(more=more)), inventory())
    assert [(item.name, item.where, item.kind) for item in found.python] == [("six", "/usr", Kind.REMOVED)]
