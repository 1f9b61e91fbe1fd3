"""What the catalogue knows: from ledgers and version manifests, from what is attached, and what it cannot know."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scripts.catalogue.inquiry import OFFLINE
from scripts.catalogue.model import Mark, Result, Stand, Weight
from scripts.contents.inventory import Architectures, Gpu, Library
from scripts.release.ledger import LedgerError
from scripts.release.lines import Gone, Smoke, Yanked
from scripts.release.reference import MalformedError
from scripts.smoke.record import Outcome, save_record
from tests.conftest import VERSIONS, Repository
from tests.inventories import apt, digest, gpu, python
from tests.stock import Stock
from tests.test_smoke_record import RECORD, RESULT

if TYPE_CHECKING:
    from typing import Any

FROZEN = """\
[[image]]
version = "0"
base = "python:3.9-slim-bookworm"
python = "3.9"
state = "frozen"
reason = "Old"
since = 2025-10-31
"""
GPU = Gpu(
    libraries=(Library(name="CUDA", version="12.1", where="/usr"),),
    architectures={"torch": Architectures(sass=("sm_90",), ptx=("compute_90",))},
    lowest_driver="525.60.13",
)
SMOKE = Smoke(checks="c" * 64, started="2026-11-25T12:00:00+00:00", passed=41, skipped=2)


@pytest.fixture
def stock(repository: Repository) -> Stock:
    repository.family("fam", VERSIONS + FROZEN)
    return Stock(repository)


def test_an_empty_repository_has_images_and_nothing_published(stock: Stock) -> None:
    found = stock.collect()
    assert [image.id for image in found.images] == ["app:1", "app:0"]
    assert found.published == ()
    assert (found.as_of, found.trouble, found.registry) == ("", OFFLINE, "localhost:5000/x")
    assert found.unpublished == found.images


def test_what_became_of_each_revision(stock: Stock) -> None:
    for number in (1, 2, 3, 4):
        stock.publish(number)
    stock.mark(Yanked, 2, "numpy is broken")
    stock.mark(Gone, 4, "deleted by hand")
    image = stock.image()
    assert [(item.number, item.stand) for item in image.revisions] == [
        (4, Stand.GONE), (3, Stand.CURRENT), (2, Stand.YANKED), (1, Stand.OLDER),
    ]  # fmt: skip
    assert image.current is image.revisions[1]
    assert image.revisions[2].yanked == Mark(time="2026-11-20T12:00:00Z", reason="numpy is broken")
    assert image.revisions[0].gone == Mark(time="2026-11-20T12:00:00Z", reason="deleted by hand")
    assert stock.collect().as_of == "2026-11-20T12:00:00Z"


def test_nothing_but_yanked_revisions_is_nothing_to_pull(stock: Stock) -> None:
    stock.publish(1)
    stock.mark(Yanked, 1)
    assert stock.image().current is None


def test_a_row_that_was_deleted_is_retired_and_says_what_to_use(stock: Stock) -> None:
    stock.publish(1)
    stock.publish(1, tag="0.5", digest=digest(5))
    stock.publish(1, tag="7", family="gone-family", digest=digest(6))
    found = {image.id: image for image in stock.collect().images}
    assert (found["app:0.5"].state, found["app:0.5"].instead) == ("retired", ("app:1",))
    assert "no longer in the version manifests" in found["app:0.5"].reason
    assert (found["app:7"].family, found["app:7"].state) == ("gone-family", "retired")
    assert [family.name for family in stock.collect().families] == ["fam", "gone-family"]


def test_a_frozen_image_says_what_to_use_and_an_active_one_does_not(stock: Stock) -> None:
    stock.publish(1)
    stock.publish(1, tag="0", digest=digest(9))
    found = {image.id: image for image in stock.collect().images}
    assert (found["app:0"].state, found["app:0"].reason, found["app:0"].since) == ("frozen", "Old", "2025-10-31")
    assert (found["app:0"].instead, found["app:1"].instead) == (("app:1",), ())
    assert [life.what for life in found["app:0"].lifetimes] == ["Python 3.9", "Debian 12 (bookworm)"]
    assert found["app:0"].lifetimes[0].state == "ended"


def test_lines_of_another_registry_are_not_ours(stock: Stock) -> None:
    stock.publish(1)
    line = stock.ledger().read_text().replace("localhost:5000/x/app", "localhost:5000/other/app")
    stock.ledger().write_text(stock.ledger().read_text() + line)
    assert [image.repository for image in stock.collect().published] == ["localhost:5000/x/app"]


def test_a_ledger_with_faults_is_an_error(stock: Stock) -> None:
    stock.publish(1)
    stock.ledger().write_text("{}\n")
    with pytest.raises(LedgerError, match=r"fam/revisions.jsonl:1: "):
        stock.collect()


@pytest.mark.parametrize("changed", [{"tag": "../../x"}, {"repository": "../x"}])
def test_a_name_that_leads_elsewhere_is_an_error(stock: Stock, changed: dict[str, str]) -> None:
    stock.publish(1, **{"repository": "app", **changed})
    with pytest.raises(MalformedError, match=r"\.\./"):
        stock.collect()


def test_what_an_inventory_tells_in_short(stock: Stock) -> None:
    stock.publish(1)
    stock.keep(1, gpu=GPU, python=python(("Torch", "2.3.1+cu121"), ("numpy", "2.4.5", True)))
    (revision,) = stock.image().revisions
    contents = revision.contents
    assert contents
    assert contents.versions == {"python": "3.11.2", "cuda": "12.1", "torch": "2.3.1+cu121"}
    assert (contents.architectures, contents.lowest_driver) == ({"torch": "sm_90 compute_90"}, "525.60.13")
    assert (contents.packages, contents.count) == ({"Python": 2}, 2)
    assert [layer.size for layer in contents.layers] == [60_000_000, 40_000_000]


def test_the_heaviest_packages_and_what_all_others_weigh(stock: Stock) -> None:
    stock.publish(1)
    place = python(*((f"p{number}", "1") for number in range(20)))
    weighed = tuple(
        item.model_copy(update={"size": 1000 - number})
        for number, item in enumerate(place.environments[0].distributions[:15])
    )
    environment = place.environments[0].model_copy(
        update={"distributions": (*weighed, *place.environments[0].distributions[15:])}
    )
    debian = tuple(item.model_copy(update={"size": 5000}) for item in apt(("git", "2")))
    stock.keep(1, python=place.model_copy(update={"environments": (environment,)}), apt=debian)
    contents = stock.image().revisions[0].contents
    assert contents
    assert [(item.name, item.size) for item in contents.weights[:2]] == [("git (apt)", 5000), ("p0 1", 1000)]
    assert (len(contents.weights), contents.weights[-1]) == (13, Weight(name="4 other packages", size=3950))


def test_what_is_not_known_is_none(stock: Stock) -> None:
    stock.publish(1)
    stock.keep(2)
    (revision,) = stock.image().revisions
    assert (revision.contents, revision.test) == (None, None)


def test_an_inventory_on_the_shelf_that_does_not_fit_counts_as_none(stock: Stock) -> None:
    stock.publish(1)
    stock.keep(2)
    (wrong,) = stock.shelf.folder.iterdir()
    wrong.rename(wrong.with_name(wrong.name.replace(f"{2:064x}", f"{1:064x}")))
    assert stock.image().revisions[0].contents is None
    stock.keep(1)
    assert stock.image().revisions[0].contents


def test_the_smoke_test_as_the_ledger_counts_it(stock: Stock) -> None:
    stock.publish(1, smoke=SMOKE)
    test = stock.image().revisions[0].test
    assert test
    assert (test.result, test.counts) == (Result.PASSED, {"passed": 41, "failed": 0, "skipped": 2})
    assert test.passed == ()


def test_the_smoke_test_as_it_was_recorded_here(stock: Stock) -> None:
    stock.publish(1, smoke=SMOKE)
    results = (
        RESULT,
        replace(RESULT, check="x.y", outcome=Outcome.FAIL),
        replace(RESULT, check="g", outcome=Outcome.SKIP, reason="no GPU"),
    )
    record = replace(RECORD, digest=digest(1), results=results, planned=("a.b", "x.y", "g"), outcome=Outcome.FAIL)
    save_record(stock.settings.out, record)
    test = stock.image().revisions[0].test
    assert test
    assert (test.result, test.passed, test.failed, test.skipped) == (Result.FAILED, ("a.b",), ("x.y",), {"g": "no GPU"})


@pytest.mark.parametrize(
    "predicate", [{}, {"result": 7, "passedTests": "x", "vessl_run": [], "vessl_skippedTests": [3]}]
)
def test_a_result_of_any_form_is_read(stock: Stock, predicate: dict[str, Any]) -> None:
    stock.publish(1)
    stock.shelf.put_test(digest(1), predicate)
    test = stock.image().revisions[0].test
    assert test is None or (test.result, test.counts["passed"]) == (Result.FAILED, 0)


def test_a_gpu_image_is_known_by_its_contents_when_its_row_is_gone(stock: Stock) -> None:
    stock.publish(1, tag="9", digest=digest(1))
    stock.keep(1, gpu=gpu(("CUDA", "12.1")))
    assert stock.image("app:9").gpu
