"""What a registry says no with, as errors that a caller can tell apart and a person can act on.

distribution-spec, "Error Codes". Every message: the repository, what was wanted, what came back, what to do.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from scripts.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.release.reference import Repository

TEXT_LENGTH = 300
"""Characters of a registry's own words that are passed on."""


class NotFoundError(RegistryError):
    """It is not there (404)."""

    def __init__(self, message: str, *, codes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.codes = codes
        """What the registry named as the reason; none means that the answer was hardly a registry's."""


class DeniedError(RegistryError):
    """We may not (401 after authentication, 403)."""


class TakenError(RegistryError):
    """A tag that the registry keeps immutable has something already (409, or what this registry says instead)."""


class UnsupportedError(RegistryError):
    """The registry cannot do it, or was set up not to (405, 501)."""


class CorruptError(RegistryError):
    """What came is not what its digest says."""


class TemporaryError(RegistryError):
    """Too busy (429), failing (5xx), or not to be reached, and still so after all retries."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds that the registry asked to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back to a request."""

    status: int
    headers: Mapping[str, str]
    """By name, whatever its case."""
    body: bytes
    url: str
    """Where it came from, after redirects."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """The errors that a registry names: their codes, and all of it in one line."""

    codes: tuple[str, ...]
    text: str


def parse_complaint(body: bytes) -> Complaint:
    """Read the body of a refusal; anything but the spec's form has no codes and no text."""
    try:
        errors = json.loads(body)["errors"]
        found = [(str(error.get("code", "")), str(error.get("message") or "")) for error in errors]
    except (ValueError, KeyError, TypeError, AttributeError):
        return Complaint((), "")
    text = "; ".join(": ".join(filter(None, pair)) for pair in found)
    return Complaint(tuple(code for code, _ in found), printable(text))


def printable(text: str) -> str:
    """Words of a stranger as one line of bounded length that can do nothing to a terminal."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= TEXT_LENGTH else f"{line[:TEXT_LENGTH]}..."


def place(url: str) -> str:
    """An address without its query, which may hold a signature, and without a user's name and password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def refusal(answer: Answer, repository: Repository, wanted: str, *, retry_after: float | None = None) -> RegistryError:
    """The error that an answer is.

    :param wanted: what was asked for, as a noun: ``manifest of 3.11-r14``.
    :param retry_after: seconds that the registry asked to wait.
    """
    complaint = parse_complaint(answer.body)
    said = f" ({complaint.text})" if complaint.text else ""
    host = urlsplit(answer.url).netloc
    elsewhere = f" from {host}" if host != urlsplit(repository.origin).netloc else ""
    start = f"{repository}: {wanted}: got {_status(answer.status)}{said}{elsewhere}"
    login = f"`docker login {repository.registry}`"
    if "UNSUPPORTED" in complaint.codes:
        return UnsupportedError(f"{start}: {_UNSUPPORTED}")
    if answer.status == 429:
        when = "later" if retry_after is None else f"in {retry_after:.0f} s"
        return TemporaryError(f"{start}: too many requests; try again {when}", retry_after=retry_after)
    if answer.status >= 500 and answer.status != 501:
        return TemporaryError(f"{start}: the registry fails; try again later", retry_after=retry_after)
    if answer.status == 404:
        return NotFoundError(f"{start}: check the name, and that it was pushed", codes=complaint.codes)
    kind, advice = _KINDS.get(answer.status, (RegistryError, ""))
    return kind(start + (f": {advice.format(login=login)}" if advice else ""))


_UNSUPPORTED = "this registry does not do that, or is set up not to"
_KINDS: Mapping[int, tuple[type[RegistryError], str]] = {
    401: (DeniedError, "log in with {login}"),
    403: (DeniedError, "this account may not: ask for the right, or log in as another with {login}"),
    405: (UnsupportedError, _UNSUPPORTED),
    413: (RegistryError, "a proxy in front of it limits the size of a request: raise that, or send in chunks"),
    501: (UnsupportedError, _UNSUPPORTED),
}


def is_immutable(answer: Answer) -> bool:
    """Whether a refused PUT of a tag means that the tag has something already and never gets anything else.

    No code is agreed on. 409: quay and the cloud registries; Harbor: 412; ECR: 400 with TAG_INVALID. The others that
    have such a rule say so in words.
    """
    complaint = parse_complaint(answer.body)
    words = complaint.text.lower()
    codes = {"TAG_IMMUTABLE", "IMAGETAGALREADYEXISTSEXCEPTION"}
    named = any(code.upper() in codes for code in complaint.codes) or "immutable" in words or "already exists" in words
    return answer.status == 409 or (answer.status in {400, 403, 412} and named)


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
