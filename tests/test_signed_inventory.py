"""The inventory and what a scan found, signed as the rest of the evidence is, and one that was tampered with found."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scripts.build.wanted import Need
from scripts.contents.inventory import MEDIA_TYPE, render_inventory
from scripts.contents.weaknesses import MEDIA_TYPE as SCAN_TYPE
from scripts.contents.weaknesses import Scan, parse_scan
from scripts.errors import UsageError
from scripts.release.attestations import find_bundles, find_documents
from scripts.release.evidence import attach_evidence, prepare_evidence, with_inventory
from scripts.release.findings import State, sums_up
from scripts.release.scans import keep_scan
from scripts.release.statements import INVENTORY, SCAN
from tests.attested import BASE
from tests.inventories import attach_inventory
from tests.test_inventory_read import take
from tests.test_verify import SMOKE, World, make_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.release.reference import Digest
    from tests.fake_cosign import FakeCosign


@pytest.fixture
def world(tmp_path: Path, cosign: FakeCosign, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with make_world(tmp_path, cosign, monkeypatch) as made:
        yield made


def image(world: World) -> Digest:
    found: Digest = world.repository.digest(world.made.build.digest)
    return found


@pytest.mark.parametrize("planted", ["tampered", "of another image", "none"])
def test_an_inventory_that_was_not_signed_is_found(world: World, planted: str) -> None:
    world.attach(sign=world.cosign.key())
    world.write(smoke=SMOKE)
    content = render_inventory(take(world.made.layout))
    other = {
        "tampered": content.replace(b"2.4.6", b"9.9.9"),
        "of another image": content.replace(world.made.build.digest.encode(), BASE.encode()),
        "none": b"[",
    }[planted]
    assert other != content
    attach_inventory(world.transport, world.repository, world.made.product.manifest, other)
    found = world.look(trust=world.cosign.public())
    assert (found["inventory"].state, found["inventory"].why) == (
        State.FAILED,
        "one is attached that they have not signed: it may have been tampered with",
    )
    assert sums_up(found.values()) == "inventory FAILED"


def test_the_inventory_is_signed_as_the_rest_is_and_that_of_another_image_is_refused(world: World) -> None:
    world.attach(sign=world.cosign.key())
    (bundle,) = find_bundles(world.transport, image(world), INVENTORY)
    (content,) = find_documents(world.transport, image(world), MEDIA_TYPE)
    assert json.loads(content) == bundle.statement.predicate
    made = world.made
    bare = prepare_evidence(made.settings, made.build, made.smoke, print)
    assert with_inventory(bare, None, made.build.digest, Need.REQUIRED) == bare
    told = rf"^app:1: its inventory is of {made.build.digest}, not of {BASE}: run it again$"
    with pytest.raises(UsageError, match=told):
        with_inventory(bare, take(made.layout), BASE, Need.REQUIRED)


def test_what_a_scan_found_is_attached_and_signed_where_there_was_one(world: World) -> None:
    made = world.made.with_settings(sign=world.cosign.key())
    scan = Scan(image=made.build.digest, scanner="trivy 1", database="2026-11-20", packages=2, found=())
    keep_scan(made.settings.out, replace(scan, database="2026-11-19"))
    keep_scan(made.settings.out, scan)
    said: list[str] = []
    evidence = prepare_evidence(made.settings, made.build, made.smoke, print)
    for _ in "12":
        attach_evidence(world.transport, world.repository, made.product.manifest, evidence, said.append)
    (line,) = said
    assert "smoke test, scan, SPDX (signed)" in line
    assert ", scan (signed), " in line
    (content,) = find_documents(world.transport, image(world), SCAN_TYPE)
    (bundle,) = find_bundles(world.transport, image(world), SCAN)
    assert parse_scan(content, "x") == scan
    assert json.loads(content) == bundle.statement.predicate
