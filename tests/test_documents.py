"""``invoke tables``: the documents with tables in them, those of this repository too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.catalogue.documents import load_facts, plan_documents, require_current
from scripts.catalogue.markers import begin, end
from scripts.errors import UsageError
from scripts.recipe.matrix import expand_all, load_families
from scripts.release.ledger import FILENAME, append_lines
from scripts.tasks.documents import published_to
from tests.faulty_registry import FaultyRegistry
from tests.test_push import built
from tests.test_tables import published

if TYPE_CHECKING:
    from tests.conftest import Tasks

ROOT = Path(__file__).resolve().parent.parent
MARKERS = {
    "README.md": ("families", "images", "retired"),
    "fam/README.md": ("images", "contents"),
}


@pytest.fixture
def documents(tasks: Tasks) -> Tasks:
    """A repository whose documents have their markers, and no tables yet."""
    for name, tables in MARKERS.items():
        text = "".join(f"## {table}\n{begin(table)}\n{end(table)}\n" for table in tables)
        (tasks.repository.root / name).write_text(f"# A title\n{text}The end.\n")
    return tasks


def texts(tasks: Tasks) -> dict[str, str]:
    return {name: (tasks.repository.root / name).read_text() for name in MARKERS}


def rows(tasks: Tasks, *words: str, **environment: str) -> dict[str, str]:
    done = tasks.run("tables", "--format", "json", *words, **environment)
    assert done.returncode == 0, done.stderr
    return {row["document"]: row["tables"] for row in json.loads(done.stdout)}


def refused(tasks: Tasks, *words: str) -> str:
    done = tasks.run("tables", *words)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.rstrip("\n")


def test_the_tables_of_this_repository_are_current() -> None:
    families = load_families(ROOT)
    facts = load_facts(ROOT, families, expand_all(families), published_to(ROOT))
    planned = plan_documents(ROOT, facts)
    assert [item.name for item in planned] == [
        "README.md", "cpu/README.md", "cuda/README.md", "deprecated-ngc/README.md",
    ]  # fmt: skip
    require_current(planned)


def test_they_are_written_and_then_current(documents: Tasks) -> None:
    before = texts(documents)
    assert rows(documents, "--dry-run") == dict.fromkeys(MARKERS, "to be written")
    assert texts(documents) == before
    assert rows(documents) == dict.fromkeys(MARKERS, "written")
    written = texts(documents)
    assert "| `app:1` | 3.11 |" in written["README.md"]
    assert "| `app:1` | 3.11 | `python:3.11` | active |" in written["fam/README.md"]
    assert all(text.startswith("# A title\n") and text.endswith("The end.\n") for text in written.values())
    assert rows(documents, "--check") == dict.fromkeys(MARKERS, "as they should be")
    assert rows(documents) == dict.fromkeys(MARKERS, "as they should be")
    assert sorted(path.name for path in documents.repository.root.glob("*README*")) == ["README.md"]


def test_stale_tables_are_found_and_nothing_is_written(documents: Tasks) -> None:
    rows(documents)
    manifest = documents.repository.root / "fam" / "versions.toml"
    manifest.write_text(manifest.read_text().replace('base = "python:3.11"', 'base = "python:3.11-slim"'))
    before = texts(documents)
    assert refused(documents, "--check") == (
        "fam/README.md: its tables are not what versions.toml, locks and ledgers say\n"
        "run `invoke tables` and commit the result"
    )
    done = documents.run("catalogue", "--check")
    assert (done.returncode, done.stdout, done.stderr.partition(":")[0]) == (2, "", "fam/README.md")
    assert texts(documents) == before
    rows(documents)
    done = documents.run("catalogue", "--check", "--format", "json")
    assert {row["tables"] for row in json.loads(done.stdout)} == {"as they should be"}
    assert not (documents.repository.root / "site").exists()


def test_a_table_that_somebody_edited_is_stale(documents: Tasks) -> None:
    rows(documents)
    readme = documents.repository.root / "README.md"
    readme.write_text(readme.read_text().replace("`app:1`", "`app:2`"))
    assert refused(documents, "--check").startswith("README.md: its tables are not what ")


def test_a_revision_in_the_ledger_makes_them_stale_and_is_then_told(documents: Tasks) -> None:
    rows(documents)
    append_lines(documents.repository.root / "fam" / FILENAME, published(1, "1", "app"))
    assert len(refused(documents, "--check").splitlines()) == 3
    assert rows(documents) == dict.fromkeys(MARKERS, "written")
    assert all("`-r1` (2026-01-01)" in text for text in texts(documents).values())
    # A registry of one run is no reason to tell the others something else.
    assert set(rows(documents, "--check", INVOKE_IMAGES_REGISTRY="localhost:5000").values()) == {"as they should be"}


def test_a_family_without_a_document_is_told(documents: Tasks) -> None:
    (documents.repository.root / "fam" / "README.md").unlink()
    assert refused(documents).startswith("fam/README.md: no place for the table images: put in <!-- table images: ")
    assert not (documents.repository.root / "fam" / "README.md").exists()


def test_a_document_without_markers_is_told(documents: Tasks) -> None:
    (documents.repository.root / "README.md").write_text("# Mine\n")
    assert refused(documents).startswith("README.md: no place for the table families: put in <!-- table families")
    assert (documents.repository.root / "README.md").read_text() == "# Mine\n"


def test_a_document_that_is_no_text_is_told(documents: Tasks) -> None:
    (documents.repository.root / "README.md").write_bytes(b"# \xff\n")
    assert refused(documents) == "README.md: not UTF-8 at byte 2"


def test_a_ledger_with_faults_is_told(documents: Tasks) -> None:
    (documents.repository.root / "fam" / FILENAME).write_text("{}\n")
    done = documents.run("tables", "--check")
    assert (done.returncode, done.stdout) == (6, "")
    assert done.stderr.startswith("fam/revisions.jsonl:1: ")


def test_a_row_without_its_lock_is_told(documents: Tasks) -> None:
    root = documents.repository.root
    manifest = root / "fam" / "versions.toml"
    manifest.write_text(manifest.read_text().replace("lock = false\n", '[layers]\nall = ["*"]\n'))
    (root / "fam" / "Dockerfile").write_text(
        "ARG BASE_IMAGE=python:3.11\nARG ROW=1\nFROM ${BASE_IMAGE} AS app\nCOPY fam/locks/${ROW}/all.txt /lock/\n"
    )
    assert refused(documents) == "fam/locks/1: no lock for all: run `invoke lock fam --version 1`"


def test_what_is_published_is_told_at_once(documents: Tasks) -> None:
    """By the task that published it, if it went where the tables say that images are; and a fault undoes no publish."""
    settings = documents.repository.root / "invoke.yaml"
    with FaultyRegistry() as registry:
        where = f"{registry.host}/vessl-ai"
        built(documents.repository, "one")
        before = texts(documents)
        assert documents.run("push", "fam", "--registry", where).returncode == 0
        assert texts(documents) == before
        settings.write_text(settings.read_text().replace("quay.io/vessl-ai", where))
        assert documents.run("push", "fam", "--dry-run").returncode == 0
        assert texts(documents) == before
        done = documents.run("push", "fam")
        assert done.returncode == 0
        assert "image tables written: README.md, fam/README.md: commit them with the ledger\n" in done.stderr
        assert set(rows(documents, "--check").values()) == {"as they should be"}
        for words in (["yank", "app:1-r1", "--reason", "x"], ["ledger", "fam", "--adopt"], ["release", "fam"]):
            (documents.repository.root / "README.md").write_text(before["README.md"])
            assert "image tables written: README.md: " in documents.run(*words).stderr, words
        (documents.repository.root / "README.md").unlink()
        done = documents.run("ledger", "fam", "--adopt")
        assert done.returncode == 0
        assert "warning: the image tables are not written anew: README.md: no place for the table" in done.stderr


def test_require_current_names_every_stale_document(documents: Tasks) -> None:
    root = documents.repository.root
    families = load_families(root)
    planned = plan_documents(root, load_facts(root, families, expand_all(families), "quay.io/vessl-ai"))
    with pytest.raises(UsageError) as caught:
        require_current(planned)
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()[:-1]] == list(MARKERS)
