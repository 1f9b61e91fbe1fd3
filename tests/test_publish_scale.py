"""Planning a publish of very many images: how long it takes, what memory, and how many requests."""

from __future__ import annotations

import json
import multiprocessing
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from scripts.build.settings import Settings
from scripts.release.ledger import FILENAME, render_line
from scripts.release.lines import Published
from scripts.release.place import Place, ledger_paths
from scripts.release.push import Order, Pusher
from scripts.release.reference import parse_repository
from scripts.release.registry import PAGE_SIZE
from scripts.release.revision import Step
from scripts.release.transport import Transport
from tests.faulty_registry import FaultyRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

REPOSITORIES, IMAGES, REVISIONS = 4, 250, 50
"""Repositories, images of each, revisions of each image: 1,000 images and 50,000 revision tags."""
SECONDS, MEGABYTES = 10.0, 300.0
CHANGED = 10
"""One image in so many is not what its newest revision is."""


@dataclass(frozen=True)
class Cost:
    """What a plan was, and what it took."""

    steps: dict[str, int]
    seconds: float
    """Of processor time."""
    megabytes: float
    """Of the whole process at its largest, Python and libraries with it."""


def tag_of(image: int) -> str:
    return f"2.3.{image}-cuda12.1"


def content_of(repository: int, image: int, revision: int) -> bytes:
    return json.dumps({"schemaVersion": 2, "image": [repository, image, revision]}).encode()


def name_of(repository: int) -> str:
    return f"vessl-ai/images-{repository}"


def plan(host: str, folder: Path, digests: dict[tuple[int, int], str]) -> Cost:
    """What a publish of all images would do, in a process of its own, so that its memory is that of nothing else."""
    steps: dict[str, int] = {}
    settings = Settings(root=folder, out=folder / "out", cache=folder / "cache", registry=f"{host}/vessl-ai")
    with Transport(credentials=lambda _: None) as transport:
        pusher = Pusher(settings, transport, Order(time="2026-11-25T12:00:00Z", dry_run=True), lambda _: None)
        for (number, image), digest in digests.items():
            own = folder / f"family-{number}" / FILENAME
            place = Place(
                repository=parse_repository(f"{host}/{name_of(number)}"),
                tag=tag_of(image),
                ledger=own,
                others=tuple(path for path in ledger_paths(folder) if path != own),
            )
            decision = pusher.decide(place, digest)
            steps[decision.step] = steps.get(decision.step, 0) + 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Cost(steps, time.process_time(), peak)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[FaultyRegistry]:
    """All of it published, and the ledgers of it."""
    with FaultyRegistry() as made:
        made.page = PAGE_SIZE
        for number in range(REPOSITORIES):
            path = tmp_path / f"family-{number}" / FILENAME
            path.parent.mkdir()
            with path.open("w") as ledger:
                for image in range(IMAGES):
                    for revision in range(1, REVISIONS + 1):
                        tags = [f"{tag_of(image)}-r{revision}", *([tag_of(image)] if revision == REVISIONS else [])]
                        kind = "application/vnd.oci.image.manifest.v1+json"
                        digest = made.put(content_of(number, image, revision), kind, *tags, name=name_of(number))
                        line = Published(
                            repository=f"{made.host}/{name_of(number)}",
                            tag=tag_of(image),
                            revision=revision,
                            time="2026-11-25T12:00:00Z",
                            reason="numpy 2.4.5 to 2.4.6",
                            digest=digest,
                            size=5_000_000_000,
                            recipe="ab" * 32,
                            base="sha256:" + "cd" * 32,
                            commit="1234567",
                            replaces=revision - 1 or None,
                        )
                        ledger.write(f"{render_line(line)}\n")
        yield made


def test_a_thousand_images_where_there_are_fifty_thousand_tags(
    registry: FaultyRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measured: Callable[[str], None]
) -> None:
    changed = "sha256:" + "ef" * 32
    digests = {
        (number, image): changed if image % CHANGED == 0 else registry.tags[name_of(number)][tag_of(image)]
        for number in range(REPOSITORIES)
        for image in range(IMAGES)
    }
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # which would cost more than the plan
    work, clock = time.process_time(), time.monotonic()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        cost = pool.submit(plan, registry.host, tmp_path, digests).result()
    # The two wait for each other, so together it is what it takes on a machine that has nothing else to do.
    seconds = cost.seconds + time.process_time() - work
    clock = time.monotonic() - clock
    tags = sum(map(len, registry.tags.values()))
    listings = sum("/tags/list" in seen.path for seen in registry.requests)
    heads = sum(seen.method == "HEAD" for seen in registry.requests)
    measured(
        f"plan of {len(digests)} images among {tags} tags: {seconds:.1f} s of work ({clock:.1f} s on the "
        f"clock), {cost.megabytes:.0f} MB, {listings} pages of tags, {heads} HEADs"
    )
    assert cost.steps == {Step.NEW: len(digests) // CHANGED, Step.UNCHANGED: len(digests) - len(digests) // CHANGED}
    assert tags == REPOSITORIES * IMAGES * (REVISIONS + 1)
    # A listing of each repository, in pages; of each image the newest revision and the standard tag; nothing else.
    assert listings <= REPOSITORIES * (IMAGES * (REVISIONS + 1) // PAGE_SIZE + 1)
    assert heads <= 2 * len(digests)
    assert len(registry.requests) == listings + heads
    assert seconds < SECONDS
    assert cost.megabytes < MEGABYTES
