"""What must not be in a layer is found by its place, its mode or its content, and nothing else is."""

from __future__ import annotations

import tarfile

import pytest

from scripts.contents.leftovers import (
    CAPABILITY,
    Kind,
    Markers,
    inspect_entry,
    inspect_variable,
    inspect_words,
)

# In pieces, so that no tool that looks for such things stops at this file.
KEY = "-----BEGIN RSA PRIVATE" + " KEY-----\n" + "a1B2" * 20
TOKENS = {
    "AK" + "IA" + "ABCDEFGHIJKLMNOP": "AWS access key",
    "gh" + "p_" + "a1B2" * 9: "GitHub token",
    "github" + "_pat_" + "a" * 70: "GitHub token",
    "glp" + "at-" + "a1B2C" * 4: "GitLab token",
    "h" + "f_" + "aB" * 17: "Hugging Face token",
    "xo" + "xb-" + "1234567890-abc": "Slack token",
    "AI" + "za" + "a1B2C" * 7: "Google key",
    "pypi" + "-AgE" + "a" * 60: "PyPI token",
}
MARKERS = Markers(certificates=(b"LastLineOfACertificate",), indexes=(b"packages.example",))


def found(
    name: str,
    text: str = "x",
    *,
    mode: int = 0o644,
    kind: bytes = tarfile.REGTYPE,
    headers: dict[str, str] | None = None,
) -> list[tuple[Kind, str]]:
    entry = tarfile.TarInfo(name)
    entry.size = len(text) if kind == tarfile.REGTYPE else 0
    entry.mode, entry.type, entry.pax_headers = mode, kind, headers or {}
    return [(item.kind, item.detail) for item in inspect_entry(entry, text.encode, MARKERS)]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("etc/ssh/ssh_host_ed25519_key", Kind.HOST_KEY),
        ("./etc/ssh/ssh_host_rsa_key.pub", Kind.HOST_KEY),
        ("root/.netrc", Kind.CREDENTIAL),
        ("home/ann/.docker/config.json", Kind.CREDENTIAL),
        ("root/.ssh/id_ed25519", Kind.CREDENTIAL),
        ("root/.ssh/authorized_keys", Kind.CREDENTIAL),
        ("root/.cache/pip/http/a", Kind.CACHE),
        ("var/lib/apt/lists/deb.example_Release", Kind.CACHE),
        ("var/cache/apt/archives/a.deb", Kind.CACHE),
        ("opt/venv/lib/python3.11/site-packages/a-1.dist-info/uv_cache.json", Kind.CACHE),
        ("var/log/apt/history.log", Kind.LOG),
        ("tmp/a", Kind.LEFTOVER),
        ("var/tmp/a/b", Kind.LEFTOVER),
        ("run/secrets/token", Kind.LEFTOVER),
        ("usr/local/share/ca-certificates/proxy.crt", Kind.CERTIFICATE),
    ],
)
def test_by_place(name: str, kind: Kind) -> None:
    assert [item[0] for item in found(name)] == [kind]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("var/log/lastlog", ""),
        ("run/lock", ""),
        ("etc/passwd", "root:x:0:0:root:/root:/bin/bash"),
        ("usr/share/ca-certificates/mozilla/A.crt", "-----BEGIN CERTIFICATE-----"),
        ("opt/venv/lib/python3.11/site-packages/pkg/cache/a.py", "import tmp"),
        ("etc/pip.conf", "[global]\nno-cache-dir = true\n"),
        ("usr/share/doc/a", "AK" + "IAIOSFODNN7EXAMPLE"),
        ("opt/venv/lib/python3.11/site-packages/a/b.py", "url = 'https://user:password@host.example/'"),
        ("opt/venv/lib/python3.11/site-packages/a/tests/server.pem", KEY),
        ("opt/venv/lib/python3.11/site-packages/a/test_keys.py", KEY),
        ("opt/a/help.txt", "-----BEGIN PRIVATE" + " KEY-----\n...\n"),
        ("tmp/.wh.a", ""),
        ("opt/.wh..wh..opq", ""),
    ],
)
def test_what_may_be_there(name: str, text: str) -> None:
    assert found(name, text) == []


