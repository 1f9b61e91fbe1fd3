"""Blobs into a registry: nothing twice, nothing half, and on from where it broke."""

from __future__ import annotations

import hashlib
import threading
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from scripts.errors import RegistryError
from scripts.release.refusal import CorruptError, DeniedError, TemporaryError
from scripts.release.session import FilePart
from scripts.release.upload import Blob, Outcome, upload_blob, upload_blobs

from .conftest import DIGEST
from .faulty_registry import Client, Exchange, FaultyRegistry, connect, edit, hang_up, lose, say, stall, swallow
from .memory_registry import Reply, errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.release.transport import Transport

NAME = "vessl-ai/torch"
DATA = bytes(range(256)) * 4096
QUERY = f"_state=a%3Db&digest=sha256%3A{hashlib.sha256(DATA).hexdigest()}"


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as found:
        yield found


@pytest.fixture
def client() -> Iterator[Client]:
    with connect() as found:
        yield found


@pytest.fixture
def transport(client: Client) -> Transport:
    return client.transport


@pytest.fixture
def blob(tmp_path: Path) -> Blob:
    return make(tmp_path, DATA)


def make(folder: Path, content: bytes) -> Blob:
    digest = hashlib.sha256(content).hexdigest()
    (folder / digest).write_bytes(content)
    return Blob(digest=f"sha256:{digest}", size=len(content), path=folder / digest)


def stored(registry: FaultyRegistry, blob: Blob) -> bool:
    return registry.blobs[NAME].get(blob.digest) == blob.path.read_bytes()


def steps(registry: FaultyRegistry) -> list[str]:
    """Methods and sizes of the requests of the uploads."""
    return [
        f"{seen.method} {len(seen.body)}" if seen.body else seen.method
        for seen in registry.requests
        if "/uploads/" in seen.path
    ]


# What is not sent


def test_a_blob_that_is_there_is_not_sent(registry: FaultyRegistry, transport: Transport, blob: Blob) -> None:
    registry.put_blob(DATA)
    assert upload_blob(transport, registry.repository(), blob) is Outcome.PRESENT
    assert registry.log == [f"HEAD /v2/{NAME}/blobs/{blob.digest}"]


def test_a_blob_that_is_there_in_another_size_is_an_error(
    registry: FaultyRegistry, transport: Transport, blob: Blob
) -> None:
    registry.put_blob(DATA)
    registry.fail("HEAD", "/blobs/", edit(Content_Length="7"))
    with pytest.raises(CorruptError) as caught:
        upload_blob(transport, registry.repository(), blob)
    assert str(caught.value) == f"{registry.repository()}@{blob.digest}: expected {len(DATA)} bytes, the registry has 7"


def test_a_blob_of_another_repository_is_mounted(registry: FaultyRegistry, transport: Transport, blob: Blob) -> None:
    registry.put_blob(DATA, "base")
    with FaultyRegistry() as other:
        other.put_blob(DATA, "base")
        sources = [other.repository("base")]
        sources += [registry.repository(name) for name in (NAME, "empty", "base", "late")]
        assert upload_blob(transport, registry.repository(), blob, sources=sources) is Outcome.MOUNTED
        assert other.requests == []
    assert stored(registry, blob)
    assert registry.log == [
        f"HEAD /v2/{NAME}/blobs/{blob.digest}",
        f"HEAD /v2/empty/blobs/{blob.digest}",
        f"HEAD /v2/base/blobs/{blob.digest}",
        f"POST /v2/{NAME}/blobs/uploads/?mount={blob.digest.replace(':', '%3A')}&from=base",
    ]


def test_a_mount_needs_leave_for_both_repositories(registry: FaultyRegistry, transport: Transport, blob: Blob) -> None:
    registry.challenge = f'Bearer realm="http://{registry.host}/token"'
    registry.put_blob(DATA, "base")
    outcome = upload_blob(transport, registry.repository(), blob, sources=[registry.repository("base")])
    assert outcome is Outcome.MOUNTED
    assert {f"repository:{NAME}:pull,push", "repository:base:pull"} in registry.tokens.values()


