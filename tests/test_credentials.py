"""Credentials from docker's places, and no word of them in any message."""

from __future__ import annotations

import base64
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from scripts.release import credentials
from scripts.release.credentials import Credential, CredentialError, config_path, find_credential

if TYPE_CHECKING:
    from pathlib import Path

HIDDEN = "very-secret-word"
AUTH = base64.b64encode(f"robot:{HIDDEN}".encode()).decode()
ROBOT = Credential(username="robot", password=HIDDEN)


@dataclass(frozen=True)
class Docker:
    """A directory with docker's configuration, and one with helpers."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"DOCKER_CONFIG": str(self.folder), "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin"}

    @property
    def path(self) -> Path:
        return self.folder / "config.json"

    def write(self, **config: Any) -> None:
        self.path.write_text(json.dumps(config))

    def helper(self, name: str, body: str) -> None:
        """A helper; ``key`` is what it got on stdin, and it is noted."""
        path = self.folder / "bin" / f"docker-credential-{name}"
        path.parent.mkdir(exist_ok=True)
        note = f"import sys, json\nkey = sys.stdin.read()\nopen({str(self.folder / 'asked')!r}, 'a').write("
        path.write_text(f"#!{sys.executable} -IS\n{note}f'{{sys.argv[1]}} {{key}}\\n')\n{body}\n")
        path.chmod(0o755)

    @property
    def asked(self) -> list[str]:
        path = self.folder / "asked"
        return path.read_text().splitlines() if path.exists() else []

    def find(self, registry: str = "quay.io") -> Credential | None:
        return find_credential(registry, self.environment)

    def refusal(self, registry: str = "quay.io") -> str:
        with pytest.raises(CredentialError) as caught:
            self.find(registry)
        assert caught.value.exit_code == 4
        assert HIDDEN not in str(caught.value)
        assert AUTH not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def docker_config(tmp_path: Path) -> Docker:
    return Docker(tmp_path)


def test_without_a_file_there_is_no_credential(docker_config: Docker) -> None:
    assert docker_config.find() is None


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"auth": AUTH}, ROBOT),
        ({"auth": base64.b64encode(f"robot:{HIDDEN}\0\0".encode()).decode()}, ROBOT),
        (
            {"auth": base64.b64encode(f"robot:{HIDDEN}:b".encode()).decode()},
            Credential(username="robot", password=f"{HIDDEN}:b"),
        ),
        ({"username": "robot", "password": HIDDEN}, ROBOT),
        ({"auth": AUTH, "username": "other", "password": "other"}, ROBOT),
        ({"auth": AUTH, "identitytoken": HIDDEN}, Credential(username="robot", identity_token=HIDDEN)),
        ({"identitytoken": HIDDEN}, Credential(identity_token=HIDDEN)),
        ({"auth": "", "email": "a@b.c"}, None),
        ({}, None),
    ],
)
def test_an_entry_of_the_file_is_read(
    docker_config: Docker, entry: dict[str, str], expected: Credential | None
) -> None:
    docker_config.write(auths={"quay.io": entry})
    assert docker_config.find() == expected


@pytest.mark.parametrize("key", ["quay.io", "https://quay.io", "https://quay.io/v1/", "http://quay.io/v2/"])
def test_a_key_may_be_an_address(docker_config: Docker, key: str) -> None:
    docker_config.write(auths={"other.io": {"auth": "!"}, key: {"auth": AUTH}})
    assert docker_config.find() == ROBOT
    assert docker_config.find("quay.io:443") is None
    assert docker_config.find("y.io") is None


def test_the_host_itself_comes_before_an_address(docker_config: Docker) -> None:
    docker_config.write(auths={"https://quay.io/v1/": {"auth": "!"}, "quay.io": {"auth": AUTH}})
    assert docker_config.find() == ROBOT


def test_of_two_addresses_the_first_counts(docker_config: Docker) -> None:
    docker_config.write(auths={"https://quay.io/v1/": {"auth": AUTH}, "https://quay.io/v2/": {"auth": "!"}})
    assert docker_config.find() == ROBOT


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io"])
def test_docker_hub_has_a_key_of_its_own(docker_config: Docker, key: str) -> None:
    docker_config.write(auths={key: {"auth": AUTH}})
    assert docker_config.find("docker.io") == ROBOT


def test_the_file_is_in_the_home_directory_unless_told(tmp_path: Path) -> None:
    assert config_path({"HOME": str(tmp_path)}) == tmp_path / ".docker" / "config.json"
    assert config_path({"HOME": "/x", "DOCKER_CONFIG": str(tmp_path)}) == tmp_path / "config.json"


def test_a_secret_is_not_in_what_is_printed_of_a_credential() -> None:
    assert repr(Credential(username="robot", password=HIDDEN, identity_token=HIDDEN)) == "Credential(username='robot')"


ANSWER = "print(json.dumps({'ServerURL': key, 'Username': 'robot', 'Secret': '" + HIDDEN + "'}))"


def test_a_helper_is_asked_for_its_registry_only(docker_config: Docker) -> None:
    docker_config.helper("own", ANSWER)
    docker_config.write(credHelpers={"quay.io": "own"}, auths={"ghcr.io": {"auth": AUTH}})
    assert docker_config.find("quay.io") == ROBOT
    assert docker_config.find("ghcr.io") == ROBOT
    assert docker_config.asked == ["get quay.io"]


def test_a_registrys_own_helper_comes_before_the_store_and_the_store_before_the_file(docker_config: Docker) -> None:
    docker_config.helper("own", ANSWER)
    docker_config.helper("all", ANSWER.replace("robot", "other"))
    docker_config.write(credHelpers={"quay.io": "own"}, credsStore="all", auths={"ghcr.io": {"auth": AUTH}})
    assert docker_config.find("quay.io") == ROBOT
    assert docker_config.find("ghcr.io") == Credential(username="other", password=HIDDEN)
    assert docker_config.asked == ["get quay.io", "get ghcr.io"]


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io"])
def test_a_helper_is_asked_for_docker_hub_by_its_old_address(docker_config: Docker, key: str) -> None:
    docker_config.helper("own", ANSWER)
    docker_config.write(credHelpers={key: "own"})
    assert docker_config.find("docker.io") == ROBOT
    assert docker_config.asked == ["get https://index.docker.io/v1/"]


def test_a_helper_may_have_an_identity_token(docker_config: Docker) -> None:
    docker_config.helper("own", ANSWER.replace("robot", "<token>"))
    docker_config.write(credsStore="own")
    assert docker_config.find() == Credential(identity_token=HIDDEN)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_where_a_helper_has_nothing_the_file_is_read(docker_config: Docker, stream: str) -> None:
    complaint = f"print('credentials not found in native keychain', file=sys.{stream}); sys.exit(1)"
    docker_config.helper("own", complaint)
    docker_config.write(credsStore="own", auths={"quay.io": {"auth": AUTH}})
    assert docker_config.find("quay.io") == ROBOT
    assert docker_config.find("ghcr.io") is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "print('keychain is locked'); print('more'); sys.exit(1)",
            "docker-credential-own (named in {path}) failed for quay.io: keychain is locked",
        ),
        ("sys.exit(3)", "docker-credential-own (named in {path}) failed for quay.io: no reason given"),
        (
            f"print('{HIDDEN}')",
            "docker-credential-own (named in {path}) gave no credential for quay.io: expected Username and Secret",
        ),
        (
            f"print(json.dumps({{'Username': 3, 'Secret': '{HIDDEN}'}}))",
            "docker-credential-own (named in {path}) gave no credential for quay.io: expected Username and Secret",
        ),
    ],
)
def test_a_helper_that_fails_is_named(docker_config: Docker, body: str, message: str) -> None:
    docker_config.helper("own", body)
    docker_config.write(credsStore="own")
    assert docker_config.refusal() == message.format(path=docker_config.path)


def test_a_helper_that_is_not_installed_is_named(docker_config: Docker) -> None:
    docker_config.write(credsStore="desktop.exe")
    assert docker_config.refusal() == (
        f"docker-credential-desktop.exe (named in {docker_config.path}) is not on PATH: install it, or take the name "
        "out of the file"
    )


def test_a_helper_that_cannot_be_run_is_named(docker_config: Docker) -> None:
    docker_config.helper("own", "")
    (docker_config.folder / "bin" / "docker-credential-own").write_text("#!/no/such/program\n")
    docker_config.write(credsStore="own")
    assert docker_config.refusal() == (
        f"docker-credential-own (named in {docker_config.path}) cannot be run: No such file or directory"
    )


def test_a_helper_that_does_not_answer_is_named(docker_config: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "HELPER_TIMEOUT", 0.2)
    docker_config.helper("own", "import time; time.sleep(60)")
    docker_config.write(credsStore="own")
    assert docker_config.refusal() == f"docker-credential-own (named in {docker_config.path}) gave no answer within 0 s"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'{{"auths": {{"quay.io": {{"auth": "{AUTH}"}}}}', "{path}:1: expected JSON: {why}"),
        ("[]", "{path}: expected a JSON object, got list"),
        (f'{{"auths": ["{AUTH}"]}}', "{path}: auths: expected an object, got list"),
        ('{"credHelpers": "x"}', "{path}: credHelpers: expected an object, got str"),
        (
            f'{{"auths": {{"quay.io": "{AUTH}"}}}}',
            '{path}: auths["quay.io"]: expected an object of strings (auth, username, password, identitytoken)',
        ),
        (
            '{"auths": {"quay.io": {"password": 3}}}',
            '{path}: auths["quay.io"]: expected an object of strings (auth, username, password, identitytoken)',
        ),
        (
            f'{{"auths": {{"quay.io": {{"auth": "{HIDDEN}"}}}}}}',
            '{path}: auths["quay.io"]: auth: expected the base64 of NAME:PASSWORD',
        ),
        (
            f'{{"auths": {{"quay.io": {{"auth": "{base64.b64encode(HIDDEN.encode()).decode()}"}}}}}}',
            '{path}: auths["quay.io"]: auth: expected the base64 of NAME:PASSWORD',
        ),
    ],
)
def test_a_file_with_faults_is_refused_without_what_it_holds(docker_config: Docker, text: str, message: str) -> None:
    docker_config.path.write_text(text)
    why = f"Expecting ',' delimiter (column {len(text) + 1})"
    assert docker_config.refusal() == message.format(path=docker_config.path, why=why)


def test_a_file_that_is_no_text_is_refused(docker_config: Docker) -> None:
    docker_config.path.write_bytes(b"\xff\xfe")
    assert docker_config.refusal() == f"{docker_config.path}: expected JSON, got something that is not UTF-8"


def test_a_file_that_cannot_be_read_is_refused(docker_config: Docker) -> None:
    docker_config.path.mkdir()
    assert docker_config.refusal() == f"{docker_config.path}: cannot be read: Is a directory"


def test_the_error_does_not_carry_the_files_text_along(docker_config: Docker) -> None:
    docker_config.path.write_text(f'{{"{HIDDEN}"')
    with pytest.raises(CredentialError) as caught:
        docker_config.find()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
