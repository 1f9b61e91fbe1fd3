"""Requests to registries with everything that is the same for all: who we are, retries, and refusals as errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from scripts.release.patience import Patience
from scripts.release.refusal import refusal
from scripts.release.tokens import Authorizer, join_scopes
from scripts.release.wire import Timeouts, Wire, origin_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from scripts.errors import RegistryError
    from scripts.release.credentials import Credential
    from scripts.release.refusal import Answer
    from scripts.release.wire import Request


class Transport:
    """What all verbs go through. Close it, or use it as a context; several threads may share it."""

    def __init__(
        self,
        *,
        credentials: Callable[[str], Credential | None],
        patience: Patience | None = None,
        timeouts: Timeouts | None = None,
        connections: int = 8,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        """A transport without connections yet.

        :param credentials: the credential for a registry; asked once for each, and only if the registry wants one.
        :param connections: to one host at the same time.
        :param warn: told what a registry warns of, each warning once.
        """
        self.patience = patience or Patience()
        self._wire = Wire(patience=self.patience, timeouts=timeouts or Timeouts(), connections=connections, warn=warn)
        self._authorizer = Authorizer(self._wire, credentials, self.patience.clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._wire.close()

    def request(self, request: Request, *scopes: str, expect: Collection[int] = (200,)) -> Answer:
        """Send a request, authenticated once if the registry wants it.

        :param scopes: leave that it needs, from ``tokens.scope``.
        :param expect: statuses that are an answer; all others are errors.
        :raises NotFoundError: 404
        :raises DeniedError: 401 after authentication, 403
        :raises UnsupportedError: 405, 501
        :raises TemporaryError: 429, 5xx and broken connections, after all retries.
        :raises RegistryError: everything else.
        """
        answer = self.ask(request, *scopes)
        if answer.status in expect:
            return answer
        raise self.refuse(request, answer)

    def ask(self, request: Request, *scopes: str) -> Answer:
        """As ``request``, but any status is an answer."""
        repository, wanted = request.repository, join_scopes(scopes)
        if origin_of(request.url) != origin_of(repository.origin):
            return self._wire.exchange(request, None)
        header = self._authorizer.header(repository, wanted)
        answer = self._wire.exchange(request, header)
        if answer.status != 401 or origin_of(answer.url) != origin_of(repository.origin):
            return answer
        challenge = answer.headers.get("WWW-Authenticate", "")
        if (new := self._authorizer.answer(repository, wanted, challenge, header)) is None:
            return answer
        return self._wire.exchange(request, new)

    def refuse(self, request: Request, answer: Answer) -> RegistryError:
        """The error that an answer is."""
        return refusal(
            self._authorizer.scrub(answer),
            request.repository,
            request.wanted,
            retry_after=self.patience.parse_retry_after(answer.headers.get("Retry-After")),
        )