@pytest.mark.parametrize("token", TOKENS)
def test_tokens(token: str) -> None:
    assert found("opt/settings.yaml", f"token: {token}\n") == [(Kind.CREDENTIAL, TOKENS[token])]
    assert [item.detail for item in inspect_words("history", f"RUN login {token}", MARKERS)] == [TOKENS[token]]


def test_by_content() -> None:
    assert found("opt/deploy.pem", KEY) == [(Kind.PRIVATE_KEY, "the block of a private key")]
    assert found("etc/apt/auth.conf", "https://ann:secret@deb.example/") == [
        (Kind.CREDENTIAL, "an address with a password")
    ]
    assert found("etc/ssl/certs/bundle.crt", "...\nLastLineOfACertificate\n=\n") == [
        (Kind.CERTIFICATE, "is in the bundle of the build machine")
    ]
    assert found("root/a", "from https://packages.example/simple") == [(Kind.INDEX, "the address of a package index")]
    assert found("etc/pip.conf", "[global]\nindex-url = https://x.example/simple\n") == [
        (Kind.INDEX, "the address of a package index")
    ]
    assert found("etc/uv/uv.toml", '[[index]]\nurl = "https://x.example"\n') == [
        (Kind.INDEX, "the address of a package index")
    ]
    path = "opt/venv/lib/python3.11/site-packages/torch-2.13.0.dist-info/direct_url.json"
    assert found(path, '{"url": "file:///wheels/torch.whl"}') == [
        (Kind.INDEX, "the address that a wheel was installed from")
    ]


def test_large_files_and_bytecode_are_not_read() -> None:
    assert found("opt/model.bin", KEY + "x" * 2_000_000) == []
    assert found("opt/a.pyc", KEY) == []


def test_by_mode() -> None:
    assert found("usr/local/bin/become", mode=0o4755) == [(Kind.SET_UID, "mode 4755")]
    assert found("usr/local/bin/become", mode=0o2755) == [(Kind.SET_UID, "mode 2755")]
    assert found("usr/bin/passwd", mode=0o4755) == found("bin/su", mode=0o4755) == []
    assert found("usr/local/bin/passwd", mode=0o4755) == [(Kind.SET_UID, "mode 4755")]
    assert found("usr/bin/ping", headers={CAPABILITY: "x"}) == [(Kind.SET_UID, "file capabilities")]
    assert found("opt/shared", mode=0o666) == [(Kind.WORLD_WRITABLE, "mode 666")]
    assert found("opt/folder", mode=0o777, kind=tarfile.DIRTYPE) == [(Kind.WORLD_WRITABLE, "mode 777")]
    assert found("opt/folder", mode=0o1777, kind=tarfile.DIRTYPE) == []
    assert found("opt/link", mode=0o777, kind=tarfile.SYMTYPE) == []


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("REGISTRY_TOKEN", "abc", Kind.CREDENTIAL),
        ("db_password", "abc", Kind.CREDENTIAL),
        ("SSL_CERT_FILE_PATHS", "/etc/x", Kind.CREDENTIAL),
        ("PIP_INDEX_URL", "https://x.example", Kind.INDEX),
        ("UV_DEFAULT_INDEX", "https://x.example", Kind.INDEX),
        ("https_proxy", "http://proxy:3128", Kind.INDEX),
        ("SOURCE", "https://packages.example/a", Kind.INDEX),
        ("SOURCE", "https://ann:secret@x.example/a", Kind.CREDENTIAL),
    ],
)
def test_variables(name: str, value: str, kind: Kind) -> None:
    assert [item.kind for item in inspect_variable(name, value, MARKERS)] == [kind]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PATH", "/bin"),
        ("VESSL_TOKEN_FILE", "/run/token"),
        ("API_TOKEN", ""),
        ("PIP_CONSTRAINT", "/opt/c.txt"),
        ("GPG_KEY", "A03"),
    ],
)
def test_variables_that_are_no_secret(name: str, value: str) -> None:
    assert list(inspect_variable(name, value, MARKERS)) == []
