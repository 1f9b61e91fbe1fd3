"""How a registry wants us to say who we are: the ``WWW-Authenticate`` header (RFC 9110, section 11.6.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - the RFC's name for a word
_PARAMETER = rf'(?P<key>{_TOKEN})\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>{_TOKEN}))'
# A scheme is a word that no "=" follows. After it, in place of parameters, there may be one blob (token68): skipped.
_SCHEME = rf"(?P<scheme>{_TOKEN})(?:\s+[A-Za-z0-9._~+/-]+=*(?=\s*(?:,|$)))?"
_PART = re.compile(rf"\s*,?\s*(?:{_PARAMETER}|{_SCHEME})")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to authenticate; ``scheme`` and the parameters' names in lower case."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Read the header's challenges in their order; whatever is malformed ends the reading there."""
    found: list[tuple[str, dict[str, str]]] = []
    position = 0
    while match := _PART.match(header, position):
        position = match.end()
        if match["scheme"]:
            found.append((match["scheme"].lower(), {}))
        elif found:
            value = match["bare"] if match["quoted"] is None else re.sub(r"\\(.)", r"\1", match["quoted"])
            found[-1][1][match["key"].lower()] = value
    return tuple(Challenge(scheme, parameters) for scheme, parameters in found)
