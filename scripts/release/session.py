"""One upload of one blob: started, filled whole or in chunks, asked how far it came, and finished.

distribution-spec, "Pushing blobs".
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlencode

from scripts.errors import RegistryError
from scripts.release.reference import is_digest
from scripts.release.refusal import CorruptError, TemporaryError
from scripts.release.tokens import scope
from scripts.release.wire import BLOCK, Request, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from scripts.release.reference import Digest, Repository
    from scripts.release.refusal import Answer
    from scripts.release.transport import Transport
    from scripts.release.wire import Stream

_RANGE = re.compile(r"(?:bytes=)?0-(?P<last>[0-9]+)")


class FilePart:
    """A part of a file, read as it is sent, and never as a whole."""

    def __init__(self, file: BinaryIO, start: int, length: int, told: Callable[[int], None]) -> None:
        """``told`` is called with the number of bytes of the file that have been read, before each block is sent."""
        self._file = file
        self._start = start
        self._length = length
        self._position = 0
        self._told = told

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read(BLOCK):
            yield block

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, nothing at the end."""
        left = self._length - self._position
        self._told(self._start + self._position)
        block = self._file.read(left if size < 0 else min(size, left))
        if not block and left:
            raise RegistryError(f"{self._file.name}: ended {left} bytes too soon: it was changed while it was sent")
        self._position += len(block)
        return block

    def rewind(self) -> None:
        """Go back to the start of the part, to be sent again."""
        self._file.seek(self._start)
        self._position = 0


class Session:
    """An upload that a registry has begun to take.

    ``offset`` is the number of bytes that it has; it is None when nobody can tell, and then only ``ask`` may follow.
    """

    def __init__(self, transport: Transport, blob: Digest, answer: Answer) -> None:
        self._transport = transport
        self._blob = blob
        self.offset: int | None = 0
        minimum = answer.headers.get("OCI-Chunk-Min-Length", "")
        self.chunk_minimum = int(minimum) if minimum.isdecimal() else 0
        """Bytes that every chunk but the last must have."""
        self._url = ""
        self._move(answer)

    def send_whole(self, part: Stream | bytes) -> None:
        """Everything in one request ("POST then PUT")."""
        self.offset = None
        self._finish(part)

    def send_chunk(self, part: Stream | bytes) -> None:
        """The bytes that follow those which the registry has; afterwards it says how many it took."""
        start, self.offset = self.offset or 0, None
        end = start + len(part) - 1
        headers = {"Content-Range": f"{start}-{end}", "Content-Type": "application/octet-stream"}
        answer = self._request("PATCH", self._url, part, headers, expect=(200, 202, 204))
        self._move(answer)
        took = _parse_range(answer)
        if took is None or not start < took <= end + 1 or (took == 1 and end):
            said = answer.headers.get("Range") or "nothing"
            raise TemporaryError(f"{self._blob}: sent bytes {start}-{end}, the registry says that it has {said}")
        self.offset = took

    def finish(self) -> None:
        """All bytes are there: make a blob of them."""
        self.offset = None
        self._finish(b"")

    def ask(self) -> bool:
        """Learn how far the upload came; False if it cannot go on.

        ``Range: 0-0`` means one byte, or with some registries none: a doubt that one byte is not worth.
        """
        try:
            answer = self._request("GET", self._url, b"", {}, expect=(200, 204), retry=True)
        except RegistryError:
            return False
        self._move(answer)
        self.offset = _parse_range(answer)
        return self.offset is not None and self.offset > 1

    def cancel(self) -> None:
        """Let the registry forget what it has of it; if it does not, it forgets by itself one day."""
        with contextlib.suppress(RegistryError):
            self._request("DELETE", self._url, b"", {}, expect=(200, 202, 204))

    def _finish(self, body: Stream | bytes) -> None:
        url = f"{self._url}{'&' if '?' in self._url else '?'}{urlencode({'digest': self._blob.value})}"
        answer = self._request("PUT", url, body, {"Content-Type": "application/octet-stream"}, expect=(200, 201, 204))
        check_stored(self._blob, answer)

    def _move(self, answer: Answer) -> None:
        """The next request goes where the last answer says; the address is the registry's affair, query and all."""
        location = answer.headers.get("Location", "")
        if not location and not self._url:
            raise RegistryError(f"{self._blob}: upload: the registry does not say where to (no Location)")
        if location:
            self._url = resolve(self._blob.repository, f"upload of {self._blob.value}", answer.url, location)

    def _request(
        self,
        method: str,
        url: str,
        body: Stream | bytes,
        headers: Mapping[str, str],
        *,
        expect: tuple[int, ...],
        retry: bool = False,
    ) -> Answer:
        request = Request(
            repository=self._blob.repository,
            wanted=f"upload of {self._blob.value}",
            method=method,
            url=url,
            headers=headers,
            body=body,
            retry=retry,
        )
        return self._transport.request(request, scope(self._blob.repository, "pull", "push"), expect=expect)


def start(transport: Transport, blob: Digest) -> Session:
    """Begin an upload."""
    answer = transport.request(
        _post(blob, f"{blob.repository.url}/blobs/uploads/"), scope(blob.repository, "pull", "push"), expect=(202,)
    )
    return Session(transport, blob, answer)


def mount(transport: Transport, blob: Digest, source: Repository) -> Session | None:
    """Let the registry take a blob from another of its repositories; None if it did ("Mounting a blob").

    :returns: the upload that the registry began in place of it.
    :raises RegistryError: if the registry knows no mounts, or we may not read the source.
    """
    query = urlencode({"mount": blob.value, "from": source.name})
    scopes = (scope(blob.repository, "pull", "push"), scope(source, "pull"))
    request = _post(blob, f"{blob.repository.url}/blobs/uploads/?{query}")
    answer = transport.request(request, *scopes, expect=(201, 202))
    if answer.status == 202:
        return Session(transport, blob, answer)
    check_stored(blob, answer)
    return None


def check_stored(blob: Digest, answer: Answer) -> None:
    """Refuse an answer that names another digest than the one that was to be stored."""
    said = answer.headers.get("Docker-Content-Digest", "")
    if is_digest(said) and said != blob.value:
        raise CorruptError(f"{blob}: the registry stored {said}")


def _post(blob: Digest, url: str) -> Request:
    return Request(repository=blob.repository, wanted=f"upload of {blob.value}", method="POST", url=url)


def _parse_range(answer: Answer) -> int | None:
    """Bytes that the registry has: one more than the last that it names."""
    match = _RANGE.fullmatch(answer.headers.get("Range", "").strip())
    return int(match["last"]) + 1 if match else None
