"""What goes with an image of several platforms: to each image what is about it, to the index what is about all."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pytest

from scripts.build.index import assemble, make_room
from scripts.build.layout import RECORD as BUILD_FILE
from scripts.build.layout import Record as Build
from scripts.build.layout import directory_of_platform, load_record, read_descriptor
from scripts.build.settings import Settings
from scripts.build.wanted import Need
from scripts.contents.inventory import MEDIA_TYPE
from scripts.contents.size import measure_spec
from scripts.errors import UsageError
from scripts.recipe.matrix import expand_all, load_families
from scripts.release.attestations import find_documents
from scripts.release.commands import reader_of
from scripts.release.companions import CHANGES_TYPE
from scripts.release.download import get_blob
from scripts.release.findings import State
from scripts.release.place import place_of
from scripts.release.push import Order, Pusher
from scripts.release.referrers import list_referrers
from scripts.release.registry import get_manifest
from scripts.release.statements import IN_TOTO, PROVENANCE, TEST_RESULT
from scripts.release.target import find_target
from scripts.release.verify import Proofs, verify
from scripts.smoke.record import hash_checks, save_record
from tests.conftest import DIGEST
from tests.faulty_registry import FaultyRegistry, connect
from tests.layouts import Made, write_layout
from tests.products import NO_EVIDENCE
from tests.test_index import AMD64, ARM64, TWO
from tests.test_smoke_record import RECORD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scripts.recipe.matrix import ImageSpec
    from scripts.release.reference import Digest
    from scripts.release.transport import Transport
    from tests.conftest import Repository

STATUS = "Package: openssl\nStatus: install ok installed\nArchitecture: {}\nVersion: {}\n\n"
BOTH = {AMD64: "3.0.1", ARM64: "3.0.1"}


@pytest.fixture
def transport() -> Iterator[Transport]:
    with connect() as client:
        yield client.transport


@pytest.fixture
def settings(repository: Repository) -> Iterator[Settings]:
    repository.family(versions=TWO)
    (repository.root / "scripts" / "image").mkdir(parents=True)
    (repository.root / "scripts" / "image" / "requirements.txt").touch()
    root = repository.root
    wanted = replace(NO_EVIDENCE, inventory=Need.REQUIRED, provenance=Need.REQUIRED, smoke=Need.REQUIRED)
    with FaultyRegistry() as registry:
        host = f"{registry.host}/vessl-ai"
        yield Settings(root=root, out=root / "out", cache=root / "cache", registry=host, evidence=wanted)


def spec_of(settings: Settings) -> ImageSpec:
    (spec,) = expand_all(load_families(settings.root))
    return spec


def built(settings: Settings, versions: Mapping[str, str]) -> Build:
    """A build with this openssl for each platform, tested."""
    layout = settings.out / "app_1"
    shutil.rmtree(layout, ignore_errors=True)
    make_room(layout, versions)
    for platform, version in versions.items():
        system, _, architecture = platform.partition("/")
        status = {"var/lib/dpkg/status": Made(text=STATUS.format(architecture, version))}
        config = {"os": system, "architecture": architecture, "config": {"Labels": {"ai.vessl.images.id": "app:1"}}}
        write_layout(directory_of_platform(layout, platform), [("RUN apt-get install openssl", status)], config)
    platforms = assemble(layout, versions, "app:1")
    build = Build(
        id="app:1",
        digest=read_descriptor(layout).digest,
        size=1,
        recipe={"platforms": ",".join(versions)},
        base=DIGEST,
        stand_in=False,
        commit="1234567",
        epoch=0,
        platforms=platforms,
    )
    (layout / BUILD_FILE).write_text(json.dumps(asdict(build)))
    spec = spec_of(settings)
    for image in build.images:
        checks = hash_checks(settings.root, spec)
        save_record(settings.out, replace(RECORD, id="app:1", digest=image.digest, checks=checks))
    record = load_record(settings.out, "app:1")
    assert record is not None
    return record


def push(settings: Settings, transport: Transport, **choices: Any) -> str:
    """Publish it; the reason that the ledger has."""
    spec = spec_of(settings)
    reader = reader_of([spec], settings, transport, lambda _: None)
    order = Order(time="2026-11-26T05:00:00Z", **choices)
    Pusher(settings, transport, order, lambda _: None, reader).push(spec)
    place = place_of(spec, settings)
    return place.history().published(str(place.repository), "1")[-1].reason


def attached(transport: Transport, image: Digest) -> list[str]:
    """Types of what is attached to an image."""
    found = [item.artifact_type for item in list_referrers(transport, image) if item.artifact_type != IN_TOTO]
    kinds = {"provenance": PROVENANCE, "test result": TEST_RESULT}
    return sorted(
        [*found, *(name for name, kind in kinds.items() if list(find_documents(transport, image, IN_TOTO, kind)))]
    )


def test_each_image_has_what_is_about_it_and_the_index_what_is_about_all(
    settings: Settings, transport: Transport
) -> None:
    build = built(settings, BOTH)
    assert push(settings, transport) == "first revision"
    repository = place_of(spec_of(settings), settings).repository
    for image in build.images:
        assert attached(transport, repository.digest(image.digest)) == [MEDIA_TYPE, "provenance", "test result"]
    assert attached(transport, repository.digest(build.digest)) == ["provenance"]
    second = built(settings, {**BOTH, ARM64: "3.0.2"})
    push(settings, transport)
    assert attached(transport, repository.digest(second.digest)) == [CHANGES_TYPE, "provenance"]


def test_what_changed_is_told_by_platform_where_it_is_not_the_same(settings: Settings, transport: Transport) -> None:
    built(settings, BOTH)
    push(settings, transport)
    built(settings, dict.fromkeys(BOTH, "3.0.2"))
    same = push(settings, transport)
    assert "openssl" in same
    assert "linux/" not in same
    build = built(settings, {AMD64: "3.0.2", ARM64: "3.0.3"})
    told = push(settings, transport)
    assert told == "linux/amd64: nothing a user can see; linux/arm64: 1 dpkg package updated: openssl"
    image = place_of(spec_of(settings), settings).repository.digest(build.digest)
    (changes,) = list_referrers(transport, image, CHANGES_TYPE)
    raw = json.loads(get_manifest(transport, image.repository.digest(changes.descriptor.digest)).content)
    page = get_blob(transport, image.repository.digest(raw["layers"][0]["digest"])).decode()
    assert page.startswith("# linux/amd64\n\n")
    assert "\n# linux/arm64\n\n" in page


def test_a_platform_that_is_new_is_said_to_be(settings: Settings, transport: Transport, repository: Repository) -> None:
    repository.family(versions=TWO.replace(f', "{ARM64}"', ""))
    alone = built(settings, {AMD64: "3.0.1"})
    # As a row of one platform is built: an image and no index.
    (image,) = alone.images
    layout = settings.out / "app_1"
    index = (directory_of_platform(layout, AMD64) / "index.json").read_text()
    (layout / "index.json").write_text(index)
    (layout / BUILD_FILE).write_text(json.dumps(asdict(replace(image, platform=""))))
    push(settings, transport)
    repository.family(versions=TWO)
    built(settings, BOTH)
    assert push(settings, transport) == "linux/amd64: nothing a user can see; linux/arm64: is new"


def test_verify_looks_at_the_index_and_at_each_image(settings: Settings, transport: Transport) -> None:
    built(settings, BOTH)
    push(settings, transport)
    spec = spec_of(settings)
    target = find_target("app:1", {"app:1": spec}, settings, transport)
    proofs = Proofs(transport=transport, target=target, settings=settings, cosign=None, trust=None)
    found = verify(proofs)
    assert [finding.what for finding in found] == [
        "signature", "provenance", "ledger",
        "signature linux/amd64", "provenance linux/amd64", "smoke test linux/amd64", "SBOM linux/amd64",
        "inventory linux/amd64",
        "signature linux/arm64", "provenance linux/arm64", "smoke test linux/arm64", "SBOM linux/arm64",
        "inventory linux/arm64",
    ]  # fmt: skip
    states = {finding.what: finding.state for finding in found}
    assert states["ledger"] is states["smoke test linux/arm64"] is State.PROVEN
    assert len(verify(proofs, ARM64)) == 3 + 5
    with pytest.raises(UsageError, match="no image for linux/s390x, there: linux/amd64, linux/arm64"):
        verify(proofs, "linux/s390x")


def test_the_reader_and_the_size_are_of_the_platform_that_is_asked_for(
    settings: Settings, transport: Transport
) -> None:
    build = built(settings, {AMD64: "3.0.1", ARM64: "3.0.3333"})
    push(settings, transport)
    spec = spec_of(settings)
    for word in ("app:1", f"{settings.registry}/app:1-r1"):
        for image in build.images:
            reader = reader_of([spec], settings, transport, lambda _: None, platform=image.platform)
            found = reader.inventory(word)
            assert (found.image.digest, found.image.platform) == (image.digest, image.platform)
    said: list[str] = []
    sizes = {platform: measure_spec(spec, settings, platform, said.append)[0].size for platform in BOTH}
    assert sizes[ARM64] == sizes[AMD64] + 3
    assert said == []
    assert measure_spec(spec, settings, None, said.append)[0].size == sizes[AMD64]
    assert said == [f"{settings.out / 'app_1'}: has 2 platforms, taking linux/amd64 (--platform takes another)"]
    with pytest.raises(UsageError, match="no image for linux/s390x"):
        measure_spec(spec, settings, "linux/s390x")
