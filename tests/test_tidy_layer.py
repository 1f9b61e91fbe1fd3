"""What the build does with a layer of Python packages, run on a made-up one."""

from __future__ import annotations

import csv
import importlib.machinery
import importlib.util
import marshal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

PROGRAM = Path(__file__).parents[1] / "scripts" / "image" / "python" / "tidy-layer"
SITE = Path("opt/venv/lib/python3/site-packages")
HEADER = 16
"""Bytes before the code in bytecode (PEP 552)."""
RECORD = """\
torch/__init__.py,sha256=a,1
torch/test/c_test,sha256=b,1
torch/testing/__init__.py,,
"a,b.py",,
../../../share/jupyter/x.js.map,,
x-1.dist-info/RECORD,,
x-1.dist-info/uv_cache.json,,
"""


@pytest.fixture
def tidy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader = importlib.machinery.SourceFileLoader("tidy_layer", str(PROGRAM))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, loader.name, module)  # its workers look their function up there
    loader.exec_module(module)
    monkeypatch.setattr(module, "LAYER", tmp_path)
    return module


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / SITE / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def fill(folder: Path) -> Path:
    """A layer with a distribution; gives its RECORD."""
    site = folder / SITE
    for row in csv.reader(RECORD.splitlines()):
        path = (site / row[0]).resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n", encoding="utf-8")
    record = site / "x-1.dist-info" / "RECORD"
    record.write_text(RECORD, encoding="utf-8")
    return record


def test_what_is_needless_goes_and_the_record_says_what_is_left(tidy: ModuleType, tmp_path: Path) -> None:
    record = fill(tmp_path)
    tidy.remove_needless()
    assert record.read_text() == (
        'torch/__init__.py,sha256=a,1\ntorch/testing/__init__.py,,\n"a,b.py",,\nx-1.dist-info/RECORD,,\n'
    )
    left = {str(path.relative_to(tmp_path / SITE)) for path in (tmp_path / SITE).rglob("*") if path.is_file()}
    assert left == {"torch/__init__.py", "torch/testing/__init__.py", "a,b.py", "x-1.dist-info/RECORD"}
    assert not (tmp_path / SITE / "torch" / "test").exists()


def test_a_record_with_nothing_to_take_out_is_not_written_anew(tidy: ModuleType, tmp_path: Path) -> None:
    write(tmp_path, **{"x-1.dist-info__RECORD": 'a.py,"",\r\n', "a.py": ""})
    tidy.remove_needless()
    assert (tmp_path / SITE / "x-1.dist-info" / "RECORD").read_bytes() == b'a.py,"",\r\n'


def test_files_with_the_same_content_and_mode_become_one(tidy: ModuleType, tmp_path: Path) -> None:
    big = "b" * tidy.LINKED
    write(tmp_path, a=big, b=big, c="c" * tidy.LINKED, d=big, small__a="s", small__b="s")
    site = tmp_path / SITE
    (site / "d").chmod(0o755)
    tidy.link_equal()
    assert (site / "a").samefile(site / "b")
    assert (site / "b").read_text() == big
    assert [(site / name).stat().st_nlink for name in ("c", "d", "small/a", "small/b")] == [1, 1, 1, 1]


def test_modules_get_bytecode_that_no_time_makes_stale_and_tests_get_none(tidy: ModuleType, tmp_path: Path) -> None:
    write(tmp_path, **{"a.py": "x = 1\n", "pkg__tests__b.py": "x = 1\n", "broken.py": "x = (\n", "pkg__latest.py": ""})
    script = tmp_path / SITE / "../../../bin/jp.py"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text("x = 1\n")
    tidy.main()
    found = sorted(path for path in tmp_path.rglob("*.pyc"))
    assert [path.name.partition(".")[0] for path in found] == ["a", "latest"]
    data = found[0].read_bytes()
    assert data[4:8] == b"\x01\0\0\0"  # by hash, and not checked (PEP 552)
    assert data[8:HEADER] == importlib.util.source_hash(b"x = 1\n")
    assert marshal.loads(data[HEADER:]).co_filename == f"/{SITE}/a.py"  # noqa: S302 - just written
