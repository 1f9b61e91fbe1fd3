"""What we show a registry with a request: a name and password, or a token for just what the request needs.

https://distribution.github.io/distribution/spec/auth/token/ and .../oauth/. A token is for one repository and a few
actions, is kept until shortly before it ends, and is fetched once however many threads want it.
"""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from scripts.errors import RegistryError
from scripts.release.challenge import Challenge, parse_challenges
from scripts.release.refusal import DeniedError, place, refusal
from scripts.release.wire import Request, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from scripts.release.credentials import Credential
    from scripts.release.reference import Repository
    from scripts.release.refusal import Answer
    from scripts.release.wire import Wire

LIFETIME = 60.0
"""Seconds that a token lasts when its server does not say."""
MARGIN = 0.1
"""Part of its life at the end of which a token is not used any more."""

Scopes = tuple[str, ...]


def scope(repository: Repository, *actions: str) -> str:
    """Leave to do something in a repository: ``repository:vessl-ai/torch:pull,push``."""
    return f"repository:{repository.name}:{','.join(actions)}"


def join_scopes(scopes: Iterable[str]) -> Scopes:
    """Scopes with one for each resource, which has the actions of all."""
    actions: dict[str, dict[str, None]] = {}
    for item in scopes:
        resource, _, names = item.rpartition(":")
        actions.setdefault(resource, {}).update(dict.fromkeys(names.split(",")))
    return tuple(f"{resource}:{','.join(names)}" for resource, names in actions.items())


@dataclass(frozen=True, slots=True)
class _Token:
    header: str
    end: float


@dataclass(slots=True)
class _Known:
    """What is known of one registry."""

    credential: Credential | None
    basic: str | None = None
    bearer: Challenge | None = None
    tokens: dict[Scopes, _Token] = field(default_factory=dict)


class Authorizer:
    """Headers for requests to any number of registries; for several threads at once."""

    def __init__(self, wire: Wire, credentials: Callable[[str], Credential | None], clock: Callable[[], float]) -> None:
        self._wire = wire
        self._credentials = credentials
        self._clock = clock
        self._lock = threading.RLock()
        self._known: dict[str, _Known] = {}
        self._secrets: set[str] = set()

    def header(self, repository: Repository, scopes: Scopes) -> str | None:
        """The ``Authorization`` to send at once: None until the registry has said what it wants.

        :raises RegistryError: if a token is needed and cannot be had.
        """
        with self._lock:
            known = self._known.get(repository.origin)
            if known is None or known.basic:
                return known.basic if known else None
            token = known.tokens.get(scopes)
            if token is None or token.end <= self._clock():
                return self._fetch(repository, known, scopes) if known.bearer else None
            return token.header

    def answer(self, repository: Repository, scopes: Scopes, challenge: str, refused: str | None) -> str | None:
        """The ``Authorization`` to try after a 401, or None where there is nothing else to show.

        :param challenge: the ``WWW-Authenticate`` that came with it.
        :param refused: the header that was sent.
        :raises DeniedError: if the registry's token server refuses our credential.
        :raises RegistryError: if a token cannot be had for another reason.
        """
        challenges = {item.scheme: item for item in reversed(parse_challenges(challenge))}
        with self._lock:
            known = self._known.get(repository.origin)
            if known is None:
                known = self._known[repository.origin] = _Known(self._credentials(repository.registry))
            if "bearer" in challenges:
                token = known.tokens.pop(scopes, None)
                if token and token.header != refused:  # another thread has been here since
                    known.tokens[scopes] = token
                    return token.header
                known.bearer = challenges["bearer"]
                return self._fetch(repository, known, scopes)
            if "basic" in challenges and known.credential and known.credential.password:
                known.basic = self._basic(known.credential)
                return known.basic if known.basic != refused else None
            return None

    def scrub(self, answer: Answer) -> Answer:
        """An answer without our secrets in its body, should the other side have sent them back."""
        body = answer.body
        for secret in self._secrets:
            body = body.replace(secret.encode(), b"***")
        return replace(answer, body=body)

    def _basic(self, credential: Credential) -> str:
        encoded = base64.b64encode(f"{credential.username}:{credential.password}".encode()).decode()
        self._secrets |= {credential.password, encoded}
        return f"Basic {encoded}"

    def _fetch(self, repository: Repository, known: _Known, scopes: Scopes) -> str:
        challenge = known.bearer or Challenge("bearer")
        realm = resolve(repository, "login", repository.origin, challenge.parameters.get("realm", ""))
        if "realm" not in challenge.parameters or not realm.startswith(("https://", "http://")):
            raise RegistryError(f"{repository}: login: the registry names no token server to log in at")
        all_scopes = join_scopes([*scopes, *challenge.parameters.get("scope", "").split()])
        answer = self._ask(repository, known.credential, realm, challenge.parameters.get("service", ""), all_scopes)
        if answer.status in {401, 403}:
            who = f"the credential of {repository.registry}" if known.credential else "a request without credential"
            raise DeniedError(
                f"{repository}: login: {place(realm)} refused {who}: log in with `docker login {repository.registry}`"
            )
        if answer.status != 200:
            raise refusal(self.scrub(answer), repository, "login")
        token = _parse_token(answer.body)
        if not token:
            raise RegistryError(f"{repository}: login: {place(realm)} gave no token")
        value, lifetime = token
        self._secrets.add(value)
        header = f"Bearer {value}"
        known.tokens[scopes] = _Token(header, self._clock() + lifetime * (1 - MARGIN))
        return header

    def _ask(
        self, repository: Repository, credential: Credential | None, realm: str, service: str, scopes: Scopes
    ) -> Answer:
        """Ask the token server: with an identity token by POST (OAuth 2), else by GET, with a password if we have one."""
        fields: list[tuple[str, str]] = [("service", service)] if service else []
        if credential and credential.identity_token:
            self._secrets.add(credential.identity_token)
            form = {
                "grant_type": "refresh_token",
                "client_id": "images",
                "refresh_token": credential.identity_token,
                "scope": " ".join(scopes),
                **dict(fields),
            }
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            request = Request(
                repository=repository,
                wanted="login",
                method="POST",
                url=realm,
                headers=kind,
                body=urlencode(form).encode(),
            )
            return self._wire.exchange(request, None)
        query = urlencode([*fields, *(("scope", item) for item in scopes)])
        url = f"{realm}{'&' if '?' in realm else '?'}{query}"
        basic = self._basic(credential) if credential and credential.password else None
        return self._wire.exchange(Request(repository=repository, wanted="login", method="GET", url=url), basic)


def _parse_token(body: bytes) -> tuple[str, float] | None:
    """The token and its life in seconds; ``access_token`` is OAuth's name of the same."""
    try:
        answer: Mapping[str, object] = json.loads(body)
        token = answer.get("token") or answer.get("access_token")
        lifetime = answer.get("expires_in")
    except (ValueError, AttributeError):
        return None
    if not isinstance(token, str) or not token:
        return None
    return token, float(lifetime) if isinstance(lifetime, int | float) and lifetime > 0 else LIFETIME
