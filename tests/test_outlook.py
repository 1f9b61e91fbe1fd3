"""What grows old, all of it: tags of bases, updates of the distribution and ends of life, with what can't be asked said."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import pytest

from scripts.build import sources
from scripts.build.settings import Settings
from scripts.contents.inventory import render_inventory
from scripts.errors import UsageError
from scripts.recipe.lifetimes import load_lifetimes
from scripts.recipe.matrix import expand_all, load_families
from scripts.release import updates
from scripts.release.outlook import COLUMNS, TITLES, Lookout, Outlook, Part, parse_parts
from scripts.table import render_table
from tests.conftest import DIGEST, VERSIONS, Repository, Tasks
from tests.faulty_registry import FaultyRegistry, connect, say
from tests.images import make_image, package, publish
from tests.inventories import attach_inventory
from tests.test_archive import APT, paragraph
from tests.test_inventory_read import take
from tests.test_named import built

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Docker

TODAY = datetime.date(2026, 11, 26)
OS = 'ID=debian\nPRETTY_NAME="Debian GNU/Linux {0}"\nVERSION_ID="{0}"\n'
SOURCES = "".join(
    f"deb http://mirror.example/debian bookworm{pocket} main\n" for pocket in ("", "-updates", "-security")
)


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as made:
        yield made


@pytest.fixture
def base(registry: FaultyRegistry) -> str:
    return f"{registry.host}/library/python:3.11-slim-bookworm"


@pytest.fixture
def root(repository: Repository, docker: Docker, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A family of one image, an apt that pretends, and a machine that has Debian's mirror."""
    docker.answer(registry={base: DIGEST})
    repository.family(versions=VERSIONS.replace("python:3.11", base))
    (repository.root / "scripts" / "image").mkdir(parents=True)
    (repository.root / "scripts" / "image" / "requirements.txt").touch()
    (docker.folder / "apt-get").write_text((docker.folder / "docker").read_text().splitlines()[0] + f"\n{APT}")
    (docker.folder / "apt-get").chmod(0o755)
    for pocket in ("", "-updates", "-security"):
        (docker.folder / f"bookworm{pocket}").write_text(paragraph("bash", "5.2-9"))
    machine = tmp_path / "machine"
    (machine / "etc" / "apt").mkdir(parents=True)
    (machine / "etc" / "apt" / "sources.list").write_text(SOURCES)
    monkeypatch.setattr(updates, "SYSTEM", machine)
    return repository.root


def look(root: Path, registry: FaultyRegistry, *parts: Part, today: datetime.date = TODAY) -> tuple[Outlook, list[str]]:
    said: list[str] = []
    sources._digest_in_registry.cache_clear()
    families = load_families(root)
    with connect(attempts=1) as client:
        lookout = Lookout(
            families=families,
            images=expand_all(families),
            settings=Settings(root=root, out=root / "out", cache=root / "cache", registry=f"{registry.host}/vessl-ai"),
            lifetimes=load_lifetimes(),
            transport=client.transport,
            today=today,
            say=said.append,
        )
        return lookout.look(None, None, frozenset(parts)), said


def test_newer_tags_of_a_base_are_told_with_what_they_touch(root: Path, registry: FaultyRegistry, base: str) -> None:
    for tag in ("3.11-slim-bookworm", "3.11-slim-trixie", "3.14-slim-trixie", "latest"):
        registry.put(b"{}", "application/json", tag, name="library/python")
    found, _ = look(root, registry, Part.TAGS)
    name = base.rpartition(":")[0]
    assert [(row["base"], row["newest"], row["change"], row["do"]) for row in found.rows] == [
        (base, f"{name}:3.11-slim-trixie", "newer system", "edit the base in versions.toml"),
        (base, f"{name}:3.14-slim-trixie", "newer version", "add a row"),
    ]
    assert (found.rows[0]["touches"], found.rows[0]["rows"], found.rows[0]["images"]) == ("fam 1", ["fam 1"], ["app:1"])
    assert found.unknown == []


def test_tags_that_cannot_be_listed_are_unknown(root: Path, registry: FaultyRegistry, docker: Docker) -> None:
    registry.fail("GET", "/tags/list", say(403))
    found, _ = look(root, registry, Part.TAGS)
    assert found.rows == []
    assert found.unknown[0].startswith(f"newer tags of {registry.host}/library/python: unknown: ")
    docker.answer(registry={})
    found, _ = look(root, registry, Part.TAGS)
    assert "unknown: its registry gave no answer" in found.unknown[0]


