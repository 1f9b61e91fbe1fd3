"""JupyterLab is started without the parsers that it does not need, and has them once it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[1] / "scripts" / "image" / "start-jupyter-lab"
SYNTAX = """\
print("parsers are built")
terms = ["iri"]
def is_valid_syntax(term, value):
    return term == "iri" and value == "x:y"
"""
LAB = """\
import sys
from rfc3987_syntax import is_valid_syntax
print("started with", *sys.argv[1:])
def main():
    {body}
"""


def start(folder: Path, body: str, *, syntax: bool = True) -> tuple[list[str], str]:
    """Run the program with a made-up JupyterLab; the lines that it prints, and its errors."""
    files = {"jupyterlab/__init__.py": "", "jupyterlab/labapp.py": LAB.format(body=body)}
    for name, text in {**files, **({"rfc3987_syntax.py": SYNTAX} if syntax else {})}.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-B", PROGRAM, "--port=1"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(folder)},
    )
    return done.stdout.splitlines(), done.stderr


def test_the_parsers_are_not_built_where_nothing_is_checked(tmp_path: Path) -> None:
    assert start(tmp_path, "pass") == (["started with --port=1"], "")


@pytest.mark.parametrize(("value", "valid"), [("x:y", "True"), ("z", "False")])
def test_a_check_is_the_modules_own(tmp_path: Path, value: str, valid: str) -> None:
    lines, _ = start(tmp_path, f"print(is_valid_syntax('iri', {value!r}), is_valid_syntax('iri', {value!r}))")
    assert lines == ["started with --port=1", "parsers are built", f"{valid} {valid}"]


def test_everything_else_is_the_modules_own_too(tmp_path: Path) -> None:
    lines, _ = start(tmp_path, "import rfc3987_syntax; print(rfc3987_syntax.terms)")
    assert lines[1:] == ["parsers are built", "['iri']"]


def test_what_is_not_installed_stays_so(tmp_path: Path) -> None:
    lines, errors = start(tmp_path, "pass", syntax=False)
    assert lines == []
    assert "No module named 'rfc3987_syntax'" in errors


def test_the_exit_code_is_jupyterlabs(tmp_path: Path) -> None:
    assert start(tmp_path, "return 'it failed'")[1] == "it failed\n"
