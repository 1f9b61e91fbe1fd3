"""The import rule: recipe, build, contents, smoke, release, catalogue, each of those before it only; DESIGN, section 3."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
ORDER = ("recipe", "build", "contents", "smoke", "release", "catalogue")
# Beside the order. These know nothing of ours but each other, and all may import them,
PLAIN = frozenset({"errors", "table", "positional", "console"})
# and these may look at everything, and only the tasks at them.
SPECTATORS = frozenset({"doctor", "workplace", "tasks"})
TOP = frozenset({"tasks", "noxfile"})


def imported(source: str, package: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that a module imports, wherever in it.

    ``package`` is the package the module is in.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            name = ".".join([*base, *([node.module] if node.module else [])])
            # `from scripts import build` names a module too.
            yield from ((node.lineno, f"{name}.{alias.name}" if name == "scripts" else name) for alias in node.names)


def allowed(importer: str, target: str) -> bool:
    """Whether a module of the part ``importer`` may import one of the part ``target``."""
    if target in PLAIN or importer in SPECTATORS:
        return True
    if importer in ORDER and target in ORDER:
        return ORDER.index(target) <= ORDER.index(importer)
    return False


def faults(source: str, path: str) -> list[str]:
    """The imports of the module at ``path`` that break the rule."""
    parts = Path(path).with_suffix("").parts
    if parts[0] in TOP:
        return []
    found = []
    for line, name in imported(source, parts[:-1]):
        words = name.split(".")
        if words[0] in TOP or (words[0] == "scripts" and len(words) > 1 and not allowed(parts[1], words[1])):
            found.append(f"{path}:{line}: {name}")
    return found


def modules() -> list[str]:
    found = [path.relative_to(ROOT).as_posix() for path in (ROOT / "scripts").rglob("*.py")]
    return sorted(path for path in found if not path.startswith(("scripts/image/", "scripts/build/standin/")))


def test_imports_go_down_the_list_only() -> None:
    assert [fault for path in modules() for fault in faults((ROOT / path).read_text(), path)] == []


def test_every_part_of_the_library_has_its_place_in_the_order() -> None:
    parts = {Path(path).with_suffix("").parts[1] for path in modules()} - {"__init__"}
    assert parts <= {*ORDER, *PLAIN, *SPECTATORS}
    assert set(ORDER) <= parts


@pytest.mark.parametrize(
    "line",
    [
        "from scripts.build import x",
        "from scripts.build.layout import Record",
        "import scripts.build.layout",
        "import scripts.build.layout as y",
        "from scripts import build",
        "from scripts import errors, build",
        "from ..build import layout",
        "from .. import build",
        "from ..build.layout import Record",
        "def f():\n    from scripts.build import x",
        "if TYPE_CHECKING:\n    from scripts.build.layout import Record",
        "try:\n    import scripts.catalogue\nexcept ImportError:\n    pass",
        "from scripts.doctor import examine",
        "import tasks",
        "from noxfile import lint",
    ],
)
def test_an_import_against_the_order_that_is_planted_in_recipe_is_found(line: str) -> None:
    path = "scripts/recipe/family.py"
    source = (ROOT / path).read_text()
    assert faults(source, path) == []
    assert len(faults(f"{source}\n\n{line}\n", path)) == 1


def test_the_line_and_the_name_of_a_fault_are_said() -> None:
    assert faults("import os\nfrom scripts.build.layout import Record\n", "scripts/recipe/x.py") == [
        "scripts/recipe/x.py:2: scripts.build.layout"
    ]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("scripts/recipe/x.py", "from scripts.recipe.family import Row"),
        ("scripts/recipe/x.py", "from .family import Row"),
        ("scripts/recipe/x.py", "from scripts.errors import UsageError"),
        ("scripts/recipe/x.py", "import json, os.path"),
        ("scripts/build/x.py", "from ..recipe.family import Row"),
        ("scripts/catalogue/x.py", "from scripts import recipe, build, release, contents"),
        ("scripts/doctor.py", "from scripts.build.engine import inspect_engine"),
        ("scripts/console.py", "from scripts.errors import UsageError"),
        ("tasks.py", "from scripts.doctor import examine"),
        ("noxfile.py", "from scripts.recipe.matrix import expand_all"),
    ],
)
def test_an_import_that_the_rule_allows_is_no_fault(path: str, line: str) -> None:
    assert faults(line, path) == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("scripts/errors.py", "from scripts.recipe.faults import ManifestError"),
        ("scripts/table.py", "from .build import layout"),
        ("scripts/build/x.py", "from scripts.release import registry"),
        ("scripts/build/x.py", "from scripts.doctor import examine"),
        ("scripts/contents/x.py", "from scripts.release import ledger"),
        ("scripts/smoke/x.py", "from scripts.release import ledger"),
        ("scripts/release/notes.py", "from scripts.catalogue.documents import plan_documents"),
        ("scripts/contents/x.py", "from scripts.catalogue import tables"),
        ("scripts/catalogue/documents.py", "from scripts.workplace import here"),
        ("scripts/catalogue/tables.py", "from scripts.tasks import documents"),
    ],
)
def test_an_import_that_the_rule_forbids_elsewhere_is_found(path: str, line: str) -> None:
    assert len(faults(line, path)) == 1