def image_of(tmp_path: Path, version: str = "12") -> Any:
    status = {"usr/lib/os-release": OS.format(version), "var/lib/dpkg/status": package("bash", "5.2-1")}
    return make_image(tmp_path / f"image{version}", status)


def test_updates_wait_for_what_is_built_here(
    root: Path, registry: FaultyRegistry, tmp_path: Path, docker: Docker
) -> None:
    built(Tasks(Repository(root), {}), image_of(tmp_path))
    (docker.folder / "bookworm-security").write_text(paragraph("bash", "5.2-10"))
    found, said = look(root, registry, Part.APT)
    (row,) = found.rows
    assert (row["image"], row["system"], row["packages"], row["security"]) == ("app:1", "Debian 12 (bookworm)", 1, 1)
    assert row["waiting"] == "1 package, 1 of them security updates: bash"
    assert row["updates"] == [
        {"name": "bash", "before": "5.2-1", "after": "5.2-10", "source": "bash", "security": True}
    ]
    assert row["images"] == ["app:1"]
    assert (found.unknown, said) == ([], ["asking for the packages of Debian bookworm (amd64)"])


def test_updates_wait_for_what_is_published_by_its_inventory(
    root: Path, registry: FaultyRegistry, tmp_path: Path
) -> None:
    found, said = look(root, registry, Part.APT)
    assert (found.rows, found.unknown) == ([], [])
    assert said[0] == "no updates of the distribution for what is neither built here nor published: app:1"
    layout = image_of(tmp_path)
    image = publish(registry, layout, "1", name="vessl-ai/app")
    found, _ = look(root, registry, Part.APT)
    assert found.unknown == ["updates for app:1: unknown: no inventory is attached to what is published"]
    with connect() as client:
        content = render_inventory(take(layout.folder))
        attach_inventory(client.transport, registry.repository("vessl-ai/app"), image, content)
    found, _ = look(root, registry, Part.APT)
    assert [(row["image"], row["waiting"]) for row in found.rows] == [("app:1", "1 package: bash")]


def test_nothing_that_waits_is_told_and_what_cannot_be_asked_is_unknown(
    root: Path, registry: FaultyRegistry, tmp_path: Path, docker: Docker
) -> None:
    built(Tasks(Repository(root), {}), image_of(tmp_path))
    for pocket in ("", "-updates", "-security"):
        (docker.folder / f"bookworm{pocket}").write_text(paragraph("bash", "5.2-1"))
    found, _ = look(root, registry, Part.APT)
    assert [row["waiting"] for row in found.rows] == ["none"]
    (docker.folder / "said").write_text("E: no network")
    found, _ = look(root, registry, Part.APT)
    assert found.rows == []
    assert found.unknown == [
        "updates for app:1: unknown: the archive of Debian bookworm (amd64) could not be asked: apt-get: E: no network"
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (OS.format("99"), "Debian GNU/Linux 99 is not in lifetimes.toml, which has the names of releases"),
        ('ID=alpine\nPRETTY_NAME="Alpine\x1b[2J"\n', "it is neither Debian nor Ubuntu but Alpine [2J"),
        (None, "it is neither Debian nor Ubuntu but unknown"),
    ],
)
def test_of_another_system_nothing_is_known(
    root: Path, registry: FaultyRegistry, tmp_path: Path, text: str | None, why: str
) -> None:
    built(Tasks(Repository(root), {}), make_image(tmp_path / "x", {"usr/lib/os-release": text} if text else {"a": "b"}))
    found, _ = look(root, registry, Part.APT)
    assert found.unknown == [f"updates for app:1: unknown: {why}"]


def test_a_registry_that_is_down_is_asked_once(root: Path, registry: FaultyRegistry, base: str) -> None:
    second = VERSIONS[VERSIONS.index("[[image]]") :].replace('"1"', '"2"').replace("python:3.11", base)
    path = root / "fam" / "versions.toml"
    path.write_text(path.read_text() + second)
    registry.fail("GET", "/manifests/", say(503), times=9)
    found, _ = look(root, registry, Part.APT)
    (line,) = found.unknown
    assert line.startswith(f"updates for app:1, app:2: unknown: {registry.host}/vessl-ai cannot be asked: ")
    assert len([item for item in registry.log if "/manifests/" in item]) == 1


