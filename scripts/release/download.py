"""Blobs out of a registry: streamed, taken up again where the connection broke, and checked against their digest.

distribution-spec, "Pulling blobs"; ranges: RFC 9110, section 14.
"""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, BinaryIO

from scripts.errors import RegistryError
from scripts.release.reference import is_digest
from scripts.release.refusal import CorruptError, TemporaryError
from scripts.release.tokens import scope
from scripts.release.wire import Request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.release.reference import Digest
    from scripts.release.refusal import Answer
    from scripts.release.transport import Transport

BLOB_LIMIT = 16 * 1024 * 1024
"""Bytes of a blob that ``get_blob`` takes into memory: image configs and small artifacts, never layers."""


class _Copy:
    """As much of a blob as has come."""

    def __init__(self, blob: Digest, target: BinaryIO, limit: int | None) -> None:
        self.blob = blob
        self.target = target
        self.limit = limit
        self.done = 0
        self.hash = hashlib.sha256()

    def take(self, answer: Answer, blocks: Iterator[bytes]) -> None:
        said = answer.headers.get("Docker-Content-Digest", "")
        if is_digest(said) and said != self.blob.value:
            raise CorruptError(f"{self.blob}: the registry calls it {said}")
        skip = self.done  # a registry that knows no ranges starts from the beginning
        if answer.status == 206:
            start = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
            if start != str(self.done):
                raise RegistryError(f"{self.blob}: asked for it from byte {self.done}, got it from {start or '?'}")
            skip = 0
        for block in blocks:
            new = block[skip:]
            skip = max(0, skip - len(block))
            if self.limit is not None and self.done + len(new) > self.limit:
                raise RegistryError(f"{self.blob}: expected at most {self.limit} bytes, got more")
            self.target.write(new)
            self.hash.update(new)
            self.done += len(new)


def copy_blob(transport: Transport, blob: Digest, target: BinaryIO, *, limit: int | None = None) -> int:
    """Write a blob to a file that is open for writing; gives its size in bytes.

    :param limit: bytes that it may have.
    :raises NotFoundError: if it is not in the repository.
    :raises CorruptError: if it is not what its digest says; the file then has bytes that are no good.
    :raises TemporaryError: if the connection breaks again and again.
    """
    copy = _Copy(blob, target, limit)
    attempt = 0
    while True:
        before = copy.done
        request = Request(
            repository=blob.repository,
            wanted=f"blob {blob.value}",
            method="GET",
            url=f"{blob.repository.url}/blobs/{blob.value}",
            headers={"Range": f"bytes={before}-"} if before else {},
            sink=copy.take,
            retry=False,
        )
        try:
            # 416: the connection broke after the last byte, so there is no more to have.
            transport.request(request, scope(blob.repository, "pull"), expect=(200, 206, 416) if before else (200,))
            break
        except TemporaryError as error:
            attempt = 1 if copy.done > before else attempt + 1
            if not transport.patience.wait(attempt, error.retry_after):
                raise
    if (found := f"sha256:{copy.hash.hexdigest()}") != blob.value:
        raise CorruptError(f"{blob}: what the registry sent, {copy.done} bytes, is {found}")
    return copy.done


def get_blob(transport: Transport, blob: Digest, *, limit: int = BLOB_LIMIT) -> bytes:
    """A small blob, whole; raises as ``copy_blob`` does."""
    target = io.BytesIO()
    copy_blob(transport, blob, target, limit=limit)
    return target.getvalue()
