"""Where images are published, and which ledgers tell of it."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.build.settings import Settings
from scripts.recipe.matrix import expand_all, load_families
from scripts.release.ledger import FILENAME, append_lines
from scripts.release.lines import Published
from scripts.release.place import ledger_paths, ledger_root, place_of
from scripts.release.reference import parse_repository
from tests.conftest import DIGEST

if TYPE_CHECKING:
    from tests.conftest import Repository


def settings(root: Path, registry: str) -> Settings:
    return Settings(root=root, out=root / "out", cache=root / "cache", registry=registry)


def test_trials_have_ledgers_of_their_own() -> None:
    root = Path("/r")
    public = parse_repository("quay.io/vessl-ai/app")
    assert ledger_root(settings(root, "quay.io/vessl-ai"), public) == root
    trial = parse_repository("localhost:5000/app")
    assert ledger_root(settings(root, "localhost:5000"), trial) == Path("/r/out/ledgers/localhost_5000")


def test_all_families_ledgers_tell_of_an_image(repository: Repository) -> None:
    repository.family()
    (spec,) = expand_all(load_families(repository.root))
    mine = settings(repository.root, "quay.io/vessl-ai")
    line = Published(
        repository="quay.io/vessl-ai/app",
        tag="1",
        revision=1,
        time=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        reason="first revision",
        digest=DIGEST,
        size=1,
    )
    for family in ("gone", ".hidden"):
        append_lines(repository.root / family / FILENAME, line)
    place = place_of(spec, mine)
    assert place.ledger == repository.root / "fam" / FILENAME
    assert place.others == (repository.root / "gone" / FILENAME,)
    assert place.history().published("quay.io/vessl-ai/app", "1") == (line,)
    assert ledger_paths(repository.root) == place.others


def test_who_does_not_say_who_they_are_is_somebody_else_each_time(repository: Repository) -> None:
    repository.family()
    (spec,) = expand_all(load_families(repository.root))
    mine = settings(repository.root, "quay.io/vessl-ai")
    assert place_of(spec, mine).publisher != place_of(spec, mine).publisher
    assert place_of(spec, mine, "12345678").publisher == "12345678"
