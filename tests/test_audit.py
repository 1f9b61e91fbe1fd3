"""The alarm rings for everything that is not as the ledger says, and for nothing else; and a ledger can be made."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from scripts.errors import UsageError
from scripts.release.adopt import BEFORE, apply_adoption, plan_adoption
from scripts.release.ahead import CONNECTIONS
from scripts.release.audit import audit
from scripts.release.claims import claim_of
from scripts.release.correct import yank
from scripts.release.ledger import FILENAME, Ledger, append_lines, load_ledger
from scripts.release.lines import Yanked
from scripts.release.place import Place
from scripts.release.publish import publish
from scripts.release.referrers import attach
from scripts.release.refusal import TemporaryError
from scripts.release.registry import Manifest
from scripts.release.revision import DisagreeError, Step
from tests.faulty_registry import FaultyRegistry, connect, stall
from tests.memory_registry import Reply
from tests.products import make_product
from tests.test_publish import FACTS, NAME, TAG
from tests.test_push import built, push, rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.release.lines import Line
    from scripts.release.product import Product
    from scripts.release.transport import Transport
    from tests.conftest import Tasks


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as made:
        yield made


@pytest.fixture
def transport() -> Iterator[Transport]:
    with connect() as client:
        yield client.transport


@pytest.fixture
def place(registry: FaultyRegistry, tmp_path: Path) -> Place:
    return Place(repository=registry.repository(NAME), tag=TAG, ledger=tmp_path / "family" / FILENAME)


@pytest.fixture
def published(transport: Transport, place: Place, tmp_path: Path) -> list[Product]:
    products = [make_product(tmp_path / name, "base", name) for name in ("one", "two", "three")]
    for product in products:
        publish(transport, place, product, FACTS)
    return products


def found(transport: Transport, place: Place, ledger: Ledger | None = None) -> list[str]:
    told = audit(transport, place.repository, [TAG], load_ledger(place.ledger) if ledger is None else ledger)
    return [f"{item.place.removeprefix(f'{place.repository}:')}: {item.what}" for item in told]


def adopt(transport: Transport, place: Place, reason: str = "") -> tuple[Line, ...]:
    adoption = plan_adoption(transport, place, FACTS.time, reason)
    apply_adoption(transport, place, adoption)
    return adoption.lines


@pytest.mark.usefixtures("published")
def test_nothing_to_say(transport: Transport, place: Place, registry: FaultyRegistry) -> None:
    before = len(registry.requests)
    assert found(transport, place) == []
    # a listing; each revision; the standard tag; each blob once; referrers of each
    assert len(registry.requests) - before == 1 + 3 + 1 + (2 * 3 + 1) + 3


def test_a_revision_that_was_changed(
    transport: Transport, place: Place, registry: FaultyRegistry, published: list[Product]
) -> None:
    registry.tags[NAME][f"{TAG}-r1"] = published[1].manifest.digest
    one, two = (product.manifest.digest for product in published[:2])
    assert found(transport, place) == [f"{TAG}: r1 is {two} in the registry, but {one} in the ledger"]


def test_revisions_that_one_of_them_does_not_have(
    transport: Transport, place: Place, registry: FaultyRegistry, published: list[Product]
) -> None:
    del registry.tags[NAME][f"{TAG}-r1"]
    registry.tags[NAME][f"{TAG}-r7"] = registry.tags[NAME][TAG] = published[0].manifest.digest
    assert found(transport, place) == [
        f"{TAG}: r7 is in the registry, but not in the ledger",
        f"{TAG}: r1 is in the ledger, but not in the registry",
    ]


def test_a_standard_tag_that_is_not_its_highest_revision(
    transport: Transport, place: Place, registry: FaultyRegistry, published: list[Product]
) -> None:
    digests = [product.manifest.digest for product in published]
    registry.tags[NAME][TAG] = digests[0]
    assert found(transport, place) == [f"{TAG}: is {digests[0]}, its highest revision, r3, is {digests[2]}"]
    del registry.tags[NAME][TAG]
    assert found(transport, place) == [f"{TAG}: is not there, its highest revision, r3, is {digests[2]}"]


def test_a_standard_tag_without_revisions(
    transport: Transport, place: Place, registry: FaultyRegistry, published: list[Product]
) -> None:
    registry.tags[NAME] = {TAG: published[0].manifest.digest}
    assert found(transport, place, Ledger()) == [f"{TAG}: has no revision"]


def test_a_layer_that_is_gone_or_has_another_size(
    transport: Transport, place: Place, registry: FaultyRegistry, published: list[Product]
) -> None:
    base, own = published[0].blobs[1].digest, published[1].blobs[2].digest
    del registry.blobs[NAME][base]
    registry.blobs[NAME][own] = b"cut off"
    # the first is of all three revisions, but said once
    assert found(transport, place) == [
        f"{TAG}-r1: blob {base} is not there",
        f"{TAG}-r2: {place.repository}@{own}: expected 3 bytes, the registry has 7",
    ]


def test_revisions_are_looked_at_together(transport: Transport, place: Place, tmp_path: Path) -> None:
    """A distant registry takes a thirtieth of a second for each answer; what it says is told as if asked in order."""

    class Distant(FaultyRegistry):
        busy, most = 0, 0

        def handle(self, seen: Any) -> Any:
            with self.lock:
                self.busy += 1
                self.most = max(self.most, self.busy)
            time.sleep(1 / 30)
            with self.lock:
                self.busy -= 1
            return super().handle(seen)

    with Distant() as registry:
        place = replace(place, repository=registry.repository(NAME))
        for number in range(16):
            publish(transport, place, make_product(tmp_path / str(number), "base", str(number)), FACTS)
        del registry.blobs[NAME][make_product(tmp_path / "again", "base", "9").blobs[2].digest]
        registry.most, before = 0, len(registry.requests)
        assert [line.partition(" ")[0] for line in found(transport, place)] == [f"{TAG}-r10:"]
        # a listing; each revision; the standard tag; each blob once; referrers of each
        assert len(registry.requests) - before == 1 + 16 + 1 + (2 * 16 + 1) + 16
        assert registry.most == CONNECTIONS


@pytest.mark.usefixtures("published")
def test_a_registry_that_goes_away_in_the_middle_is_no_difference(
    transport: Transport, place: Place, registry: FaultyRegistry
) -> None:
    real = registry.answer

    def away(seen: Any) -> Any:
        return Reply(503) if "/blobs/" in seen.path else real(seen)

    registry.answer = away  # type: ignore[method-assign]
    with pytest.raises(TemporaryError, match="503"):
        found(transport, place)


def test_a_blob_that_one_revision_has_another_size_for_is_told_of_that_one(
    transport: Transport, place: Place, registry: FaultyRegistry, published: list[Product]
) -> None:
    """Whichever is asked first: both are."""
    own, repository = published[1].blobs[2].digest, registry.tags[NAME]
    content = json.loads(published[1].manifest.content)
    for layer in content["layers"]:
        layer["size"] += layer["digest"] == own
    for number in (4, 6):
        repository[f"{TAG}-r{number}"] = published[1].manifest.digest
    wrong = registry.put(json.dumps(content).encode(), published[1].manifest.media_type, f"{TAG}-r5", name=NAME)
    assert wrong != published[1].manifest.digest
    for _ in range(5):
        told = [line for line in found(transport, place) if "bytes" in line]
        assert told == [f"{TAG}-r5: {place.repository}@{own}: expected 4 bytes, the registry has 3"]


def test_tags_that_nobody_can_explain(
    transport: Transport, place: Place, registry: FaultyRegistry, published: list[Product]
) -> None:
    digest = published[0].manifest.digest
    dead = claim_of(place, 9, digest)
    for name in ("latest", f"{TAG}-r03", f"{TAG}-rc1", dead.name, digest.replace(":", "-")):
        registry.tags[NAME][name] = digest
    assert [line.partition(":")[0] for line in found(transport, place)] == [f"{TAG}-r03", f"{TAG}-rc1", "latest"]


def test_a_mark_that_only_one_side_has(
    transport: Transport, place: Place, registry: FaultyRegistry, published: list[Product]
) -> None:
    kept = place.ledger.read_text()
    yank(transport, place, 2, "two is broken", FACTS.time)
    assert found(transport, place) == []
    place.ledger.write_text(kept)
    assert found(transport, place) == [f"{TAG}-r2: is yanked in the registry, but not in the ledger"]
    append_lines(
        place.ledger,
        Yanked(repository=str(place.repository), tag=TAG, revision=1, time=FACTS.time, reason="one is broken"),
    )
    assert found(transport, place)[0] == f"{TAG}-r1: is yanked in the ledger, but not in the registry"
    assert published
    assert registry.tags


@pytest.mark.usefixtures("published")
def test_a_retired_image_is_explained_by_the_ledger(transport: Transport, place: Place) -> None:
    assert list(audit(transport, place.repository, [], load_ledger(place.ledger))) == []


def test_a_referrer_that_is_gone(
    transport: Transport, place: Place, registry: FaultyRegistry, published: list[Product]
) -> None:
    subject = published[0].manifest.descriptor
    content = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "text/plain",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": published[0].blobs[0].digest, "size": 2},
        "layers": [],
        "subject": {"mediaType": subject.media_type, "digest": subject.digest, "size": subject.size},
    }
    manifest = Manifest(media_type=content["mediaType"], content=json.dumps(content).encode())  # type: ignore[arg-type]
    attach(transport, place.repository, manifest)
    assert found(transport, place) == []
    real = registry.answer

    def gone(seen: Any) -> Any:
        return (
            replace_status(real(seen)) if manifest.digest in seen.path and "referrers" not in seen.path else real(seen)
        )

    def replace_status(reply: Any) -> Any:
        return replace(reply, status=404)

    registry.answer = gone  # type: ignore[method-assign]
    assert found(transport, place) == [f"{TAG}-r1: referrer {manifest.digest} is listed, but not there"]


def test_adopt_makes_a_ledger_with_which_all_goes_on(
    transport: Transport, place: Place, registry: FaultyRegistry, published: list[Product], tmp_path: Path
) -> None:
    place.ledger.unlink()
    del registry.tags[NAME][f"{TAG}-r2"]
    assert [(line.revision, line.reason) for line in adopt(transport, place)] == [(1, BEFORE), (3, BEFORE)]
    assert place.history().published(str(place.repository), TAG)[0].size == published[0].size
    assert found(transport, place) == []
    assert adopt(transport, place) == ()
    decision = publish(transport, place, make_product(tmp_path / "four", "four"), FACTS)
    assert (decision.step, decision.revision) == (Step.NEW, 4)


def test_adopt_knows_what_is_gone_and_takes_no_changed_digest(
    transport: Transport, place: Place, registry: FaultyRegistry, published: list[Product]
) -> None:
    del registry.tags[NAME][f"{TAG}-r2"]
    registry.tags[NAME][f"{TAG}-r1"] = published[2].manifest.digest
    with pytest.raises(UsageError, match=r"r2 is not in the registry any more: --reason: say why"):
        adopt(transport, place)
    lines = adopt(transport, place, "deleted by mistake")
    assert [(line.kind, line.revision, line.reason) for line in lines] == [("gone", 2, "deleted by mistake")]
    (told,) = found(transport, place)
    assert told.startswith(f"{TAG}: r1 is ")


def test_adopt_takes_back_what_is_there_again(
    transport: Transport, place: Place, registry: FaultyRegistry, published: list[Product]
) -> None:
    for _ in range(2):
        digest = registry.tags[NAME].pop(f"{TAG}-r2")
        assert [line.kind for line in adopt(transport, place, "deleted by mistake")] == ["gone"]
        registry.tags[NAME][f"{TAG}-r2"] = digest
        assert found(transport, place) == [f"{TAG}: r2 is in the registry, but gone in the ledger"]
        assert [line.kind for line in adopt(transport, place)] == ["back"]
        assert found(transport, place) == []
    assert published


def test_adopt_makes_a_standard_tag_without_revisions_the_first(
    transport: Transport, place: Place, registry: FaultyRegistry, published: list[Product], tmp_path: Path
) -> None:
    old = published[0].manifest.digest
    registry.tags[NAME] = {TAG: old}
    place.ledger.unlink()
    with pytest.raises(DisagreeError, match=f"{TAG} is {old} in the registry, which is no revision of it"):
        publish(transport, place, published[1], FACTS)
    assert [(line.kind, line.revision) for line in adopt(transport, place)] == [("published", 1)]
    assert registry.tags[NAME] == {TAG: old, f"{TAG}-r1": old}
    assert found(transport, place) == []
    assert publish(transport, place, make_product(tmp_path / "four", "four"), FACTS).revision == 2
    # somebody pushes over the standard tag: its bytes are kept as a revision too
    registry.tags[NAME][TAG] = published[1].manifest.digest
    assert [(line.kind, line.revision) for line in adopt(transport, place)] == [("published", 3)]
    assert found(transport, place) == []


def test_adopt_fills_in_an_older_revision(transport: Transport, place: Place, published: list[Product]) -> None:
    whole = load_ledger(place.ledger)
    place.ledger.unlink()
    append_lines(place.ledger, whole.lines[1].model_copy(update={"replaces": None}))
    adopt(transport, place)
    assert [line.revision for line in load_ledger(place.ledger).published(str(place.repository), TAG)] == [1, 2, 3]
    assert found(transport, place) == []
    assert published


def test_the_tasks(tasks: Tasks, registry: FaultyRegistry) -> None:
    where = ("--registry", f"{registry.host}/vessl-ai")
    built(tasks.repository, "one")
    push(tasks, registry)
    done = tasks.run("audit", *where, "--format", "json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    registry.tags["vessl-ai/app"]["latest"] = registry.tags["vessl-ai/app"]["1"]
    done = tasks.run("audit", *where)
    assert done.returncode == 6
    assert "app:latest" in done.stdout
    assert done.stderr.endswith("1 differences between the registry and the ledgers\n")
    del registry.tags["vessl-ai/app"]["latest"]
    (path,) = tasks.out.glob("ledgers/*/fam/*.jsonl")
    kept = path.read_text()
    path.unlink()
    assert tasks.run("audit", *where).returncode == 6
    assert tasks.run("ledger", "fam", *where).returncode == 2
    (row,) = rows(tasks.run("ledger", "fam", "--adopt", "--dry-run", "--format", "json", *where))
    assert (row["revision"], row["line"]) == ("app:1-r1", "published")
    assert not path.exists()
    rows(tasks.run("ledger", "fam", "--adopt", "--format", "json", *where))
    assert tasks.run("audit", *where).returncode == 0
    assert path.read_text() != kept


@pytest.mark.parametrize("task", ["audit", "catalogue", "plan"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_who_interrupts_does_not_wait_for_a_registry_that_hangs(
    tasks: Tasks, registry: FaultyRegistry, task: str, number: int, code: int
) -> None:
    built(tasks.repository, "one")
    push(tasks, registry)
    stalled = registry.fail("GET|HEAD", "/(manifests|referrers)/", stall, times=100)
    command = tasks.command(task, "--registry", f"{registry.host}/vessl-ai")
    with subprocess.Popen(command, env=tasks.environment, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while stalled.times == 100:
            assert time.monotonic() < deadline, "nothing was asked"
            time.sleep(0.05)
        time.sleep(0.2)
        process.send_signal(number)
        said = process.communicate(timeout=10)[1]  # the registry would hang for a minute, and be asked again
    assert (process.returncode, said.splitlines()[-1].partition(":")[0]) == (code, "interrupted")
    assert "Traceback" not in said