def test_a_mount_that_is_refused_goes_on_as_the_upload_that_it_began(
    registry: FaultyRegistry, transport: Transport, blob: Blob
) -> None:
    registry.put_blob(DATA, "base")
    registry.mounts = False
    sources = [registry.repository("base"), registry.repository("base2")]
    assert upload_blob(transport, registry.repository(), blob, sources=sources) is Outcome.SENT
    assert stored(registry, blob)
    assert steps(registry) == ["POST", f"PUT {len(DATA)}"]


@pytest.mark.parametrize(
    ("method", "pattern", "status"),
    [("HEAD", "/base/", 403), ("HEAD", "/base/", 401), ("POST", "mount=", 404), ("POST", "mount=", 405)],
)
def test_a_source_that_cannot_be_used_is_passed_over(
    registry: FaultyRegistry, transport: Transport, blob: Blob, method: str, pattern: str, status: int
) -> None:
    registry.put_blob(DATA, "base")
    registry.fail(method, pattern, say(status))
    sources = [registry.repository("base")]
    assert upload_blob(transport, registry.repository(), blob, sources=sources) is Outcome.SENT
    assert stored(registry, blob)


def test_a_mount_of_something_else_is_found(registry: FaultyRegistry, transport: Transport, blob: Blob) -> None:
    registry.put_blob(DATA, "base")
    registry.fail("POST", "mount=", edit(Docker_Content_Digest=DIGEST))
    outcome = upload_blob(transport, registry.repository(), blob, sources=[registry.repository("base")])
    assert outcome is Outcome.SENT


# What is sent


@pytest.mark.parametrize(
    ("location", "path", "query"),
    [
        ("/v2/{name}/blobs/uploads/{id}", f"/v2/{NAME}/blobs/uploads/1", QUERY.partition("&")[2]),
        ("/v2/{name}/blobs/uploads/{id}?_state=a%3Db", f"/v2/{NAME}/blobs/uploads/1", QUERY),
        ("http://{host}/v2/{name}/blobs/uploads/{id}?_state=a%3Db", f"/v2/{NAME}/blobs/uploads/1", QUERY),
        ("{id}?_state=a%3Db", f"/v2/{NAME}/blobs/uploads/1", QUERY),
    ],
)
def test_a_blob_is_sent_to_where_the_registry_says(
    registry: FaultyRegistry, transport: Transport, blob: Blob, location: str, path: str, query: str
) -> None:
    registry.location = location
    assert upload_blob(transport, registry.repository(), blob) is Outcome.SENT
    assert stored(registry, blob)
    assert steps(registry) == ["POST", f"PUT {len(DATA)}"]
    put = registry.requests[-1]
    assert (put.path, put.query) == (path, query)
    assert put.headers["Content-Type"] == "application/octet-stream"
    assert "Transfer-Encoding" not in put.headers


@pytest.mark.parametrize("chunk", [None, 4])
def test_an_empty_blob_is_sent(
    registry: FaultyRegistry, transport: Transport, tmp_path: Path, chunk: int | None
) -> None:
    empty = make(tmp_path, b"")
    assert upload_blob(transport, registry.repository(), empty, chunk=chunk) is Outcome.SENT
    assert stored(registry, empty)
    assert registry.requests[-1].headers["Content-Length"] == "0"


def test_a_blob_is_sent_in_chunks(registry: FaultyRegistry, transport: Transport, blob: Blob) -> None:
    assert upload_blob(transport, registry.repository(), blob, chunk=500_000) is Outcome.SENT
    assert stored(registry, blob)
    assert steps(registry) == ["POST", "PATCH 500000", "PATCH 500000", "PATCH 48576", "PUT"]
    ranges = [seen.headers["Content-Range"] for seen in registry.requests if seen.method == "PATCH"]
    assert ranges == ["0-499999", "500000-999999", "1000000-1048575"]


def test_an_upload_stays_where_it_is_if_the_registry_says_nothing_else(
    registry: FaultyRegistry, transport: Transport, blob: Blob
) -> None:
    registry.fail("PATCH", "/uploads/", edit(Location=None), times=9)
    assert upload_blob(transport, registry.repository(), blob, chunk=600_000) is Outcome.SENT
    assert stored(registry, blob)