def test_one_repository_that_may_not_be_read_is_not_the_whole_registry(
    root: Path, registry: FaultyRegistry, base: str, tmp_path: Path
) -> None:
    second = VERSIONS[VERSIONS.index("[[image]]") :].replace('"1"', '"2"').replace("python:3.11", base)
    path = root / "fam" / "versions.toml"
    path.write_text(path.read_text() + second)
    layout = image_of(tmp_path)
    image = publish(registry, layout, "2", name="vessl-ai/app")
    with connect() as client:
        content = render_inventory(take(layout.folder))
        attach_inventory(client.transport, registry.repository("vessl-ai/app"), image, content)
    registry.fail("GET", "/manifests/1$", say(403))
    found, _ = look(root, registry, Part.APT)
    assert [row["images"] for row in found.rows] == [["app:2"]]
    assert len(found.unknown) == 1
    assert found.unknown[0].startswith("updates for app:1: unknown: ")


def test_ends_of_life_the_nearest_first(root: Path, registry: FaultyRegistry) -> None:
    found, said = look(root, registry, Part.ENDS)
    assert [(row["name"], row["ends"], row["extended"], row["days"], row["state"]) for row in found.rows] == [
        ("Python 3.11", "2027-10-31", None, 339, "supported"),
        ("Debian 12 (bookworm)", "2026-07-11", "2028-06-30", 582, "extended"),
    ]
    assert found.rows[0]["images"] == ["app:1"]
    assert (found.unknown, said) == ([], [])
    found, said = look(root, registry, Part.ENDS, today=TODAY + datetime.timedelta(days=400))
    assert [(row["name"], row["state"]) for row in found.rows] == [
        ("Python 3.11", "ended"),
        ("Debian 12 (bookworm)", "extended"),
    ]
    assert len([line for line in said if "do it again" in line]) == 4


def test_what_the_data_do_not_have_is_unknown(root: Path, registry: FaultyRegistry) -> None:
    path = root / "fam" / "versions.toml"
    path.write_text(path.read_text().replace('python = "3.11"', 'python = "3.99"'))
    found, _ = look(root, registry, Part.ENDS)
    assert [row["name"] for row in found.rows] == ["Debian 12 (bookworm)"]
    assert found.unknown == ["end of life of python 3.99 (fam 1): unknown: not in lifetimes.toml"]


def test_the_tables_fit_into_80_columns(root: Path, registry: FaultyRegistry, tmp_path: Path) -> None:
    for tag in ("3.11-slim-trixie", "3.14-slim-trixie"):
        registry.put(b"{}", "application/json", tag, name="library/python")
    built(Tasks(Repository(root), {}), image_of(tmp_path))
    found, _ = look(root, registry, *Part)
    assert {title for title, rows in found.tables.items() if rows} == {"", *TITLES.values()}
    found.tables[TITLES[Part.APT]][0].update(image="tensorflow:2.16.1-cuda12.5" * 2, waiting="12 packages " * 9)
    found.tables[TITLES[Part.ENDS]][0].update(touches="deprecated-ngc 2.14.0-cuda12.3 " * 3)
    for title, rows in found.tables.items():
        assert max(map(len, render_table(rows, COLUMNS[title]).splitlines())) <= 80


def test_parts_are_named() -> None:
    assert parse_parts(None) == frozenset(Part)
    assert parse_parts("ends, apt") == {Part.ENDS, Part.APT}
    for word in ("", "end", "ends,,apt"):
        with pytest.raises(UsageError, match=r"^--only: no "):
            parse_parts(word)


def test_the_task_prints_titled_tables_and_one_list_of_rows(tasks: Tasks, docker: Docker) -> None:
    docker.answer(registry={"python:3.11": DIGEST})
    done = tasks.run("outdated", "--only", "bases,ends")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].split()[:3] == ["name", "locked", "newest"]
    assert "\n\nEnds of life\nname " in done.stdout
    done = tasks.run("outdated", "--only", "bases,ends", "--format", "json")
    assert '"about": "base"' in done.stdout
    assert '"about": "end of life"' in done.stdout
    done = tasks.run("outdated", "--only", "pyton")
    assert (done.returncode, done.stderr) == (2, '--only: no "pyton", did you mean "python"?\n')
