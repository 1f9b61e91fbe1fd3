"""``invoke catalogue`` as people run it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.stock import Stock

if TYPE_CHECKING:
    from tests.conftest import Tasks

REGISTRY = ("--registry", "localhost:5000/x", "--offline")


@pytest.fixture
def stock(tasks: Tasks) -> Stock:
    return Stock(tasks.repository)


def test_writes_a_site_and_says_what_it_did(tasks: Tasks, stock: Stock) -> None:
    stock.publish(1)
    stock.keep(1)
    done = tasks.run("catalogue", *REGISTRY)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    site = tasks.repository.root / "site"
    assert (site / "images" / "app" / "1-r1.html").is_file()
    assert done.stderr == f"open {site}/index.html\n"
    again = tasks.run("catalogue", *REGISTRY, "--format", "json")
    (row,) = json.loads(again.stdout)
    assert (row["images"], row["revisions"], row["new"], row["changed"], row["removed"]) == (1, 1, 0, 0, 0)
    assert row["unchanged"] > 10


def test_dry_run_and_another_folder(tasks: Tasks, stock: Stock) -> None:
    stock.publish(1)
    place = tasks.repository.root / "pages"
    done = tasks.run("catalogue", *REGISTRY, "--output", "pages", "--dry-run", IMAGES_CALLER=str(tasks.repository.root))
    assert (done.returncode, done.stderr) == (0, "")
    assert not place.exists()
    tasks.run("catalogue", *REGISTRY, "--output", "pages", IMAGES_CALLER=str(tasks.repository.root))
    assert (place / "index.html").is_file()


def test_a_folder_that_is_not_ours_is_an_error_and_stays(tasks: Tasks, stock: Stock) -> None:
    stock.publish(1)
    place = tasks.repository.root / "fam"
    before = sorted(path.name for path in place.iterdir())
    done = tasks.run("catalogue", *REGISTRY, "--output", str(place))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{place}: has files that the catalogue did not write")
    assert sorted(path.name for path in place.iterdir()) == before


def test_a_registry_that_is_down_is_no_failure(tasks: Tasks, stock: Stock) -> None:
    stock.host = "127.0.0.1:9"
    stock.publish(1)
    done = tasks.run("catalogue", "--registry", "127.0.0.1:9/x")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("going on with what the ledgers say") == 1
    assert "As of" in (tasks.repository.root / "site" / "index.html").read_text()


def test_a_ledger_with_faults_ends_with_its_sentence(tasks: Tasks, stock: Stock) -> None:
    stock.publish(1)
    stock.ledger().write_text("{}\n")
    done = tasks.run("catalogue", *REGISTRY)
    assert (done.returncode, done.stdout) == (6, "")
    assert "fam/revisions.jsonl:1" in done.stderr
    assert "Traceback" not in done.stderr
