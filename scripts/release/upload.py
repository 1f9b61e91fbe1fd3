"""Blobs into a registry: not those that it has, by a mount where it can be, else streamed from the disk.

An upload that breaks goes on where it broke if the registry knows where that was, else from the start.
"""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, BinaryIO

from scripts.errors import RegistryError
from scripts.release.refusal import TemporaryError
from scripts.release.registry import has_blob
from scripts.release.session import FilePart, Session, mount, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from scripts.release.reference import Digest, Repository
    from scripts.release.transport import Transport
    from scripts.release.wire import Stream

WORKERS = 4
"""Uploads at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A blob on the disk: a file of an OCI layout."""

    digest: str
    size: int
    path: Path


class Outcome(StrEnum):
    """How a blob came to be in the repository."""

    PRESENT = "present"
    MOUNTED = "mounted"
    SENT = "sent"


class _StoppedError(Exception):
    """Another upload has failed, so this one is not needed any more."""


def upload_blobs(
    transport: Transport,
    repository: Repository,
    blobs: Iterable[Blob],
    *,
    sources: Sequence[Repository] = (),
    workers: int = WORKERS,
    chunk: int | None = None,
    progress: Callable[[Blob, int, Outcome | None], None] = lambda *_: None,
) -> Mapping[str, Outcome]:
    """Upload several blobs at the same time, each digest once, the largest first; gives what became of each.

    :param sources: repositories that may have a blob already; those of other registries are passed over.
    :param chunk: bytes of a request; None sends each blob in one, which every registry takes.
    :param progress: told of a blob, its bytes sent so far (fewer than before after a fresh start), and at its end the
        outcome. Called by one thread at a time.
    :raises RegistryError: the first failure; the other uploads are stopped.
    """
    wanted = sorted({blob.digest: blob for blob in blobs}.values(), key=lambda blob: -blob.size)
    stop, lock = threading.Event(), threading.Lock()

    def tell(blob: Blob, sent: int, outcome: Outcome | None) -> None:
        if stop.is_set():
            raise _StoppedError
        with lock:
            progress(blob, sent, outcome)

    def send(blob: Blob) -> Outcome:
        return upload_blob(transport, repository, blob, sources=sources, chunk=chunk, progress=tell)

    return _in_parallel(send, wanted, workers, stop)


def _in_parallel(
    send: Callable[[Blob], Outcome], blobs: Sequence[Blob], workers: int, stop: threading.Event
) -> dict[str, Outcome]:
    """What ``send`` gives for each blob; the first failure stops the others.

    Threads of our own and no pool: Ctrl-C would wait in a pool for requests that a registry has stopped answering.
    """
    todo, done = queue.SimpleQueue[Blob](), queue.SimpleQueue[tuple[Blob, Outcome | BaseException]]()
    for blob in blobs:
        todo.put(blob)

    def work() -> None:
        with suppress(queue.Empty):
            while not stop.is_set():
                blob = todo.get_nowait()
                try:
                    done.put((blob, send(blob)))
                except BaseException as error:  # noqa: BLE001 - it is raised where it was asked for
                    done.put((blob, error))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(workers, len(blobs)))]
    for thread in threads:
        thread.start()
    outcomes: dict[str, Outcome] = {}
    try:
        for _ in blobs:
            blob, outcome = done.get()
            if isinstance(outcome, BaseException):
                stop.set()
                for thread in threads:
                    thread.join()
                raise outcome
            outcomes[blob.digest] = outcome
    finally:
        stop.set()
    return {blob.digest: outcomes[blob.digest] for blob in blobs}


def upload_blob(
    transport: Transport,
    repository: Repository,
    blob: Blob,
    *,
    sources: Sequence[Repository] = (),
    chunk: int | None = None,
    progress: Callable[[Blob, int, Outcome | None], None] = lambda *_: None,
) -> Outcome:
    """See to it that a blob is in a repository; parameters as those of ``upload_blobs``.

    :raises CorruptError: if the file, or what the registry has under its digest, is not the blob.
    :raises TemporaryError: if the connection breaks again and again.
    :raises RegistryError: if the registry refuses it.
    """
    target = repository.digest(blob.digest)
    if has_blob(transport, target, size=blob.size):
        outcome = Outcome.PRESENT
    else:
        session, mounted = _mount_from(transport, target, sources)
        outcome = Outcome.MOUNTED if mounted else Outcome.SENT
        if not mounted:
            _Upload(transport, target, blob, chunk, progress).run(session)
    progress(blob, blob.size, outcome)
    return outcome


def _mount_from(transport: Transport, target: Digest, sources: Sequence[Repository]) -> tuple[Session | None, bool]:
    """Try a mount from the first source that has the blob: a mount from one that has not begins an upload each time."""
    for source in sources:
        if source == target.repository or source.registry != target.repository.registry:
            continue
        try:
            if has_blob(transport, source.digest(target.value)):
                session = mount(transport, target, source)
                return session, session is None
        except RegistryError:
            continue  # a source is a favour: where there is none, we send
    return None, False


class _Upload:
    """The sending of one blob, as often as it takes."""

    def __init__(
        self,
        transport: Transport,
        target: Digest,
        blob: Blob,
        chunk: int | None,
        progress: Callable[[Blob, int, Outcome | None], None],
    ) -> None:
        self.transport = transport
        self.target = target
        self.blob = blob
        self.chunk = chunk
        self.progress = progress

    def run(self, session: Session | None) -> None:
        try:
            with self.blob.path.open("rb") as file:
                found = file.seek(0, 2)
                if found != self.blob.size:
                    raise RegistryError(
                        f"{self.blob.path}: expected {self.blob.size} bytes, got {found}: the layout is damaged, build "
                        f"the image again"
                    )
                self._send(file, session)
        except OSError as error:
            raise RegistryError(f"{self.blob.path}: cannot be read: {error.strerror}") from error

    def _send(self, file: BinaryIO, session: Session | None) -> None:
        attempt, reached = 0, 0
        while True:
            attempt += 1
            try:
                session = session or start(self.transport, self.target)
                self._fill(file, session)
            except TemporaryError as error:
                if not self.transport.patience.wait(attempt, error.retry_after):
                    raise
            else:
                return
            if session and not (session.ask() and (session.offset or 0) <= self.blob.size):
                # What broke may have been no more than the answer to the last request.
                if has_blob(self.transport, self.target, size=self.blob.size):
                    return
                session.cancel()
                session = None
            if session and (session.offset or 0) > reached:
                # A step forward is a new start for patience: large blobs over bad lines arrive in the end.
                attempt, reached = 0, session.offset or 0

    def _fill(self, file: BinaryIO, session: Session) -> None:
        if self.chunk is None and session.offset == 0:
            session.send_whole(self._part(file, 0, self.blob.size))
            return
        step = max(self.chunk or self.blob.size, session.chunk_minimum)
        while (offset := session.offset or 0) < self.blob.size:
            session.send_chunk(self._part(file, offset, min(step, self.blob.size - offset)))
        session.finish()

    def _part(self, file: BinaryIO, first: int, length: int) -> Stream | bytes:
        # An empty stream would go out with a chunked transfer coding, which not every registry takes.
        return FilePart(file, first, length, lambda sent: self.progress(self.blob, sent, None)) if length else b""
