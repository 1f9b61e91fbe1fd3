"""Images of several platforms in a registry: one revision for all of them or none, and what the ledger says of each."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from scripts.build.build import carry_out
from scripts.build.layout import load_record
from scripts.build.plan import plan_builds
from scripts.build.settings import Settings
from scripts.build.wanted import Need
from scripts.errors import UsageError
from scripts.recipe.matrix import expand_all, load_families
from scripts.recipe.selection import narrow_platforms
from scripts.release.adopt import apply_adoption, plan_adoption
from scripts.release.audit import audit
from scripts.release.correct import rollback
from scripts.release.ledger import load_ledger
from scripts.release.lines import Published
from scripts.release.place import place_of
from scripts.release.push import Order, Pusher
from scripts.smoke.record import Outcome, hash_checks, save_record
from tests.conftest import DIGEST
from tests.faulty_registry import FaultyRegistry, connect
from tests.products import NO_EVIDENCE
from tests.test_index import AMD64, ARM64, TWO
from tests.test_smoke_record import RECORD

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.build.layout import Record
    from scripts.recipe.matrix import ImageSpec
    from scripts.release.transport import Transport
    from tests.conftest import Docker, Repository

TIME = "2026-11-26T05:00:00Z"
NOT_HERE = "the engine here is of linux/amd64, and does not emulate linux/arm64"


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as made:
        yield made


@pytest.fixture
def transport() -> Iterator[Transport]:
    with connect() as client:
        yield client.transport


@pytest.fixture
def settings(
    repository: Repository, docker: Docker, cache: Path, registry: FaultyRegistry, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    monkeypatch.setattr("scripts.build.build.SPACE", {False: 0, True: 0})
    monkeypatch.setattr("scripts.smoke.platforms.HANDLERS", repository.root / "no handlers")
    repository.family(versions=TWO)
    docker.answer(registry={"python:3.11": DIGEST})
    root = repository.root
    host = f"{registry.host}/vessl-ai"
    return Settings(root=root, out=root / "out", cache=cache, registry=host, progress="plain", evidence=NO_EVIDENCE)


def spec_of(settings: Settings) -> ImageSpec:
    (spec,) = expand_all(load_families(settings.root))
    return spec


def build(settings: Settings, *tested: str, platforms: tuple[str, ...] = ()) -> Record:
    """Build the image, and have some of its platforms pass their smoke test."""
    spec = spec_of(settings)
    (wanted,) = narrow_platforms([spec], platforms or spec.platforms)
    carry_out(plan_builds([wanted], settings), settings, lambda _: None)
    record = load_record(settings.out, "app:1")
    assert record is not None
    for platform in tested:
        passes(settings, record, platform)
    return record


def passes(settings: Settings, record: Record, platform: str, outcome: Outcome = Outcome.PASS) -> None:
    (image,) = (image for image in record.images if image.platform in {"", platform})
    checks = hash_checks(settings.root, spec_of(settings))
    results = tuple(replace(result, outcome=outcome) for result in RECORD.results)
    found = replace(RECORD, id="app:1", digest=image.digest, checks=checks, outcome=outcome, results=results)
    save_record(settings.out, found)


def push(settings: Settings, transport: Transport, **choices: Any) -> dict[str, Any]:
    return Pusher(settings, transport, Order(time=TIME, **choices), lambda _: None).push(spec_of(settings))


def refusal(settings: Settings, transport: Transport, **choices: Any) -> list[str]:
    with pytest.raises(UsageError) as caught:
        push(settings, transport, **choices)
    return str(caught.value).splitlines()


def lines(settings: Settings) -> list[Published]:
    place = place_of(spec_of(settings), settings)
    return [line for line in load_ledger(place.ledger).lines if isinstance(line, Published)]


def differences(settings: Settings, transport: Transport) -> list[str]:
    place = place_of(spec_of(settings), settings)
    found = audit(transport, place.repository, ["1"], place.history())
    return [f"{item.place.removeprefix(f'{settings.registry}/')}: {item.what}" for item in found]


def test_one_revision_has_all_platforms_and_the_ledger_tells_of_each(
    settings: Settings, registry: FaultyRegistry, transport: Transport
) -> None:
    record = build(settings, AMD64, ARM64)
    assert push(settings, transport)["revision"] == 1
    assert registry.tags["vessl-ai/app"] == {"1-r1": record.digest, "1": record.digest}
    there = registry.manifests["vessl-ai/app"]
    assert set(record.platforms.values()) < there.keys()
    (line,) = lines(settings)
    assert line.digest == record.digest
    assert [(item.platform, item.digest) for item in line.platforms] == list(record.platforms.items())
    assert all(item.size > 0 and item.smoke and not item.untested for item in line.platforms)
    assert line.smoke
    assert line.smoke.passed == sum(item.smoke.passed for item in line.platforms if item.smoke)
    # Both have the layer, which is counted once.
    assert line.size < sum(item.size for item in line.platforms)
    assert push(settings, transport)["action"] == "unchanged"
    assert differences(settings, transport) == []


def test_no_index_is_there_before_what_it_names(
    settings: Settings, registry: FaultyRegistry, transport: Transport
) -> None:
    record = build(settings, AMD64, ARM64)
    push(settings, transport)
    puts = [
        seen.path.rpartition("/")[2]
        for seen in registry.requests
        if seen.method == "PUT" and "/manifests/" in seen.path
    ]
    images = [puts.index(digest) for digest in record.platforms.values()]
    assert max(images) < puts.index(record.digest) < puts.index("1-r1") < puts.index("1")


def test_a_platform_that_was_not_tested_keeps_the_rest_from_being_published(
    settings: Settings, registry: FaultyRegistry, transport: Transport
) -> None:
    record = build(settings, AMD64)
    assert refusal(settings, transport) == [
        f"app:1: linux/arm64: not tested: {NOT_HERE} (docs/builders.md; images.evidence.platforms: optional lets it go untested)"
    ]
    assert not registry.tags["vessl-ai/app"]
    assert len(refusal(settings, transport, dry_run=True)) == 1
    passes(settings, record, ARM64)
    assert push(settings, transport)["revision"] == 1


def test_what_cannot_be_tested_here_may_go_untested_and_is_recorded_so(
    settings: Settings, transport: Transport
) -> None:
    allowed = replace(settings, evidence=replace(NO_EVIDENCE, platforms=Need.OPTIONAL))
    record = build(allowed)
    assert refusal(allowed, transport) == [
        f'app:1: linux/amd64: no smoke test of {record.platforms[AMD64]} has passed: ./scripts/nox -s "smoke(app:1)"',
        "app:1: none of linux/amd64, linux/arm64 has passed its smoke test",
    ]
    passes(allowed, record, AMD64)
    passes(allowed, record, ARM64, Outcome.FAIL)
    assert refusal(allowed, transport) == [
        'app:1: linux/arm64: its smoke test has failed: ./scripts/nox -s "smoke(app:1)"'
    ]
    (settings.out / "smoke" / record.platforms[ARM64].replace(":", "-") / "record.json").unlink()
    push(allowed, transport)
    (line,) = lines(settings)
    assert line.smoke is None
    assert [(item.untested, item.smoke is None) for item in line.platforms] == [("", False), (NOT_HERE, True)]


def test_some_platforms_only_are_no_revision(
    settings: Settings, registry: FaultyRegistry, transport: Transport
) -> None:
    build(settings, AMD64, platforms=(AMD64,))
    assert refusal(settings, transport) == [
        "app:1 is built for linux/amd64 only, and a revision has all platforms of its row: build it for linux/arm64 too: invoke build fam --version 1"
    ]
    assert not registry.tags["vessl-ai/app"]


def test_a_platform_is_dropped_only_with_a_reason(
    settings: Settings, transport: Transport, repository: Repository
) -> None:
    build(settings, AMD64, ARM64)
    push(settings, transport)
    repository.family(versions=TWO.replace(f', "{ARM64}"', ""))
    build(settings, AMD64)
    assert refusal(settings, transport) == [
        "app:1: r1 has linux/arm64, and this build has not: --reason: say why, for who pulls it"
    ]
    assert push(settings, transport, reason="no longer built for arm64")["revision"] == 2
    assert [bool(line.platforms) for line in lines(settings)] == [True, False]


def test_going_back_brings_all_platforms_back(
    settings: Settings, registry: FaultyRegistry, transport: Transport, repository: Repository
) -> None:
    first = build(settings, AMD64, ARM64)
    push(settings, transport)
    repository.family(versions=f'{TWO}args = {{ FLAVOUR = "other" }}\n')
    build(settings, AMD64, ARM64)
    push(settings, transport, reason="other files")
    place = place_of(spec_of(settings), settings)
    rollback(transport, place, 1, "the other files are wrong", TIME)
    assert registry.tags["vessl-ai/app"]["1"] == first.digest
    assert lines(settings)[2].platforms == lines(settings)[0].platforms
    assert differences(settings, transport) == []


def test_an_audit_looks_at_the_image_of_each_platform(
    settings: Settings, registry: FaultyRegistry, transport: Transport
) -> None:
    record = build(settings, AMD64, ARM64)
    push(settings, transport)
    arm64 = record.platforms[ARM64]
    _, content = registry.manifests["vessl-ai/app"].pop(arm64)
    assert differences(settings, transport) == [f"app:1-r1: its image of linux/arm64, {arm64}, is not there"]
    registry.put(content, "application/vnd.oci.image.manifest.v1+json", name="vessl-ai/app")
    config = json.loads(content)["config"]["digest"]
    del registry.blobs["vessl-ai/app"][config]
    assert differences(settings, transport) == [f"app:1-r1 linux/arm64: blob {config} is not there"]


def test_what_was_published_before_is_adopted_with_its_platforms(settings: Settings, transport: Transport) -> None:
    build(settings, AMD64, ARM64)
    push(settings, transport)
    (before,) = lines(settings)
    place = place_of(spec_of(settings), settings)
    place.ledger.unlink()
    apply_adoption(transport, place, plan_adoption(transport, place, TIME))
    (line,) = lines(settings)
    assert (line.digest, line.size, line.adopted) == (before.digest, before.size, True)
    assert [(item.platform, item.digest, item.size) for item in line.platforms] == [
        (item.platform, item.digest, item.size) for item in before.platforms
    ]
    assert all(item.untested and item.smoke is None for item in line.platforms)


def test_a_line_of_one_platform_says_nothing_of_platforms(
    settings: Settings, transport: Transport, repository: Repository
) -> None:
    repository.family(versions=TWO.replace(f', "{ARM64}"', ""))
    build(settings, AMD64)
    push(settings, transport)
    (text,) = place_of(spec_of(settings), settings).ledger.read_text().splitlines()
    assert "platforms" not in json.loads(text)
    assert json.loads(text)["smoke"]["passed"] > 0
