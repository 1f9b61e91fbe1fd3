"""What the build does with a layer of Python packages, run on a made-up one."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.machinery
import importlib.util
import marshal
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.test_elf import Elf

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
    monkeypatch.syspath_prepend(str(PROGRAM.parent))
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
    tidy.correct_records(tidy.remove_needless(), set())
    assert record.read_text() == (
        'torch/__init__.py,sha256=a,1\ntorch/testing/__init__.py,,\n"a,b.py",,\nx-1.dist-info/RECORD,,\n'
    )
    left = {str(path.relative_to(tmp_path / SITE)) for path in (tmp_path / SITE).rglob("*") if path.is_file()}
    assert left == {"torch/__init__.py", "torch/testing/__init__.py", "a,b.py", "x-1.dist-info/RECORD"}
    assert not (tmp_path / SITE / "torch" / "test").exists()


def test_a_record_with_nothing_to_take_out_is_not_written_anew(tidy: ModuleType, tmp_path: Path) -> None:
    write(tmp_path, **{"x-1.dist-info__RECORD": 'a.py,"",\r\n', "a.py": ""})
    tidy.correct_records(tidy.remove_needless(), tidy.drop_all_symbols())
    assert (tmp_path / SITE / "x-1.dist-info" / "RECORD").read_bytes() == b'a.py,"",\r\n'


def test_headers_of_tensorflows_own_parts_go_and_those_of_its_interfaces_stay(tidy: ModuleType, tmp_path: Path) -> None:
    include = "tensorflow__include__"
    kept = (f"{include}tensorflow__core__op.h", f"{include}external__onednn__a.h", "external__icu__b.h")
    write(tmp_path, **dict.fromkeys((*kept, f"{include}external__icu__b.h", f"{include}external__icu__c__d.h"), "x"))
    removed = {path.removeprefix(f"{tmp_path / SITE}/") for path in tidy.remove_needless()}
    assert removed == {"tensorflow/include/external/icu/b.h", "tensorflow/include/external/icu/c/d.h"}
    assert sorted(path.name for path in (tmp_path / SITE).rglob("*.h")) == ["a.h", "b.h", "op.h"]
    assert not (tmp_path / SITE / "tensorflow/include/external/icu").exists()


def test_libraries_lose_their_symbols_and_the_record_says_what_they_are_now(tidy: ModuleType, tmp_path: Path) -> None:
    for name in ("x__lib.so.2", "x__program", "x__data.bin", "nvidia__lib.so", "x-1.dist-info__RECORD"):
        write(tmp_path, **{name: ""})
    site = tmp_path / SITE
    for name in ("x/lib.so.2", "x/program", "x/data.bin", "nvidia/lib.so"):
        before = Elf().write(site / name)
    (site / "x/program").chmod(0o755)
    os.link(site / "x/lib.so.2", site / "x/same.so")
    (site / "x-1.dist-info/RECORD").write_text("x/lib.so.2,sha256=a,1\nx/data.bin,sha256=b,2\nx/same.so,sha256=a,1\n")
    changed = tidy.drop_all_symbols()
    tidy.correct_records(set(), changed)
    assert changed == {str(site / f"x/{name}") for name in ("lib.so.2", "program", "same.so")}
    content = (site / "x/lib.so.2").read_bytes()
    assert len(content) < len(before) == (site / "nvidia/lib.so").stat().st_size
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    assert (site / "x-1.dist-info/RECORD").read_text() == (
        f"x/lib.so.2,sha256={digest},{len(content)}\nx/data.bin,sha256=b,2\nx/same.so,sha256={digest},{len(content)}\n"
    )


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
