"""cosign as it is called: what it signs, what it verifies, and what a person reads when it says no."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from scripts.errors import UsageError
from scripts.release import cosign as tool
from scripts.release.cosign import PIN_COSIGN, CosignError, Signature, cosign_version, find_cosign
from scripts.release.reference import parse_repository
from scripts.release.registry import digest_of
from scripts.release.statements import TEST_RESULT, Statement, render_bundle, render_statement, to_be_signed
from scripts.release.trust import Trust, make_trust
from tests.system import APT_INSTALL, System

if TYPE_CHECKING:
    from tests.fake_cosign import FakeCosign

DIGEST = digest_of(b"toast")


def test_signs_with_a_key_and_not_into_the_public_log(cosign: FakeCosign) -> None:
    key = cosign.key()
    trust = make_trust(cosign.tool.public_key(key), key)
    signature = cosign.tool.sign(b"toast", key)
    assert cosign.tool.verify(b"toast", signature, trust) == ""
    assert cosign.tool.verify(b"roast", signature, trust).startswith("invalid signature")
    (words,) = cosign.calls("sign-blob")
    assert "--tlog-upload=false" in words
    assert all("--insecure-ignore-tlog=true" in words for words in cosign.calls("verify-blob"))


def test_anothers_key_does_not_verify(cosign: FakeCosign) -> None:
    signature = cosign.tool.sign(b"toast", cosign.key("others"))
    trust = make_trust(cosign.tool.public_key(cosign.key()), "ours")
    assert cosign.tool.verify(b"toast", signature, trust)


def test_a_statement_is_signed_by_its_envelope(cosign: FakeCosign) -> None:
    statement = Statement(subject=DIGEST, predicate_type=TEST_RESULT, predicate={"result": "PASSED"})
    payload = render_statement(statement, parse_repository("quay.io/x/app"))
    trust = make_trust(cosign.tool.public_key(cosign.key()), "ours")
    bundle = render_bundle(payload, cosign.tool.sign(to_be_signed(payload), cosign.key()), trust.hint)
    assert cosign.tool.verify_bundle(bundle, TEST_RESULT, b"toast", trust) == ""
    assert "does not match any digest" in cosign.tool.verify_bundle(bundle, TEST_RESULT, b"roast", trust)


def test_without_a_key_the_identity_signs_and_is_verified(cosign: FakeCosign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", "me@example.com https://issuer.example")
    signature = cosign.tool.sign(b"toast", "")
    assert (signature.certificate, signature.log) == (
        "me@example.com https://issuer.example",
        {"Payload": {"logIndex": 1}},
    )
    me = Trust(identity="me@example.com", issuer="https://issuer.example")
    assert cosign.tool.verify(b"toast", signature, me) == ""
    assert "none of the expected identities" in cosign.tool.verify(
        b"toast", signature, Trust(identity="you", issuer="x")
    )
    # A signature of a key is none of an identity.
    assert "does not contain cert" in cosign.tool.verify(b"toast", Signature(value="AAAA"), me)
    bundle = cosign.tool.attest(b'{"result": "PASSED"}', TEST_RESULT, DIGEST)
    assert cosign.tool.verify_bundle(bundle, TEST_RESULT, b"toast", me) == ""
    assert all("--insecure-ignore-tlog=true" not in words for words in cosign.calls("verify-blob"))


@pytest.mark.parametrize(
    ("password", "said"),
    [
        (None, "cosign public-key: the key has a password: set COSIGN_PASSWORD (empty for none)"),
        ("guess", "cosign public-key: COSIGN_PASSWORD is not the password of this key"),
    ],
)
def test_a_key_that_does_not_open(
    cosign: FakeCosign, monkeypatch: pytest.MonkeyPatch, password: str | None, said: str
) -> None:
    key = cosign.key()
    monkeypatch.delenv("COSIGN_PASSWORD")
    if password is not None:
        monkeypatch.setenv("COSIGN_PASSWORD", password)
    with pytest.raises(CosignError) as caught:
        cosign.tool.public_key(key)
    assert str(caught.value) == said


def test_a_key_that_is_not_there(cosign: FakeCosign) -> None:
    with pytest.raises(CosignError, match=r"cosign public-key: open /no/such\.key: no such file or directory"):
        cosign.tool.public_key("/no/such.key")


def test_the_password_is_in_no_command(cosign: FakeCosign) -> None:
    cosign.tool.sign(b"toast", cosign.key())
    assert "sesame" not in (cosign.folder / "cosign-calls.jsonl").read_text()


@pytest.mark.parametrize("version", ["v2.4.3", "v3.0.1"])
def test_a_version_with_other_options_is_refused(cosign: FakeCosign, version: str) -> None:
    cosign.answer(version=version)
    with pytest.raises(CosignError) as caught:
        find_cosign(print, may_install=False)
    shown = version.removeprefix("v").rpartition(".")[0]
    assert f"is cosign {shown}: this tool knows the options of 2.5 or newer, below 3" in str(caught.value)


def test_the_version_of_debians_is_that_of_its_package(cosign: FakeCosign) -> None:
    assert cosign_version(cosign.tool.program) == (2, 5)
    cosign.answer(version="devel")
    for words, said in (("-S", "cosign: /usr/bin/cosign"), ("-W", "2.5.0-2+b5")):
        with (cosign.folder / "dpkg-query").open("a") as file:
            file.write(f'{"" if file.tell() else "#!/bin/sh"}\n[ "$1" != {words} ] || echo "{said}"\n')
    (cosign.folder / "dpkg-query").chmod(0o755)
    assert cosign_version(cosign.tool.program) == (2, 5)
    (cosign.folder / "dpkg-query").write_text("#!/bin/sh\nexit 1\n")
    assert cosign_version(cosign.tool.program) == ()


def test_installed_from_trixie_on_debian_12(system: System, cosign: FakeCosign) -> None:
    shutil.move(cosign.folder / "cosign", system.bin.parent / "cosign")
    system.fake("apt-get", f'[ "$1" != install ] || /bin/mv {system.bin.parent}/cosign {system.bin}/cosign')
    assert find_cosign(system.log.append, may_install=True, root=system.root).program == str(system.bin / "cosign")
    assert system.calls == ["apt-get update -qq", f"{APT_INSTALL} cosign"]
    assert system.log == ["installing cosign: it signs and verifies"]
    assert (system.root / "etc/apt/preferences.d/trixie-cosign").read_text().startswith(PIN_COSIGN)


def test_missing_and_not_to_be_installed(system: System) -> None:
    with pytest.raises(CosignError) as caught:
        find_cosign(system.log.append, may_install=False, root=system.root)
    assert str(caught.value) == "cosign is missing, which signs and verifies: install cosign 2.5 or newer, below 3"
    assert system.calls == []


def test_what_is_no_public_key() -> None:
    with pytest.raises(UsageError, match=r"a\.pub: not a public key in PEM, such as cosign\.pub"):
        make_trust("-----BEGIN PUBLIC KEY-----\nA\n-----END PUBLIC KEY-----\n", "a.pub")
    with pytest.raises(UsageError, match="not a public key"):
        make_trust("hello", "a.pub")


def test_one_that_hangs_or_does_not_run(cosign: FakeCosign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "LIMIT", 0.2)
    cosign.folder.joinpath("cosign").write_text("#!/bin/sh\nexec /bin/sleep 9\n")
    with pytest.raises(CosignError, match=r"cosign gave no answer within 0 s"):
        cosign.tool.public_key("x")
    cosign.folder.joinpath("cosign").write_text("#!/no/such/interpreter\n")
    with pytest.raises(CosignError, match="cannot be run: No such file"):
        cosign.tool.public_key("x")
