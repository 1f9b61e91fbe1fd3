"""Interpreter, environments and distributions, as pip and Python itself would find them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from scripts.contents.inventory import CondaPackage, Interpreter, Package, Python
from scripts.contents.inventory_files import Tree
from scripts.contents.inventory_python import distributions_of, read_conda, read_python
from tests.images import wheel

if TYPE_CHECKING:
    from collections.abc import Mapping

VENV = "opt/venv/lib/python3.11/site-packages"
PATH = {"PATH": "/opt/venv/bin:/usr/bin"}
BASE = {
    "opt/venv/bin/python": ("symlink", "/usr/bin/python3.11"),
    "opt/venv/pyvenv.cfg": "home = /usr/bin\nversion_info = 3.11.1\n",
    "usr/bin/python3": ("symlink", "python3.11"),
}
APT = (Package(name="python3.11-minimal", architecture="amd64", version="3.11.2-6+deb12u6", source="python3.11"),)


def read(
    files: Mapping[str, Any], env: Mapping[str, str] = PATH, apt: tuple[Package, ...] = APT, **more: Any
) -> Python:
    tree = Tree(
        {f"/{path}": text.encode() for path, text in files.items() if isinstance(text, str)},
        {f"/{path}": text[1] for path, text in files.items() if isinstance(text, tuple)},
    )
    return read_python(tree, env, apt, **more)


def names(found: Python) -> dict[str, list[tuple[str, str]]]:
    return {place.path: [(item.name, item.version) for item in place.distributions] for place in found.environments}


def test_environments_and_their_distributions() -> None:
    system = wheel("six", "1.16", where="usr/lib/python3/dist-packages")
    local = wheel("pip", "23.0", where="usr/local/lib/python3.11/dist-packages")
    found = read(BASE | wheel("PyYAML", "6.0") | wheel("attrs", "26.1") | system | local)
    assert names(found) == {
        "/opt/venv": [("attrs", "26.1"), ("PyYAML", "6.0")],
        "/usr": [("six", "1.16")],
        "/usr/local": [("pip", "23.0")],
    }
    assert [place.directories for place in found.environments] == [
        (f"/{VENV}",),
        ("/usr/lib/python3/dist-packages",),
        ("/usr/local/lib/python3.11/dist-packages",),
    ]
    assert [place.python for place in found.environments] == ["3.11.2", "3.11.2", "3.11.2"]
    assert found.interpreter == Interpreter(path="/opt/venv/bin/python", version="3.11.2")


def test_eggs_count_and_what_is_vendored_cached_or_broken_does_not() -> None:
    files = {
        f"{VENV}/a.egg-info": "Name: a\nVersion: 1\n",
        f"{VENV}/b-2.egg-info/PKG-INFO": "Name: b\nVersion: 2\n",
        f"{VENV}/c-3-py3.11.egg/EGG-INFO/PKG-INFO": "Name: c\r\nVersion: 3\r\n\r\nbody",
        f"{VENV}/setuptools/_vendor/wheel-1.dist-info/METADATA": "Name: wheel\nVersion: 1\n",
        f"{VENV}/~umpy-1.dist-info/METADATA": "",
        "opt/conda/pkgs/d-1/lib/python3.11/site-packages/d-1.dist-info/METADATA": "Name: d\nVersion: 1\n",
        "root/.cache/uv/archive-v0/x/e-1.dist-info/METADATA": "Name: e\nVersion: 1\n",
    }
    assert names(read(files)) == {"/opt/venv": [("a", "1"), ("b", "2"), ("c", "3")]}


def test_a_folder_of_pythonpath_is_a_place_too() -> None:
    files = {"srv/lib/e-1.dist-info/METADATA": "Name: e\nVersion: 1\n"}
    assert names(read(files)) == {}
    assert names(read(files, {"PYTHONPATH": "/srv/lib:/x"})) == {"/srv/lib": [("e", "1")]}


def test_what_the_recipe_asks_for_is_direct_in_the_environment_that_is_used() -> None:
    base = wheel("pip", "1", where="usr/local/lib/python3.11/dist-packages", asked=True)
    torch = wheel("torch", "2", where="usr/local/lib/python3.11/dist-packages")
    found = read(BASE | wheel("PIP", "2") | wheel("six", "1", asked=True) | base | torch, asked={"pip", "torch"})
    marks = {(place.path, item.name): item.direct for place in found.environments for item in place.distributions}
    assert marks == {
        ("/opt/venv", "PIP"): True,
        ("/opt/venv", "six"): False,
        ("/usr/local", "pip"): False,
        ("/usr/local", "torch"): True,  # the base brings what the environment has not
    }
    assert found.asked_by == "recipe"


def test_without_a_recipe_the_installers_say_what_was_asked_for_or_nobody_does() -> None:
    debian = {f"{VENV}/d-1.dist-info/METADATA": "Name: d\nVersion: 1\n", f"{VENV}/d-1.dist-info/INSTALLER": "debian\n"}
    found = read(wheel("a", "1", asked=True) | wheel("b", "1") | debian)
    assert [(item.name, item.direct, item.installer) for item in found.environments[0].distributions] == [
        ("a", True, "uv"),
        ("b", False, "uv"),
        ("d", None, "debian"),
    ]
    assert found.asked_by == "installer"
    assert read(debian).asked_by is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://user:word@example.org/a.whl?token=x", "https://example.org/a.whl"),
        ("file:///build/a.whl", "file:///build/a.whl"),
        ("", None),
    ],
)
def test_where_a_distribution_is_from_is_told_without_passwords(url: str, expected: str | None) -> None:
    found = read(wheel("a", "1") | {f"{VENV}/a-1.dist-info/direct_url.json": f'{{"url": "{url}"}}'})
    assert found.environments[0].distributions[0].url == expected


def test_a_broken_direct_url_is_no_url() -> None:
    for text in ("", "{", "[]", '{"url": "http://[x"}'):
        found = read(wheel("a", "1") | {f"{VENV}/a-1.dist-info/direct_url.json": text})
        assert found.environments[0].distributions[0].url is None


@pytest.mark.parametrize(
    ("files", "env", "expected"),
    [
        ({}, {}, None),
        ({"usr/local/bin/python3": ""}, {"PYTHON_VERSION": "3.12.4"}, ("/usr/local/bin/python3", "3.12.4")),
        ({"usr/local/bin/python3": ""}, {}, ("/usr/local/bin/python3", None)),
        ({"usr/local/bin/python3": ("symlink", "../../bin/python3.11")}, {}, ("/usr/local/bin/python3", "3.11.2")),
        ({"usr/bin/python3": ("symlink", "python3.11")}, {}, ("/usr/bin/python3", "3.11.2")),
        ({"usr/bin/python3": ("symlink", "python3.13")}, {}, ("/usr/bin/python3", None)),
        ({"bin/python3": ""}, {"PATH": "/sbin"}, None),
        ({"a/bin/python": "", "b/bin/python3": ""}, {"PATH": "/b/bin:/a/bin"}, ("/a/bin/python", None)),
        ({"a/bin/python": "", "a/include/python3.10/patchlevel.h": '#define PY_VERSION  "3.10.9+"\n'},
         {"PATH": "/a/bin/"}, ("/a/bin/python", "3.10.9+")),
        ({"a/bin/python": "", "a/conda-meta/python-3.9.18-h1_0_cpython.json": ""}, {"PATH": "/a/bin"},
         ("/a/bin/python", "3.9.18")),
        ({"v/bin/python": "", "v/pyvenv.cfg": "home = /gone/bin\nversion = 3.8.1"}, {"PATH": "/v/bin"},
         ("/v/bin/python", "3.8.1")),
    ],
)  # fmt: skip
def test_the_interpreter(files: dict[str, Any], env: dict[str, str], expected: tuple[str, str | None] | None) -> None:
    found = read(files, env).interpreter
    assert (found and (found.path, found.version)) == expected


def test_of_two_pythons_below_a_prefix_none_is_guessed() -> None:
    files = {
        "a/bin/python": "",
        "a/include/python3.10/patchlevel.h": '#define PY_VERSION "3.10.9"',
        "a/include/python3.12/patchlevel.h": '#define PY_VERSION "3.12.1"',
    }
    found = read(files | wheel("x", "1", where="a/lib/python3.12/site-packages"), {"PATH": "/a/bin"})
    assert found.interpreter == Interpreter(path="/a/bin/python", version=None)
    assert found.environments[0].python == "3.12.1"


def test_conda_says_by_the_names_of_its_files() -> None:
    tree = Tree(
        {"/opt/conda/conda-meta/ca-certificates-2024.2.2-hbcca054_0.json": b"", "/opt/conda/conda-meta/history": b""},
        {},
    )
    assert read_conda(tree) == (
        CondaPackage(prefix="/opt/conda", name="ca-certificates", version="2024.2.2", build="hbcca054_0"),
    )


def test_the_distributions_of_a_layer() -> None:
    paths = [
        f"{VENV}/PyYAML-6.0.dist-info/METADATA",
        f"{VENV}/zope.interface-7.dist-info/METADATA",
        f"{VENV}/a-1.dist-info/INSTALLER",
    ]
    assert distributions_of(paths) == ["pyyaml", "zope-interface"]


@pytest.mark.parametrize(
    ("record", "size"),
    [
        ("a/b.py,sha256=x,120\na/c.py,sha256=x,x\n", None),
        ('a/b.py,sha256=x,120\n"a,c.py",sha256=x,30\na/b.pyc,,\na-1.dist-info/RECORD,,\n', 150),
        ("a/b.py,,\n", None),
        ("a/b.py,sha256=x,-5\n", None),
        ("\ud800", None),
        ("", None),
    ],
)
def test_what_a_distribution_weighs_by_its_record(record: str, size: int | None) -> None:
    files = {**BASE, **wheel("a", "1"), f"{VENV}/a-1.dist-info/RECORD": record}
    raw = {f"/{path}": text.encode(errors="surrogatepass") for path, text in files.items() if isinstance(text, str)}
    links = {f"/{path}": text[1] for path, text in files.items() if isinstance(text, tuple)}
    (place,) = read_python(Tree(raw, links), PATH, APT).environments
    assert [item.size for item in place.distributions] == [size]
