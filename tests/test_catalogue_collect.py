"""What the catalogue knows: from ledgers and version manifests, from what is attached, and what it cannot know."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scripts.build.layout import Descriptor
from scripts.catalogue.inquiry import OFFLINE
from scripts.catalogue.model import Mark, Result, Stand
from scripts.contents.inventory import Architectures, Gpu, Library, render_inventory
from scripts.release.attestations import attach_document, statement_document
from scripts.release.inventories import attach_inventory
from scripts.release.ledger import LedgerError
from scripts.release.lines import Gone, Smoke, Yanked
from scripts.release.patience import Patience
from scripts.release.provenance import test_result_of as result_of
from scripts.release.registry import Manifest, digest_of
from scripts.release.statements import TEST_RESULT, Statement, render_statement
from scripts.release.transport import Transport
from scripts.smoke.record import Outcome, save_record
from tests.conftest import VERSIONS, Repository
from tests.faulty_registry import FaultyRegistry
from tests.inventories import digest, gpu, inventory, python
from tests.stock import Stock, ignore
from tests.test_smoke_record import RECORD, RESULT

if TYPE_CHECKING:
    from collections.abc import Iterator
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


def transport() -> Transport:
    return Transport(credentials=lambda _: None, patience=Patience(attempts=2, first=0.001))


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


def test_a_registry_that_cannot_be_reached_is_asked_once(stock: Stock) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        stock.host = f"127.0.0.1:{free.getsockname()[1]}"
    for number in (1, 2, 3):
        stock.publish(number)
    stock.keep(2)
    said: list[str] = []
    with transport() as client:
        found = stock.collect(client, said.append)
    assert [item.number for item in found.published[0].revisions] == [3, 2, 1]
    assert stock.host in found.trouble
    assert said == [f"warning: {found.trouble}: going on with what the ledgers say"]
    assert found.published[0].revisions[1].contents, "what was read before is known all the same"


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as made:
        yield made


@pytest.fixture
def published(stock: Stock, registry: FaultyRegistry) -> Manifest:
    """An image of the registry, with its line in the ledger."""
    stock.host = registry.host
    content = json.dumps({"schemaVersion": 2, "config": {}, "layers": []}).encode()
    kind = "application/vnd.oci.image.manifest.v1+json"
    found = registry.put(content, kind, "1", "1-r1", name="x/app")
    stock.publish(1, digest=found)
    return Manifest(media_type=kind, content=content)


def test_what_is_attached_is_found_and_asked_for_once(
    stock: Stock, registry: FaultyRegistry, published: Manifest
) -> None:
    repository = registry.repository("x/app")
    known = inventory(1, image=inventory(1).image.model_copy(update={"digest": published.digest}))
    with transport() as client:
        attach_inventory(client, repository, published, render_inventory(known))
        statement = Statement(
            subject=published.digest,
            predicate_type=TEST_RESULT,
            predicate=result_of(replace(RECORD, digest=published.digest)),
        )
        document = statement_document(render_statement(statement, repository), TEST_RESULT)
        subject = Descriptor(media_type=published.media_type, digest=published.digest, size=len(published.content))
        attach_document(client, repository.digest(published.digest), subject, document, ())
        for asked in (True, False):
            before = len(registry.requests)
            found = stock.collect(client)
            (revision,) = found.published[0].revisions
            assert revision.contents
            assert revision.test
            assert revision.test.passed == ("a.b",)
            assert (found.trouble, found.published[0].drift) == ("", "")
            paths = [seen.path for seen in registry.requests[before:]]
            assert any("referrers" in path for path in paths) is asked, paths
    # And without the registry all of it is still known.
    assert stock.image().revisions[0].contents


def test_an_inventory_of_another_image_is_not_believed(
    stock: Stock, registry: FaultyRegistry, published: Manifest
) -> None:
    repository = registry.repository("x/app")
    known = inventory(1, image=inventory(1).image.model_copy(update={"digest": published.digest}))
    content = render_inventory(known)
    with transport() as client:
        attach_inventory(client, repository, published, content)
        other = render_inventory(inventory(7))
        for name in list(registry.blobs["x/app"]):
            if registry.blobs["x/app"][name] == content:
                registry.blobs["x/app"][digest_of(other)] = other
        digests = {
            key: (kind, raw.replace(digest_of(content).encode(), digest_of(other).encode()))
            for key, (kind, raw) in registry.manifests["x/app"].items()
        }
        registry.manifests["x/app"].update(digests)
        said: list[str] = []
        found = stock.collect(client, said.append)
    assert found.published[0].revisions[0].contents is None
    assert len(said) >= 1
    assert found.trouble == ""


def test_a_standard_tag_that_is_elsewhere_is_said(stock: Stock, registry: FaultyRegistry, published: Manifest) -> None:
    with transport() as client:
        assert stock.collect(client).published[0].drift == ""
        registry.put(b'{"schemaVersion":2}', published.media_type, "1", name="x/app")
        assert "the registry has sha256:" in stock.collect(client).published[0].drift
        registry.tags["x/app"].clear()
        assert stock.collect(client, ignore).published[0].drift == "the registry has no tag 1"


def test_a_gpu_image_is_known_by_its_contents_when_its_row_is_gone(stock: Stock) -> None:
    stock.publish(1, tag="9", digest=digest(1))
    stock.keep(1, gpu=gpu(("CUDA", "12.1")))
    assert stock.image("app:9").gpu
