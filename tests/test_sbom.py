"""SBOMs: the same bytes whenever they are made, once for each digest, and what a person reads when they cannot be."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from scripts.errors import BuildError
from scripts.release import sbom
from scripts.release.sbom import Origin, count_packages, find_syft, make_sboms, syft_version
from tests.attested import SYFT, make_build, put_syft

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = f"sha256:{'ab' * 32}"
ORIGIN = Origin(name="app:1", digest=DIGEST, epoch=1_700_000_000, source="https://example.com/images")


@pytest.fixture
def syft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    program = put_syft(folder)
    monkeypatch.setattr(sbom, "find_syft", lambda: program)
    return folder


@pytest.mark.usefixtures("syft")
def test_made_twice_they_are_the_same(tmp_path: Path) -> None:
    first = make_sboms(tmp_path, ORIGIN, tmp_path / "one", print)
    assert make_sboms(tmp_path, ORIGIN, tmp_path / "two", print) == first
    spdx, cyclonedx = json.loads(first.spdx), json.loads(first.cyclonedx)
    assert spdx["documentNamespace"] == f"https://example.com/images/sbom/sha256-{'ab' * 32}"
    assert spdx["creationInfo"] == {"created": "2023-11-14T22:13:20Z", "creators": ["Tool: syft"]}
    assert [package["name"] for package in spdx["packages"]] == ["a", "b"]
    assert cyclonedx["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    assert cyclonedx["metadata"]["component"]["version"] == DIGEST
    assert first.packages == 2


@pytest.mark.usefixtures("syft")
def test_no_file_is_listed_nor_referred_to(tmp_path: Path) -> None:
    spdx = json.loads(make_sboms(tmp_path, ORIGIN, tmp_path / "out", print).spdx)
    assert "files" not in spdx
    assert [item["relationshipType"] for item in spdx["relationships"]] == ["DEPENDENCY_OF"]


def test_another_digest_has_another_name(tmp_path: Path, syft: Path) -> None:
    other = Origin(name="app:1", digest=f"sha256:{'cd' * 32}", epoch=ORIGIN.epoch, source=ORIGIN.source)
    made = [json.loads(make_sboms(syft, item, tmp_path / "out", print).cyclonedx) for item in (ORIGIN, other)]
    assert made[0]["serialNumber"] != made[1]["serialNumber"]


def test_of_a_digest_they_are_made_once(tmp_path: Path, syft: Path) -> None:
    said: list[str] = []
    first = make_sboms(tmp_path, ORIGIN, tmp_path / "out", said.append)
    put_syft(syft, 'print("Version: 1.2.3") if __import__("sys").argv[1] == "version" else 1 / 0')
    assert make_sboms(tmp_path, ORIGIN, tmp_path / "out", said.append) == first
    assert said == [f"app:1: making the SBOMs of {DIGEST}"]
    # Another version may see more.
    put_syft(syft, SYFT.replace("1.2.3", "1.3.0").replace('"name": "a"}, {"type"', '"name": "c"}, {"type"'))
    assert make_sboms(tmp_path, ORIGIN, tmp_path / "out", said.append) != first


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import sys; sys.exit('boom') if sys.argv[1] == 'scan' else print('Version: 1')", "app:1: syft failed: boom"),
        (
            SYFT.replace('"type": "library"', '"type": "file"'),
            "app:1: syft found no package in {}: an SBOM that says so says nothing",
        ),
        ("print('hello')", "{}/bin/syft does not run: it tells no version"),
    ],
)
def test_none_can_be_made(tmp_path: Path, syft: Path, program: str, said: str) -> None:
    put_syft(syft, program)
    with pytest.raises(BuildError) as caught:
        make_sboms(tmp_path, ORIGIN, tmp_path / "out", print)
    assert str(caught.value) == said.format(tmp_path)
    left = [path for path in tmp_path.rglob("out/sbom/*") if path.is_dir()]
    assert left == []


def test_one_that_hangs(tmp_path: Path, syft: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_syft(syft, "import sys, time\nprint('Version: 1') if sys.argv[1] == 'version' else time.sleep(9)")
    monkeypatch.setattr(sbom, "LIMIT", 0.2)
    with pytest.raises(BuildError, match="app:1: syft gave no SBOM within 0 s"):
        make_sboms(tmp_path, ORIGIN, tmp_path / "out", print)


def test_the_locked_one_is_found_beside_this_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert syft_version(find_syft()).startswith("1.")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="syft is missing, which makes SBOMs"):
        find_syft()


def test_the_real_one_sees_both_kinds_of_packages(tmp_path: Path) -> None:
    made = make_build(tmp_path)
    sboms = make_sboms(made.layout, ORIGIN, made.settings.out, print)
    names = {package["name"] for package in json.loads(sboms.spdx)["packages"]}
    assert names == {"app:1", "numpy", "openssl"}
    assert count_packages(sboms.cyclonedx) == 2