def test_a_chunk_is_as_large_as_the_registry_wants(registry: FaultyRegistry, transport: Transport, blob: Blob) -> None:
    registry.fail("POST", "/uploads/", edit(OCI_Chunk_Min_Length="600000"))
    upload_blob(transport, registry.repository(), blob, chunk=10)
    assert steps(registry) == ["POST", "PATCH 600000", "PATCH 448576", "PUT"]


def test_a_chunk_that_breaks_goes_on_where_it_broke(registry: FaultyRegistry, client: Client, blob: Blob) -> None:
    registry.fail("PATCH", "/uploads/", swallow(400_000))
    assert upload_blob(client.transport, registry.repository(), blob, chunk=500_000) is Outcome.SENT
    assert stored(registry, blob)
    assert steps(registry) == ["POST", "PATCH 400000", "GET", "PATCH 500000", "PATCH 148576", "PUT"]
    assert client.slept == [0.5]


def test_a_file_is_never_read_into_memory(registry: FaultyRegistry, transport: Transport, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    digest = hashlib.sha256(bytes(64 * 1024 * 1024)).hexdigest()
    large = Blob(digest=f"sha256:{digest}", size=64 * 1024 * 1024, path=path)

    def drain(exchange: Exchange) -> Reply | None:
        while exchange.read(1 << 20):
            exchange.seen.body.clear()
        return Reply(201)

    registry.fail("PUT", "/uploads/", drain)
    tracemalloc.start()
    upload_blob(transport, registry.repository(), large)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 1024 * 1024


# What breaks


@pytest.mark.parametrize("size", [2, 1000, 1_000_000])
def test_an_upload_goes_on_where_it_broke(registry: FaultyRegistry, client: Client, blob: Blob, size: int) -> None:
    registry.fail("PUT", "/uploads/", swallow(size))
    assert upload_blob(client.transport, registry.repository(), blob) is Outcome.SENT
    assert stored(registry, blob)
    assert steps(registry) == ["POST", f"PUT {size}", "GET", f"PATCH {len(DATA) - size}", "PUT"]
    assert registry.requests[-2].headers["Content-Range"] == f"{size}-{len(DATA) - 1}"
    assert client.slept == [0.5]


@pytest.mark.parametrize("size", [0, 1])
def test_an_upload_of_which_nobody_knows_how_much_is_there_begins_again(
    registry: FaultyRegistry, transport: Transport, blob: Blob, size: int
) -> None:
    registry.fail("PUT", "/uploads/", swallow(size))
    assert upload_blob(transport, registry.repository(), blob) is Outcome.SENT
    assert stored(registry, blob)
    assert [line.partition(" ")[0] for line in registry.log] == [
        *("HEAD", "POST", "PUT", "GET", "HEAD", "DELETE", "POST", "PUT"),
    ]
    assert registry.uploads == {}


@pytest.mark.parametrize("status", [404, 400, 416, 403])
def test_an_upload_that_the_registry_has_forgotten_begins_again(
    registry: FaultyRegistry, transport: Transport, blob: Blob, status: int
) -> None:
    registry.fail("PATCH", "/uploads/", swallow(1000))
    registry.fail("GET", "/uploads/", say(status))
    assert upload_blob(transport, registry.repository(), blob, chunk=600_000) is Outcome.SENT
    assert stored(registry, blob)
    assert steps(registry) == [
        *("POST", "PATCH 1000", "GET", "DELETE", "POST", "PATCH 600000", "PATCH 448576", "PUT"),
    ]


def test_more_than_there_is_to_send_begins_again(registry: FaultyRegistry, transport: Transport, blob: Blob) -> None:
    registry.fail("PUT", "/uploads/", swallow(1000))
    registry.fail("GET", "/uploads/", edit(Range=f"0-{len(DATA)}"))
    assert upload_blob(transport, registry.repository(), blob) is Outcome.SENT
    assert stored(registry, blob)


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_an_answer_that_is_lost_costs_nothing_or_little(
    registry: FaultyRegistry, transport: Transport, blob: Blob, method: str
) -> None:
    registry.fail(method, "/uploads/", lose)
    assert upload_blob(transport, registry.repository(), blob) is Outcome.SENT
    assert stored(registry, blob)
    assert len([step for step in steps(registry) if step.startswith("PUT")]) == 1


def test_the_answer_to_the_last_request_of_chunks_may_be_lost_too(
    registry: FaultyRegistry, transport: Transport, blob: Blob
) -> None:
    registry.fail("PUT", "/uploads/", lose)
    assert upload_blob(transport, registry.repository(), blob, chunk=600_000) is Outcome.SENT
    assert steps(registry) == ["POST", "PATCH 600000", "PATCH 448576", "PUT", "GET"]


def test_all_bytes_there_and_only_the_end_missing(registry: FaultyRegistry, transport: Transport, blob: Blob) -> None:
    registry.fail("PUT", "/uploads/", hang_up)
    assert upload_blob(transport, registry.repository(), blob, chunk=600_000) is Outcome.SENT
    assert stored(registry, blob)
    assert steps(registry) == ["POST", "PATCH 600000", "PATCH 448576", "PUT", "GET", "PUT"]


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_busy_registry_gets_it_later(registry: FaultyRegistry, client: Client, blob: Blob, status: int) -> None:
    registry.fail("PUT", "/uploads/", say(status, Retry_After="7"))
    assert upload_blob(client.transport, registry.repository(), blob) is Outcome.SENT
    assert stored(registry, blob)
    assert client.slept == [7.5]


def test_a_registry_that_stalls_is_left(registry: FaultyRegistry, blob: Blob) -> None:
    registry.fail("PUT", "/uploads/", stall)
    with connect(read=0.2) as client:
        assert upload_blob(client.transport, registry.repository(), blob) is Outcome.SENT
    assert stored(registry, blob)


def test_a_line_that_breaks_often_gets_the_blob_there_in_the_end(
    registry: FaultyRegistry, client: Client, blob: Blob
) -> None:
    registry.fail("PUT", "/uploads/", swallow(100_000))
    registry.fail("PATCH", "/uploads/", swallow(100_000), times=9)
    assert upload_blob(client.transport, registry.repository(), blob) is Outcome.SENT
    assert stored(registry, blob)
    assert client.slept == [0.5] * 10


def test_a_line_that_breaks_at_the_same_place_is_given_up(registry: FaultyRegistry, client: Client, blob: Blob) -> None:
    registry.fail("PUT", "/uploads/", swallow(1000))
    registry.fail("PATCH", "/uploads/", swallow(0), times=99)
    with pytest.raises(TemporaryError) as caught:
        upload_blob(client.transport, registry.repository(), blob)
    assert str(caught.value) == (
        f"{registry.repository()}: upload of {blob.digest}: {registry.host}: the connection broke"
    )
    assert len(steps(registry)) == 12


@pytest.mark.parametrize("said", [None, "", "0-0", "0-600000", "7-8", "all"])
def test_a_registry_that_does_not_say_how_much_it_took_is_asked(
    registry: FaultyRegistry, transport: Transport, blob: Blob, said: str | None
) -> None:
    registry.fail("PATCH", "/uploads/", edit(Range=said))
    assert upload_blob(transport, registry.repository(), blob, chunk=600_000) is Outcome.SENT
    assert steps(registry) == ["POST", "PATCH 600000", "GET", "PATCH 448576", "PUT"]


def test_a_registry_that_goes_back_is_asked(registry: FaultyRegistry, transport: Transport, blob: Blob) -> None:
    registry.fail("PATCH", "/uploads/", edit(Range="0-399999"), skip=1)
    assert upload_blob(transport, registry.repository(), blob, chunk=400_000) is Outcome.SENT
    assert steps(registry) == ["POST", "PATCH 400000", "PATCH 400000", "GET", "PATCH 248576", "PUT"]


def test_a_registry_that_took_a_part_of_a_chunk_gets_the_rest(
    registry: FaultyRegistry, transport: Transport, blob: Blob
) -> None:
    def take_some(exchange: Exchange) -> Reply | None:
        reply = exchange.handle()
        del registry.uploads["1"][300_000:]
        return Reply(reply.status, {**reply.headers, "Range": "0-299999"})

    registry.fail("PATCH", "/uploads/", take_some)
    assert upload_blob(transport, registry.repository(), blob, chunk=600_000) is Outcome.SENT
    assert steps(registry) == ["POST", "PATCH 600000", "PATCH 600000", "PATCH 148576", "PUT"]


@pytest.mark.parametrize("size", [1, 2])
def test_a_blob_of_a_byte_or_two_goes_in_chunks_too(
    registry: FaultyRegistry, client: Client, tmp_path: Path, size: int
) -> None:
    tiny = make(tmp_path, b"x" * size)
    assert upload_blob(client.transport, registry.repository(), tiny, chunk=9) is Outcome.SENT
    assert steps(registry) == ["POST", f"PATCH {size}", "PUT"]


def test_a_registry_that_never_says_what_it_took_is_given_up(
    registry: FaultyRegistry, client: Client, blob: Blob
) -> None:
    registry.fail("PATCH", "/uploads/", edit(Range=None), times=99)
    registry.fail("GET", "/uploads/", edit(Range="0-0"), times=99)
    with pytest.raises(TemporaryError) as caught:
        upload_blob(client.transport, registry.repository(), blob, chunk=600_000)
    assert str(caught.value) == (
        f"{registry.repository()}@{blob.digest}: sent bytes 0-599999, the registry says that it has nothing"
    )
    assert client.slept == [0.5, 1.0, 2.0, 4.0]


# What is refused


def test_a_denied_upload_is_not_tried_again(registry: FaultyRegistry, client: Client, blob: Blob) -> None:
    registry.fail("POST", "/uploads/", say(403, errors("DENIED", "read only")), times=9)
    with pytest.raises(DeniedError) as caught:
        upload_blob(client.transport, registry.repository(), blob)
    assert str(caught.value) == (
        f"{registry.repository()}: upload of {blob.digest}: got 403 Forbidden (DENIED: read only): this account may "
        f"not: ask for the right, or log in as another with `docker login {registry.host}`"
    )
    assert steps(registry) == ["POST"]
    assert client.slept == []


def test_an_upload_without_a_place_is_refused(registry: FaultyRegistry, transport: Transport, blob: Blob) -> None:
    registry.fail("POST", "/uploads/", edit(Location=None))
    with pytest.raises(RegistryError) as caught:
        upload_blob(transport, registry.repository(), blob)
    assert str(caught.value) == (
        f"{registry.repository()}@{blob.digest}: upload: the registry does not say where to (no Location)"
    )


def test_a_registry_that_stores_something_else_is_found_out(
    registry: FaultyRegistry, transport: Transport, blob: Blob
) -> None:
    registry.fail("PUT", "/uploads/", edit(Docker_Content_Digest=DIGEST))
    with pytest.raises(CorruptError) as caught:
        upload_blob(transport, registry.repository(), blob)
    assert str(caught.value) == f"{registry.repository()}@{blob.digest}: the registry stored {DIGEST}"


def test_a_file_that_is_not_its_digest_is_refused_by_the_registry(
    registry: FaultyRegistry, client: Client, blob: Blob
) -> None:
    blob.path.write_bytes(b"x" * len(DATA))
    with pytest.raises(RegistryError) as caught:
        upload_blob(client.transport, registry.repository(), blob)
    assert str(caught.value) == (
        f"{registry.repository()}: upload of {blob.digest}: got 400 Bad Request (DIGEST_INVALID: provided digest did "
        "not match uploaded content)"
    )
    assert client.slept == []


def test_a_file_of_another_size_is_not_sent(registry: FaultyRegistry, transport: Transport, blob: Blob) -> None:
    blob.path.write_bytes(DATA[:-1])
    with pytest.raises(RegistryError) as caught:
        upload_blob(transport, registry.repository(), blob)
    assert str(caught.value) == (
        f"{blob.path}: expected {len(DATA)} bytes, got {len(DATA) - 1}: the layout is damaged, build the image again"
    )
    assert steps(registry) == []


def test_a_file_that_is_gone_is_named(registry: FaultyRegistry, transport: Transport, blob: Blob) -> None:
    blob.path.unlink()
    with pytest.raises(RegistryError) as caught:
        upload_blob(transport, registry.repository(), blob)
    assert str(caught.value) == f"{blob.path}: cannot be read: No such file or directory"


def test_a_file_that_ends_while_it_is_sent_is_named(blob: Blob) -> None:
    with blob.path.open("rb") as file:
        part = FilePart(file, len(DATA) - 3, 5, lambda _: None)
        part.rewind()
        assert part.read(4) == DATA[-3:]
        with pytest.raises(RegistryError) as caught:
            part.read()
    assert str(caught.value) == f"{blob.path}: ended 2 bytes too soon: it was changed while it was sent"


def test_a_part_of_a_file_is_that_part_again_and_again(blob: Blob) -> None:
    told: list[int] = []
    with blob.path.open("rb") as file:
        part = FilePart(file, 3, 5, told.append)
        for _ in range(2):
            part.rewind()
            assert b"".join(part) == DATA[3:8]
        part.rewind()
        assert (len(part), part.read(2), part.read(), part.read()) == (5, DATA[3:5], DATA[5:8], b"")
    assert told == [3, 8, 3, 8, 3, 5, 8]


# Several at once


def test_several_blobs_are_sent_at_the_same_time_the_largest_first(
    registry: FaultyRegistry, transport: Transport, tmp_path: Path
) -> None:
    blobs = [make(tmp_path, bytes([number]) * 1000 * number) for number in range(1, 9)]
    registry.put_blob(blobs[2].path.read_bytes())
    registry.put_blob(blobs[4].path.read_bytes(), "base")
    together = threading.Barrier(3, timeout=5)

    def meet(exchange: Exchange) -> Reply | None:
        together.wait()
        return exchange.handle()

    registry.fail("POST", "uploads/$", meet, times=3)
    told: list[tuple[str, int, Outcome | None]] = []
    found = upload_blobs(
        transport,
        registry.repository(),
        [*blobs, blobs[0]],
        sources=[registry.repository("base")],
        workers=3,
        progress=lambda blob, sent, outcome: told.append((blob.digest, sent, outcome)),
    )
    assert list(found) == [blob.digest for blob in reversed(blobs)]
    assert list(found.values()) == [
        *(Outcome.SENT, Outcome.SENT, Outcome.SENT, Outcome.MOUNTED),
        *(Outcome.SENT, Outcome.PRESENT, Outcome.SENT, Outcome.SENT),
    ]
    assert all(stored(registry, blob) for blob in blobs)
    ends = {(digest, sent): outcome for digest, sent, outcome in told if outcome}
    assert ends == {(blob.digest, blob.size): found[blob.digest] for blob in blobs}
    assert [sent for digest, sent, _ in told if digest == blobs[7].digest] == [0, 8000, 8000]


def test_progress_goes_back_when_it_begins_again(registry: FaultyRegistry, transport: Transport, blob: Blob) -> None:
    registry.fail("PUT", "/uploads/", say(503))
    told: list[int] = []
    upload_blob(transport, registry.repository(), blob, progress=lambda _, sent, __: told.append(sent))
    assert told[0] == 0
    assert told.index(0, 1) > 1
    assert told[-1] == len(DATA)


def test_one_failure_stops_the_others(registry: FaultyRegistry, transport: Transport, tmp_path: Path) -> None:
    large, bad, *small = (make(tmp_path, bytes([number]) * size) for number, size in enumerate((32 << 20, 9, *[8] * 9)))
    begun, stopped = threading.Event(), threading.Event()

    def slowly(exchange: Exchange) -> Reply | None:
        exchange.read(1000)
        begun.set()
        stopped.wait(5)
        return exchange.handle()

    def deny(exchange: Exchange) -> Reply | None:
        begun.wait(5)
        return say(403)(exchange)

    registry.fail("PUT", large.digest[7:], slowly)
    registry.fail("PUT", bad.digest[7:], deny)
    seen: list[int] = []

    def tell(blob: Blob, sent: int, _: Outcome | None) -> None:
        if blob is large:
            seen.append(sent)

    # Below the registry's `slowly` the client fills the buffers and waits; it is to stop as soon as it may go on.
    release = threading.Timer(0.3, stopped.set)
    release.start()
    with pytest.raises(DeniedError):
        upload_blobs(transport, registry.repository(), [large, bad, *small], workers=2, progress=tell)
    release.join()
    assert seen
    assert seen[-1] < large.size
    assert large.digest not in registry.blobs[NAME]
    assert len([step for step in steps(registry) if step == "POST"]) < len(small)


def test_nothing_to_send_is_nothing(registry: FaultyRegistry, transport: Transport) -> None:
    assert upload_blobs(transport, registry.repository(), []) == {}
    assert registry.requests == []
