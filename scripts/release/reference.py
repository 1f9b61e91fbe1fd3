"""Names of what is in a registry: repositories, and the tags and digests in them, read once and then trusted.

Grammar: distribution-spec, "Pulling manifests", and github.com/distribution/reference. A name without a registry is
Docker Hub's, as everywhere else.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from scripts.errors import UsageError

DOCKER_HUB = "docker.io"
DOCKER_HUB_HOST = "registry-1.docker.io"
"""Docker Hub is the one registry whose name is not the host that serves it."""
NAME_LENGTH = 255
"""Characters of host and repository together: some clients refuse more (distribution-spec, "Pulling manifests")."""
_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_REGISTRY = re.compile(rf"(?P<host>{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{{1,5}}))?")


class MalformedError(UsageError):
    """A repository, tag or digest is not written as it must be."""


@dataclass(frozen=True, slots=True, order=True)
class Repository:
    """A repository in a registry: ``quay.io/vessl-ai/torch``."""

    registry: str
    """Host, with its port if it has one; ``docker.io`` for Docker Hub."""
    name: str
    insecure: bool = False
    """Plain HTTP although the registry is not on loopback."""

    def __str__(self) -> str:
        return f"{self.registry}/{self.name}"

    @property
    def origin(self) -> str:
        """Scheme and host of the registry's API: ``https://quay.io``. Plain HTTP on loopback only, unless told."""
        host = DOCKER_HUB_HOST if self.registry == DOCKER_HUB else self.registry
        return f"{'http' if self.insecure or is_loopback(self.registry) else 'https'}://{host}"

    @property
    def url(self) -> str:
        """Address of the repository, without a slash at the end; every endpoint starts with it."""
        return f"{self.origin}/v2/{self.name}"

    def tag(self, name: str) -> Tag:
        """A tag of this repository.

        :raises MalformedError: if it cannot be a tag.
        """
        _check(
            _TAG, name, f"{self}:{name}", "tag", "up to 128 letters, digits, '_', '.' and '-', the first no '.' or '-'"
        )
        return Tag(self, name)

    def digest(self, value: str) -> Digest:
        """Something in this repository by its digest.

        :raises MalformedError: if it is not a SHA-256 digest.
        """
        _check(_DIGEST, value, f"{self}@{value}", "digest", "sha256: and 64 hexadecimal digits in lower case")
        return Digest(self, value)


@dataclass(frozen=True, slots=True, order=True)
class Tag:
    """A name that may point to something else tomorrow: ``quay.io/vessl-ai/torch:2.3.1-cuda12.1``."""

    repository: Repository
    name: str

    def __str__(self) -> str:
        return f"{self.repository}:{self.name}"

    @property
    def identifier(self) -> str:
        """What stands for it in an address (``<reference>`` of the distribution-spec)."""
        return self.name


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A name that always means the same bytes: ``quay.io/vessl-ai/torch@sha256:...``."""

    repository: Repository
    value: str

    def __str__(self) -> str:
        return f"{self.repository}@{self.value}"

    @property
    def identifier(self) -> str:
        """What stands for it in an address (``<reference>`` of the distribution-spec)."""
        return self.value


Reference = Tag | Digest


def is_loopback(registry: str) -> bool:
    """Whether a registry (host, with or without port) is on this machine, so that plain HTTP to it tells nobody."""
    host = registry.partition("]")[0].removeprefix("[") if registry.startswith("[") else registry.partition(":")[0]
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_digest(value: str) -> bool:
    """Whether a text is a digest of the one algorithm that is used here, SHA-256."""
    return _DIGEST.fullmatch(value) is not None


def parse_repository(text: str, *, insecure: bool = False) -> Repository:
    """Read ``HOST[:PORT]/NAME``, or a name of Docker Hub: ``python``, ``user/image``.

    :param insecure: talk plain HTTP to it although it is not on loopback.
    :raises MalformedError: if it is no repository, or has a tag or a digest.
    """
    first, slash, rest = text.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        registry, name = _registry(first, text), rest
    else:
        registry, name = DOCKER_HUB, text
    if registry == DOCKER_HUB and name and "/" not in name:
        name = f"library/{name}"
    wanted = "lower-case letters and digits, separated by '.', '_', '__', '-' or '/'"
    _check(_NAME, name, text, "repository", wanted)
    if len(f"{registry}/{name}") > NAME_LENGTH:
        raise MalformedError(f"{text}: expected at most {NAME_LENGTH} characters, got {len(f'{registry}/{name}')}")
    return Repository(registry, name, insecure)


def parse_tag(text: str, *, insecure: bool = False) -> Tag:
    """Read ``REPOSITORY:TAG``; there is no default tag, since nothing here is ever called ``latest``.

    :raises MalformedError: if it is not that.
    """
    repository, colon, name = text.rpartition(":")
    if not colon or "/" in name:
        raise MalformedError(f"{text}: expected REPOSITORY:TAG, got no tag")
    return parse_repository(repository, insecure=insecure).tag(name)


def parse_digest(text: str, *, insecure: bool = False) -> Digest:
    """Read ``REPOSITORY@sha256:...``; a tag before the digest must be well-formed, and says nothing.

    :raises MalformedError: if it is not that.
    """
    name, at, value = text.partition("@")
    if not at:
        raise MalformedError(f"{text}: expected REPOSITORY@sha256:..., got no digest")
    tagged = ":" in name.rpartition("/")[2]
    repository = parse_tag(name, insecure=insecure).repository if tagged else parse_repository(name, insecure=insecure)
    return repository.digest(value)


def parse_reference(text: str, *, insecure: bool = False) -> Reference:
    """Read either.

    :raises MalformedError: if it is neither.
    """
    return (parse_digest if "@" in text else parse_tag)(text, insecure=insecure)


def _registry(host: str, text: str) -> str:
    wanted = "a host such as quay.io or localhost:5000, without scheme"
    match = _check(_REGISTRY, host, text, "registry", wanted)
    if match["host"].startswith("["):
        try:
            ipaddress.IPv6Address(match["host"].strip("[]"))
        except ValueError as error:
            raise MalformedError(f"{text}: registry: expected {wanted}, got {host!r}") from error
    if match["port"] and not 0 < int(match["port"]) < 65536:
        raise MalformedError(f"{text}: registry: expected a port from 1 to 65535, got {match['port']}")
    host = host.lower()
    return DOCKER_HUB if host in {"index.docker.io", DOCKER_HUB_HOST} else host


def _check(pattern: re.Pattern[str], value: str, text: str, part: str, wanted: str) -> re.Match[str]:
    """The match of one part of a text, or the sentence that says what it should have been."""
    match = pattern.fullmatch(value)
    if match is None:
        raise MalformedError(f"{text}: {part}: expected {wanted}, got {value!r}")
    return match
