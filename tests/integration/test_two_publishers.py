"""Two publishers at the same moment, as on two machines: processes of their own, each with the ledger as it was pulled."""

from __future__ import annotations

import multiprocessing
import random
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scripts.errors import ImagesError
from scripts.release.ledger import FILENAME, Ledger, load_ledger, render_ledger
from scripts.release.patience import Patience
from scripts.release.place import Place
from scripts.release.product import load_product
from scripts.release.publish import Facts, publish
from scripts.release.transport import Transport
from tests.products import make_layout
from tests.registries import serve_registry
from tests.trials import Published

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.engine

ROUNDS = 100
TAG = "2.3.1-cuda12.1"
FACTS = Facts(reason="numpy 2.4.5 to 2.4.6", time="2026-11-25T12:00:00Z", recipe="ab" * 32)


def publish_at(moment: float, place: Place, layout: Path) -> int | str:
    """Publish at a moment of the clock that all processes of a machine share; the revision, or why there is none."""
    product = load_product(layout)
    patience = Patience(attempts=9, first=0.1, longest=1.0)
    with Transport(credentials=lambda _: None, patience=patience) as transport:
        time.sleep(max(0.0, moment - time.monotonic()))
        try:
            return publish(transport, place, product, FACTS).revision
        except ImagesError as error:
            return str(error)


def pull(places: list[Place]) -> None:
    """What git does between two runs: both ledgers have the lines of both."""
    lines = {line.name: line for place in places for line in load_ledger(place.ledger).lines}
    text = render_ledger(Ledger(lines=tuple(sorted(lines.values(), key=lambda line: line.revision))))
    for place in places:
        place.ledger.parent.mkdir(exist_ok=True)
        place.ledger.write_text(text)


def test_no_revision_is_lost_or_overwritten(tmp_path: Path, measured: Callable[[str], None]) -> None:
    """One may give way to the other, with a sentence; when it has pulled, it publishes with the next number."""
    chance = random.Random(0)  # noqa: S311 - no secret
    gave_way = 0
    before: dict[int, str] = {}
    spawn = multiprocessing.get_context("spawn")
    with serve_registry(tmp_path / "registry", delete=True) as registry, ProcessPoolExecutor(2, spawn) as pool:
        place = Place(repository=registry.repository(), tag=TAG, ledger=tmp_path)
        published = Published(registry.host, place.repository.name, TAG)
        places = [replace(place, ledger=tmp_path / side / FILENAME, publisher=side * 8) for side in "ab"]
        for number in range(ROUNDS):
            layouts = [make_layout(tmp_path / f"{number}-{side}", "base", f"{number} {side}") for side in "ab"]
            digests = [load_product(layout).manifest.digest for layout in layouts]
            moment = time.monotonic() + 0.01
            moments = (moment, moment + chance.choice([0.0, 0.0, 0.01, 0.02, 0.03]))
            outcomes = list(pool.map(publish_at, moments, places, layouts))
            new = published.revisions(above=max(before, default=0))
            for outcome, digest in zip(outcomes, digests, strict=True):
                if isinstance(outcome, int):
                    assert new[outcome] == digest, "a revision was overwritten"
            assert set(new.values()) <= set(digests)
            assert not new or published.digest(TAG) == new[max(new)]
            pull(places)
            for side, outcome in enumerate(outcomes):
                if isinstance(outcome, str):
                    assert outcome.startswith(str(place.repository))
                    gave_way += 1
                    again = publish_at(0, places[side], layouts[side])
                    assert isinstance(again, int), (outcomes, again)
                    pull(places)
            new = published.revisions(above=max(before, default=0))
            assert sorted(new.values()) == sorted(digests), "a digest has no revision, or two"
            assert published.digest(TAG) == new[max(new)]
            before |= new
        published.check({f"{TAG}-r{revision}": digest for revision, digest in before.items()})
        ledger = load_ledger(places[0].ledger).published(str(place.repository), TAG)
        assert {line.revision: line.digest for line in ledger} == before == published.revisions()
    assert len(before) == 2 * ROUNDS
    measured(
        f"two publishers: {ROUNDS} rounds, {len(before)} revisions up to r{max(before)}, none lost or overwritten; "
        f"{gave_way} gave way first"
    )
