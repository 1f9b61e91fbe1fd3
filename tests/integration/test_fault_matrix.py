"""Each kind of fault at each request of a publish to a real registry: what is published stays whole, and a rerun ends it."""

from __future__ import annotations

import itertools
import queue
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from scripts.errors import ImagesError
from scripts.release.ledger import FILENAME
from scripts.release.patience import Patience
from scripts.release.place import Place
from scripts.release.publish import Facts, publish
from scripts.release.revision import Step
from scripts.release.transport import Transport
from scripts.release.wire import Timeouts
from tests.fault_proxy import (
    FaultProxy,
    Stale,
    cut_answer,
    cut_upload,
    fail_after,
    late,
    short_page,
    shorten_answer,
    shorten_upload,
)
from tests.faulty_registry import edit, hang_up, lose, say, stall
from tests.products import make_product
from tests.registries import serve_registry
from tests.trials import TEMPLATE, Published, Template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scripts.release.product import Product
    from tests.faulty_registry import Act

pytestmark = pytest.mark.engine

TAG = "2.3.1-cuda12.1"
FACTS = Facts(reason="numpy 2.4.5 to 2.4.6", time="2026-11-25T12:00:00Z", recipe="ab" * 32)
WRONG = "sha256:" + "0" * 64
READ = 0.3
"""Seconds until an answer that does not come counts as lost."""
EVER = 10_000
"""Times that a fault lasts which does not go away until the publisher has given up."""


@dataclass(frozen=True)
class Kind:
    """A fault, and the requests that there is such a fault of."""

    act: Callable[[str], Act]
    """Given the name of the repository."""
    method: str = ".*"
    pattern: str = ""
    times: int = 1


def once(act: Act, method: str = ".*", pattern: str = "", times: int = 1) -> Kind:
    return Kind(lambda _: act, method, pattern, times)


def stale(name: str) -> Act:
    return Stale(name, f"{TEMPLATE}/torch", 1.0)


SENDING = "PUT|PATCH"
KINDS = {
    "refusals": {
        **{str(status): once(say(status)) for status in (401, 403, 404, 409, 500, 502, 503)},
        "429": once(say(429, Retry_After="1")),
    },
    "connections": {
        "cut before": once(hang_up),
        "cut before the answer": once(lose),
        "cut in what is sent": once(cut_upload, SENDING),
        "cut in the answer": once(cut_answer, "GET"),
        "stalled": once(stall),
        "done late": once(late(2 * READ), "PUT|POST|DELETE"),
        "500 when done": once(fail_after(500), "PUT|POST|DELETE"),
        "404 when done": once(fail_after(404), "PUT|POST|DELETE"),
    },
    "contents": {
        "shortened when sent": once(shorten_upload, SENDING),
        "shortened answer": once(shorten_answer, "GET"),
        "wrong digest": once(edit(Docker_Content_Digest=WRONG), pattern="manifests|blobs"),
        "no digest": once(edit(Docker_Content_Digest=None), pattern="manifests|blobs"),
        "never a digest": once(edit(Docker_Content_Digest=None), pattern="manifests|blobs", times=EVER),
        "short pages": once(short_page, "GET", "tags/list", EVER),
        "stale for a second": Kind(stale, "GET|HEAD", "tags/list|manifests", EVER),
    },
    "lasting": {
        **{f"{status} from here": once(say(status), times=EVER) for status in (403, 404, 503)},
        "cut before the answer from here": once(lose, times=EVER),
        "500 when done from here": once(fail_after(500), "PUT|POST|DELETE", times=EVER),
        "409 to every tag from here": once(say(409), "PUT", "manifests", EVER),
    },
}


@dataclass(frozen=True)
class Trial:
    """One publisher at a time, through a proxy of its own."""

    template: Template
    proxy: FaultProxy
    products: tuple[Product, Product]
    ledger: Path

    def run(self, kind: Kind, number: int) -> tuple[bool, bool]:
        """Publish a second revision with a fault at a request; whether there was such a request, and an error."""
        name = self.template.copy(self.proxy.host, self.ledger)
        place = Place(repository=self.proxy.repository(name), tag=TAG, ledger=self.ledger)
        published = Published(self.template.registry.host, name, TAG)
        before = published.tags()
        digests = [product.manifest.digest for product in self.products]
        fault = self.proxy.fail(kind.method, kind.pattern, kind.act(name), times=kind.times, skip=number)
        failed = self._publish(place)
        assert failed is None or str(failed).startswith(str(place.repository)), failed
        happened = fault.times < kind.times
        self.proxy.faults.clear()
        published.check(before)
        if not failed:
            published.check_settled(self.ledger, str(place.repository), *digests)
        assert self._publish(place) is None
        published.check(before)
        published.check_settled(self.ledger, str(place.repository), *digests)
        assert self._publish(place, Step.UNCHANGED) is None
        self.template.forget(name)
        return happened, bool(failed)

    def _publish(self, place: Place, expected: Step | None = None) -> ImagesError | None:
        patience = Patience(attempts=3, first=0.4, sleep=lambda seconds: time.sleep(min(seconds, 0.4)))
        timeouts = Timeouts(connect=READ, read=READ, upload=READ)
        with Transport(credentials=lambda _: None, patience=patience, timeouts=timeouts) as transport:
            try:
                done = publish(transport, place, self.products[1], FACTS)
            except ImagesError as error:
                return error
        assert expected in {None, done.step}
        return None


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[queue.Queue[Trial]]:
    """Some at the same time, as many of their faults are waited out."""
    folder = tmp_path_factory.mktemp("matrix")
    with ExitStack() as stack:
        registry = stack.enter_context(serve_registry(folder / "registry", delete=True))
        products = (make_product(folder / "1", "base", "one"), make_product(folder / "2", "base", "two"))
        name = f"{TEMPLATE}/torch"
        place = Place(repository=registry.repository(name), tag=TAG, ledger=folder / FILENAME)
        with Transport(credentials=lambda _: None) as transport:
            publish(transport, place, products[0], FACTS)
        template = Template(registry, name, place.ledger.read_text())
        waiting: queue.Queue[Trial] = queue.Queue()
        for number in range(6):
            proxy = stack.enter_context(FaultProxy(registry.host))
            waiting.put(Trial(template, proxy, products, folder / str(number) / FILENAME))
        yield waiting


@pytest.mark.parametrize("group", KINDS)
def test_each_fault_at_each_request(trials: queue.Queue[Trial], group: str, measured: Callable[[str], None]) -> None:
    def run(kind: Kind, number: int) -> tuple[bool, bool]:
        trial = trials.get()
        try:
            return trial.run(kind, number)
        except BaseException as error:
            error.add_note(f"{kind} at request {number}")
            raise
        finally:
            trial.proxy.faults.clear()
            trials.put(trial)

    def all_of(kind: Kind) -> tuple[int, int]:
        """Until there is no such request any more."""
        tried = errors = 0
        for number in itertools.count():
            happened, failed = run(kind, number)
            if not happened:
                return tried, errors
            tried, errors = tried + 1, errors + failed
        raise AssertionError

    started = time.monotonic()
    with ThreadPoolExecutor(6) as pool:
        found = dict(zip(KINDS[group], pool.map(all_of, KINDS[group].values()), strict=True))
    told = ", ".join(f"{name}: {tried}" for name, (tried, _) in found.items())
    tried, errors = (sum(column) for column in zip(*found.values(), strict=True))
    seconds = time.monotonic() - started
    measured(f"{group}: {tried} faults, {errors} ended a publish, all run again, {seconds:.0f} s ({told})")
    assert all(tried for tried, _ in found.values())
