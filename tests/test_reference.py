"""Names of repositories, tags and digests, and what is said about those that are none."""

from __future__ import annotations

import pytest

from scripts.release.reference import (
    Digest,
    MalformedError,
    Repository,
    Tag,
    is_digest,
    is_loopback,
    parse_digest,
    parse_reference,
    parse_repository,
    parse_tag,
)

from .conftest import DIGEST


@pytest.mark.parametrize(
    ("text", "registry", "name", "origin"),
    [
        ("quay.io/vessl-ai/torch", "quay.io", "vessl-ai/torch", "https://quay.io"),
        ("QUAY.io/a", "quay.io", "a", "https://quay.io"),
        ("quay.io:443/a", "quay.io:443", "a", "https://quay.io:443"),
        ("registry:5000/a/b/c", "registry:5000", "a/b/c", "https://registry:5000"),
        ("localhost:5000/a", "localhost:5000", "a", "http://localhost:5000"),
        ("localhost/a", "localhost", "a", "http://localhost"),
        ("my.localhost:80/a", "my.localhost:80", "a", "http://my.localhost:80"),
        ("127.0.0.1:5000/a", "127.0.0.1:5000", "a", "http://127.0.0.1:5000"),
        ("127.8.9.1/a", "127.8.9.1", "a", "http://127.8.9.1"),
        ("[::1]:5000/a", "[::1]:5000", "a", "http://[::1]:5000"),
        ("[2001:db8::1]/a", "[2001:db8::1]", "a", "https://[2001:db8::1]"),
        ("10.0.0.1:5000/a", "10.0.0.1:5000", "a", "https://10.0.0.1:5000"),
        ("python", "docker.io", "library/python", "https://registry-1.docker.io"),
        ("vessl/python", "docker.io", "vessl/python", "https://registry-1.docker.io"),
        ("docker.io/python", "docker.io", "library/python", "https://registry-1.docker.io"),
        ("index.docker.io/a/b", "docker.io", "a/b", "https://registry-1.docker.io"),
        ("quay.io/a__b/c-d/e--f.g_h", "quay.io", "a__b/c-d/e--f.g_h", "https://quay.io"),
    ],
)
def test_a_repository_is_read(text: str, registry: str, name: str, origin: str) -> None:
    found = parse_repository(text)
    assert found == Repository(registry, name)
    assert str(found) == f"{registry}/{name}"
    assert found.origin == origin
    assert found.url == f"{origin}/v2/{name}"


def test_plain_http_beyond_loopback_is_for_those_who_ask_for_it() -> None:
    assert parse_repository("registry:5000/a", insecure=True).origin == "http://registry:5000"
    assert parse_tag("registry:5000/a:1", insecure=True).repository.insecure
    assert parse_digest(f"registry:5000/a@{DIGEST}", insecure=True).repository.insecure


@pytest.mark.parametrize("registry", ["localhost.example.com", "notlocalhost", "128.0.0.1", "127.0.0.1.nip.io", "::1"])
def test_what_only_looks_like_loopback_is_not(registry: str) -> None:
    assert not is_loopback(registry)


