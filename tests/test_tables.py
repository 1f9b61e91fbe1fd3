"""The image tables: what is declared, locked and published, for people to choose from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scripts.catalogue.tables import (
    Facts,
    render_active,
    render_contents,
    render_families,
    render_family,
    render_retired,
)
from scripts.recipe.matrix import expand_all, load_families
from scripts.release.ledger import Ledger
from scripts.release.lines import Gone, Line, Published, Yanked

if TYPE_CHECKING:
    from tests.conftest import Repository

REGISTRY = "quay.io/vessl-ai"
VERSIONS = """\
description = "A family | of two stages"
default = "12.1"
lock = false
[stages.cuda]
repository = "cuda"
tag = "{cuda}"
[stages.torch]
repository = "torch"
tag = "{torch}-cuda{cuda}"
[[image]]
version = "12.1"
base = "nvcr.io/nvidia/cuda:12.1.1"
python = "3.11"
cuda = "12.1"
packages = { torch = "2.3.1" }
[[image]]
version = "11.8"
base = "localhost:5000/cuda:11.8.0"
python = "3.11"
cuda = "11.8"
stages = ["cuda"]
state = "frozen"
reason = "Old; use *12.1* | or\\n<b>newer</b>"
since = 2025-10-31
note = "not verified"
"""
DOCKERFILE = "ARG BASE_IMAGE=nvcr.io/nvidia/cuda:12.1.1\nFROM ${BASE_IMAGE} AS cuda\nFROM cuda AS torch\n"


@pytest.fixture
def facts(repository: Repository) -> Facts:
    repository.family(versions=VERSIONS, dockerfile=DOCKERFILE)
    families = load_families(repository.root)
    return Facts(
        families=families,
        images=expand_all(families),
        locks={},
        asked=("numpy", "jupyterlab"),
        registry=REGISTRY,
        ledger=Ledger(),
    )


def published(revision: int, tag: str = "12.1", name: str = "cuda", registry: str = REGISTRY) -> Published:
    return Published(
        repository=f"{registry}/{name}",
        tag=tag,
        revision=revision,
        time=f"2026-01-{revision:02}T00:00:00Z",
        reason="x",
        digest=f"sha256:{revision:064x}",
        size=1,
    )


def told(facts: Facts, *lines: Line) -> str:
    return render_active(replace(facts, ledger=Ledger(lines=lines)))


def test_the_families(facts: Facts) -> None:
    assert render_families(facts) == (
        "| directory | what | base | tags | active |\n| --- | --- | --- | --- | --- |\n"
        "| [fam/](fam/README.md) | A family \\| of two stages | `nvcr.io/nvidia/cuda`, `localhost:5000/cuda` | "
        "`cuda:{cuda}`, `torch:{torch}-cuda{cuda}` | 2 of 3 |"
    )


def test_active_images_without_columns_that_would_be_empty(facts: Facts) -> None:
    assert render_active(facts) == (
        "| image | Python | CUDA | PyTorch |\n| --- | --- | --- | --- |\n"
        "| `cuda:12.1` | 3.11 | 12.1 | 2.3.1 |\n"
        "| `torch:2.3.1-cuda12.1` | 3.11 | 12.1 | 2.3.1 |"
    )


def test_the_newest_revision_is_told_where_the_ledger_has_one(facts: Facts) -> None:
    assert told(facts, published(1), published(2)).splitlines() == [
        "| image | Python | CUDA | PyTorch | newest revision |",
        "| --- | --- | --- | --- | --- |",
        "| `cuda:12.1` | 3.11 | 12.1 | 2.3.1 | `-r2` (2026-01-02) |",
        "| `torch:2.3.1-cuda12.1` | 3.11 | 12.1 | 2.3.1 |  |",
    ]


def test_revisions_of_another_registry_are_not_told(facts: Facts) -> None:
    assert told(facts, published(1, registry="ghcr.io/somebody")) == render_active(facts)


@pytest.mark.parametrize("kind", [Yanked, Gone])
def test_a_newest_revision_that_must_not_be_used_says_so(facts: Facts, kind: type[Yanked | Gone]) -> None:
    line = kind(repository=f"{REGISTRY}/cuda", tag="12.1", revision=1, time="2026-02-01T00:00:00Z", reason="bad")
    word = {Yanked: "yanked", Gone: "gone"}[kind]
    assert f"| `-r1` (2026-01-01, {word}) |" in told(facts, published(1), line)
    assert "| `-r2` (2026-01-02) |" in told(facts, published(1), line, published(2))


def test_what_is_no_longer_built_says_since_when_why_and_what_to_use_and_stays_one_row(facts: Facts) -> None:
    assert render_retired(facts).splitlines()[2:] == [
        "| `cuda:11.8` | frozen | 2025-10-31 | Old; use \\*12.1\\* \\| or \\<b\\>newer\\</b\\> |"
    ]


def test_there_may_be_nothing_that_is_no_longer_built(facts: Facts) -> None:
    active = tuple(image for image in facts.images if image.reason is None)
    assert render_retired(replace(facts, images=active)) == "There are none."


def test_many_images_with_one_reason_are_counted(facts: Facts) -> None:
    (old,) = (image for image in facts.images if image.reason)
    many = tuple(replace(old, id=f"cuda:{number}", tag=str(number), reason="Old") for number in range(4))
    assert render_retired(replace(facts, images=many)).endswith(
        "| all of [fam/](fam/README.md) | frozen | 2025-10-31 | Old |"
    )
    some = (*many, *(image for image in facts.images if image.reason is None))
    assert render_retired(replace(facts, images=some)).endswith("| 4 images | frozen | 2025-10-31 | Old |")
    assert (
        render_family(replace(facts, images=many), facts.families[0])
        .split("\n\n")[1]
        .endswith("| all | frozen | 2025-10-31 | Old |")
    )


def test_a_family_has_its_bases_states_and_notes(facts: Facts) -> None:
    images, retired, notes = render_family(facts, facts.families[0]).split("\n\n")
    assert images.splitlines() == [
        "| image | Python | CUDA | PyTorch | base | state |",
        "| --- | --- | --- | --- | --- | --- |",
        "| `cuda:12.1` | 3.11 | 12.1 | 2.3.1 | `nvcr.io/nvidia/cuda:12.1.1` | active |",
        "| `cuda:11.8` | 3.11 | 11.8 |  | `localhost:5000/cuda:11.8.0` | frozen |",
        "| `torch:2.3.1-cuda12.1` | 3.11 | 12.1 | 2.3.1 | `nvcr.io/nvidia/cuda:12.1.1` | active |",
    ]
    assert retired == render_retired(facts)
    assert notes == "- `11.8`: not verified"


def test_the_contents_are_the_locked_versions_of_each_row(facts: Facts) -> None:
    locks = {
        ("fam", "12.1"): {"torch": "2.3.1", "numpy": "1.26.4", "jupyterlab": "4.6.6", "attrs": "1"},
        ("fam", "11.8"): {"numpy": "2.4.6", "jupyterlab": "4.6.6"},
    }
    assert render_contents(replace(facts, locks=locks), facts.families[0]).splitlines() == [
        "| package | `12.1` | `11.8` |",
        "| --- | --- | --- |",
        "| `torch` | 2.3.1 |  |",
        "| `jupyterlab` | 4.6.6 | 4.6.6 |",
        "| `numpy` | 1.26.4 | 2.4.6 |",
    ]


def test_a_family_without_locks_has_the_names(facts: Facts) -> None:
    assert render_contents(facts, facts.families[0]) == "`numpy`, `jupyterlab`"
    many = render_contents(replace(facts, asked=tuple(f"package-{number}" for number in range(40))), facts.families[0])
    assert max(map(len, many.splitlines())) < 120
