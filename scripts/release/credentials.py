"""Who we are to a registry: read from the places that ``docker login`` writes to, and nowhere else.

https://docs.docker.com/reference/cli/docker/login/ and github.com/docker/docker-credential-helpers. No secret is ever
part of a message, nor of the ``repr`` of anything here.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.errors import RegistryError
from scripts.release.reference import DOCKER_HUB, DOCKER_HUB_HOST

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCKER_HUB_KEY = "https://index.docker.io/v1/"
"""What ``docker login`` files Docker Hub under."""
TOKEN_USER = "<token>"  # noqa: S105 - the name by which a helper says that its secret is an identity token
# Some helpers ask the person at the keyboard.
HELPER_TIMEOUT = 60.0
NOT_FOUND = "credentials not found"


class CredentialError(RegistryError):
    """The places that docker keeps credentials in cannot be read; without them nothing could be pushed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A name and a password, or an identity token in place of both."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


def find_credential(registry: str, environment: Mapping[str, str]) -> Credential | None:
    """The credential for a registry, or None where there is none: then everything is asked for without.

    In docker's order: the registry's own helper (``credHelpers``), the store of all (``credsStore``), the file itself.

    :param registry: host, with its port if it has one; ``docker.io`` for Docker Hub.
    :param environment: ``DOCKER_CONFIG``, ``HOME``, and what a helper needs (``PATH``).
    :raises CredentialError: if the file or the helper it names cannot be used.
    """
    path = config_path(environment)
    config = _load(path)
    names = _names(registry)
    helpers = _table(config, "credHelpers", path)
    helper = next((helpers[name] for name in names if name in helpers), config.get("credsStore"))
    if helper:
        key = DOCKER_HUB_KEY if registry == DOCKER_HUB else registry
        if found := _ask_helper(str(helper), key, environment, path):
            return found
    entries = _table(config, "auths", path)
    by_host = {_host(key): key for key in reversed(entries)}
    keys = [name for name in names if name in entries] + [by_host[name] for name in names if name in by_host]
    return _read_entry(entries[keys[0]], f"{path}: auths[{json.dumps(keys[0])}]") if keys else None


def config_path(environment: Mapping[str, str]) -> Path:
    """Docker's configuration file, whether it is there or not."""
    if directory := environment.get("DOCKER_CONFIG"):
        return Path(directory) / "config.json"
    return Path(environment.get("HOME") or Path.home()) / ".docker" / "config.json"


def _names(registry: str) -> tuple[str, ...]:
    """What a registry may be called in the file, the name that docker writes first."""
    return (DOCKER_HUB_KEY, "index.docker.io", DOCKER_HUB, DOCKER_HUB_HOST) if registry == DOCKER_HUB else (registry,)


def _host(key: str) -> str:
    """The host of a key, which older clients wrote as an address."""
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _load(path: Path) -> Mapping[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise CredentialError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CredentialError(f"{path}: expected JSON, got something that is not UTF-8") from error
    except json.JSONDecodeError as error:
        # Without the chain: the error holds the text, and the text holds passwords.
        raise CredentialError(f"{path}:{error.lineno}: expected JSON: {error.msg} (column {error.colno})") from None
    if not isinstance(config, dict):
        raise CredentialError(f"{path}: expected a JSON object, got {type(config).__name__}")
    return config


def _table(config: Mapping[str, Any], key: str, path: Path) -> dict[str, Any]:
    table = config.get(key) or {}
    if not isinstance(table, dict):
        raise CredentialError(f"{path}: {key}: expected an object, got {type(table).__name__}")
    return table


def _read_entry(entry: Any, where: str) -> Credential | None:
    """An entry of ``auths``: ``auth`` is the base64 of NAME:PASSWORD, and older files have the two in the clear."""
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key, ""), str) for key in _KEYS):
        raise CredentialError(f"{where}: expected an object of strings ({', '.join(_KEYS)})")
    username, password = entry.get("username", ""), entry.get("password", "")
    if entry.get("auth"):
        try:
            decoded = base64.b64decode(entry["auth"], validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise CredentialError(f"{where}: auth: expected the base64 of NAME:PASSWORD") from None
        username, colon, password = decoded.partition(":")
        if not colon:
            raise CredentialError(f"{where}: auth: expected the base64 of NAME:PASSWORD")
        password = password.rstrip("\0")
    if token := entry.get("identitytoken", ""):
        return Credential(username=username, identity_token=token)
    return Credential(username=username, password=password) if username else None


_KEYS = ("auth", "username", "password", "identitytoken")


def _ask_helper(helper: str, key: str, environment: Mapping[str, str], path: Path) -> Credential | None:
    """``docker-credential-NAME get``: the registry on stdin, and an object or a complaint on stdout."""
    program = f"docker-credential-{helper}"
    told = f"(named in {path})"
    # On the PATH that was passed in, not on our own.
    if (found := shutil.which(program, path=environment.get("PATH", os.defpath))) is None:
        raise CredentialError(f"{program} {told} is not on PATH: install it, or take the name out of the file")
    try:
        done = subprocess.run(
            [found, "get"],
            input=key,
            env=dict(environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=HELPER_TIMEOUT,
        )
    except OSError as error:
        raise CredentialError(f"{program} {told} cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        raise CredentialError(f"{program} {told} gave no answer within {HELPER_TIMEOUT:.0f} s") from None
    if done.returncode:
        if NOT_FOUND in done.stdout or NOT_FOUND in done.stderr:
            return None
        complaint = (done.stdout.strip() or done.stderr.strip() or "no reason given").splitlines()[0]
        raise CredentialError(f"{program} {told} failed for {key}: {complaint[:200]}")
    try:
        answer = json.loads(done.stdout)
        username, secret = answer["Username"] + "", answer["Secret"] + ""
    except (ValueError, KeyError, TypeError):
        raise CredentialError(f"{program} {told} gave no credential for {key}: expected Username and Secret") from None
    if username == TOKEN_USER:
        return Credential(identity_token=secret)
    return Credential(username=username, password=secret) if username else None