NAME = "expected lower-case letters and digits, separated by '.', '_', '__', '-' or '/'"
HOST = "expected a host such as quay.io or localhost:5000, without scheme"
TAG = "expected up to 128 letters, digits, '_', '.' and '-', the first no '.' or '-'"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f": repository: {NAME}, got ''"),
        ("quay.io/", f"quay.io/: repository: {NAME}, got ''"),
        ("quay.io/Vessl/torch", f"quay.io/Vessl/torch: repository: {NAME}, got 'Vessl/torch'"),
        ("quay.io/a//b", f"quay.io/a//b: repository: {NAME}, got 'a//b'"),
        ("quay.io/a___b", f"quay.io/a___b: repository: {NAME}, got 'a___b'"),
        ("quay.io/a:1", f"quay.io/a:1: repository: {NAME}, got 'a:1'"),
        ("quay.io/a\n", f"quay.io/a\n: repository: {NAME}, got 'a\\n'"),
        ("https://quay.io/a", f"https://quay.io/a: registry: {HOST}, got 'https:'"),
        ("user@quay.io/a", f"user@quay.io/a: registry: {HOST}, got 'user@quay.io'"),
        ("-a.b/a", f"-a.b/a: registry: {HOST}, got '-a.b'"),
        ("[1::2::3]/a", f"[1::2::3]/a: registry: {HOST}, got '[1::2::3]'"),
        ("quay.io:0/a", "quay.io:0/a: registry: expected a port from 1 to 65535, got 0"),
        ("quay.io:65536/a", "quay.io:65536/a: registry: expected a port from 1 to 65535, got 65536"),
        (f"quay.io/{'a' * 248}", f"quay.io/{'a' * 248}: expected at most 255 characters, got 256"),
    ],
)
def test_what_is_no_repository_is_refused(text: str, message: str) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_repository(text)
    assert str(caught.value) == message
    assert caught.value.exit_code == 2


def test_the_longest_name_is_read() -> None:
    assert parse_repository(f"quay.io/{'a' * 247}").name == "a" * 247


def test_a_tag_is_read() -> None:
    found = parse_reference("localhost:5000/torch:2.3.1-cuda12.1-r14")
    assert found == Tag(Repository("localhost:5000", "torch"), "2.3.1-cuda12.1-r14")
    assert str(found) == "localhost:5000/torch:2.3.1-cuda12.1-r14"
    assert found.identifier == "2.3.1-cuda12.1-r14"


@pytest.mark.parametrize("text", [f"quay.io/a@{DIGEST}", f"quay.io/a:1@{DIGEST}"])
def test_a_digest_is_read_and_a_tag_before_it_says_nothing(text: str) -> None:
    found = parse_reference(text)
    assert found == Digest(Repository("quay.io", "a"), DIGEST)
    assert str(found) == f"quay.io/a@{DIGEST}"
    assert found.identifier == DIGEST


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("quay.io/a", "quay.io/a: expected REPOSITORY:TAG, got no tag"),
        ("localhost:5000/a", "localhost:5000/a: expected REPOSITORY:TAG, got no tag"),
        ("quay.io/a:", f"quay.io/a:: tag: {TAG}, got ''"),
        ("quay.io/a:.b", f"quay.io/a:.b: tag: {TAG}, got '.b'"),
        (f"quay.io/a:{'b' * 129}", f"quay.io/a:{'b' * 129}: tag: {TAG}, got '{'b' * 129}'"),
        ("quay.io/a:b c", f"quay.io/a:b c: tag: {TAG}, got 'b c'"),
        ("a@sha256:ab", "docker.io/library/a@sha256:ab: digest: {digest}, got 'sha256:ab'"),
        (f"a@md5:{'a' * 64}", f"docker.io/library/a@md5:{'a' * 64}: digest: {{digest}}, got 'md5:{'a' * 64}'"),
        (f"quay.io/a:.b@{DIGEST}", f"quay.io/a:.b: tag: {TAG}, got '.b'"),
    ],
)
def test_what_is_no_reference_is_refused(text: str, message: str) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_reference(text)
    assert str(caught.value) == message.replace("{digest}", "expected sha256: and 64 hexadecimal digits in lower case")


def test_a_digest_is_asked_for_where_one_is_needed() -> None:
    with pytest.raises(MalformedError) as caught:
        parse_digest("quay.io/a:1")
    assert str(caught.value) == "quay.io/a:1: expected REPOSITORY@sha256:..., got no digest"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(DIGEST, True), (DIGEST.upper(), False), (DIGEST + "a", False), (DIGEST + "\n", False), ("", False)],
)
def test_one_algorithm_in_one_form_is_a_digest(value: str, expected: bool) -> None:  # noqa: FBT001
    assert is_digest(value) is expected
