"""Log in to the registry where nobody types a password: with a secret, or with the identity that a CI job has (OIDC).

Robots of Quay take an identity token of an issuer that they are federated with, and give a password for an hour
(https://docs.quay.io, "Keyless authentication with robot accounts"); GitHub hands out such tokens where a job may have
them (``permissions: id-token: write``). Neither is ever printed or an argument of a command.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

from scripts.errors import RegistryError, UsageError
from scripts.release.reference import is_loopback, parse_repository

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.build.settings import Settings

USER = "IMAGES_REGISTRY_USER"
PASSWORD = "IMAGES_REGISTRY_PASSWORD"  # noqa: S105 - the name of a variable
TOKEN = "IMAGES_ID_TOKEN"  # noqa: S105 - the name of a variable
GITHUB_URL = "ACTIONS_ID_TOKEN_REQUEST_URL"
GITHUB_TOKEN = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"  # noqa: S105 - the name of a variable
EXCHANGE = "/oauth2/federation/robot/token"
TIMEOUT = 30.0
"""Seconds for each answer."""


def login(settings: Settings, environment: Mapping[str, str]) -> str:
    """Log in with ``docker login``, as the variables above say; gives who and how, in a sentence.

    :raises UsageError: if they are not set.
    :raises RegistryError: if a token is refused, or the registry does.
    """
    repository = parse_repository(f"{settings.registry}/any")
    user = environment.get(USER, "")
    if not user:
        raise UsageError(f"{USER} is not set: the account, or robot, to log in as")
    if environment.get(PASSWORD):
        how, password = PASSWORD, environment[PASSWORD]
    elif token := _identity(environment):
        how, password = "an identity token", _exchanged(repository.origin, user, token)
    else:
        raise UsageError(
            f"neither {PASSWORD} nor an identity token: set the secret, or let the job have a token "
            f"(GitHub: permissions: id-token: write; GitLab: id_tokens: {TOKEN})"
        )
    command = ["docker", "login", "--username", user, "--password-stdin", repository.registry]
    try:
        done = subprocess.run(command, input=password, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UsageError("there is no docker command on PATH to log in with") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1].replace(password, "...")
        raise RegistryError(f"{repository.registry}: login as {user} with {how} failed: {said}")
    return f"{repository.registry}: logged in as {user} with {how}"


def _identity(environment: Mapping[str, str]) -> str:
    """The job's identity token; empty: it has none."""
    if environment.get(TOKEN):
        return environment[TOKEN]
    url, bearer = environment.get(GITHUB_URL, ""), environment.get(GITHUB_TOKEN, "")
    if not (url and bearer):
        return ""
    return str(_get(url, "the CI's identity token", headers={"Authorization": f"Bearer {bearer}"}).get("value") or "")


def _exchanged(origin: str, user: str, token: str) -> str:
    host = origin.partition("://")[2]
    if origin.startswith("http://") and not is_loopback(host):
        raise UsageError(f"{host}: an identity token is not sent without TLS")
    found = _get(f"{origin}{EXCHANGE}", f"{host}: a password for {user}", auth=(user, token)).get("token")
    if not found:
        raise RegistryError(f"{host}: gave no password for {user}'s identity token")
    return str(found)


def _get(url: str, what: str, **request: Any) -> Mapping[str, Any]:
    """The JSON object at an address; a refusal says what was wanted, and nothing of what was sent."""
    import requests  # noqa: PLC0415 - not needed where there is a password

    try:
        answer = requests.get(url, timeout=TIMEOUT, allow_redirects=False, **request)
        found = answer.json() if answer.status_code == 200 else None
    except requests.ConnectionError:
        raise RegistryError(f"{what}: no connection") from None
    except requests.Timeout:
        raise RegistryError(f"{what}: no answer within {TIMEOUT:.0f} s") from None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RegistryError(
            f"{what}: HTTP {answer.status_code}, and no JSON object: is the robot federated with this CI?"
        )
    return found
