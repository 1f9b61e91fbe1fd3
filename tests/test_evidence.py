"""What is attached to a published image: all of it once, what is missing said, and nothing twice."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from scripts.build.wanted import Need
from scripts.errors import BuildError, RegistryError
from scripts.release import sbom
from scripts.release.attestations import Document, attach_document, bundle_document, find_bundles, find_documents
from scripts.release.cosign import CosignError
from scripts.release.evidence import attach_evidence, prepare_evidence
from scripts.release.referrers import list_referrers
from scripts.release.sbom import CYCLONEDX_TYPE, SPDX_TYPE
from scripts.release.signatures import ARTIFACT, list_signatures
from scripts.release.statements import BUNDLE, CYCLONEDX, IN_TOTO, PROVENANCE, SPDX, TEST_RESULT
from tests.attested import BASE, COMMIT, LOCK, Attested, make_build, put_syft
from tests.faulty_registry import FaultyRegistry, connect, say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.release.reference import Digest
    from scripts.release.transport import Transport
    from tests.fake_cosign import FakeCosign

NAME = "vessl-ai/app"


@pytest.fixture(params=[True, False], ids=["referrers API", "fallback"])
def registry(request: pytest.FixtureRequest) -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as made:
        made.referrers_api = request.param
        yield made


@pytest.fixture
def transport() -> Iterator[Transport]:
    with connect() as client:
        yield client.transport


@pytest.fixture
def made(tmp_path: Path, registry: FaultyRegistry, transport: Transport, monkeypatch: pytest.MonkeyPatch) -> Attested:
    """An image that is published, and nothing is attached to it."""
    program = put_syft(tmp_path / "bin")
    monkeypatch.setattr(sbom, "find_syft", lambda: program)
    found = make_build(tmp_path, f"{registry.host}/vessl-ai")
    found.upload(transport, registry.repository(NAME), "1")
    return found


def run(made: Attested, transport: Transport, registry: FaultyRegistry) -> list[str]:
    """Prepare and attach; gives what was said."""
    said: list[str] = []
    evidence = prepare_evidence(made.settings, made.build, made.smoke, said.append)
    attach_evidence(transport, registry.repository(NAME), made.product.manifest, evidence, said.append)
    return [line for line in said if "making the SBOMs" not in line]


def image(made: Attested, registry: FaultyRegistry) -> Digest:
    return registry.repository(NAME).digest(made.build.digest)


def kinds(made: Attested, transport: Transport, registry: FaultyRegistry) -> list[str]:
    return sorted(item.artifact_type for item in list_referrers(transport, image(made, registry)))


def test_everything_signed_and_nothing_twice(
    made: Attested, transport: Transport, registry: FaultyRegistry, cosign: FakeCosign
) -> None:
    made = made.with_settings(sign=cosign.key())
    (line,) = run(made, transport, registry)
    assert line.startswith(
        "app:1: attached: SPDX, CycloneDX, provenance, smoke test, SPDX (signed), CycloneDX (signed), "
    )
    assert "provenance (signed), smoke test (signed), signature of key " in line
    found = kinds(made, transport, registry)
    assert [found.count(kind) for kind in (SPDX_TYPE, CYCLONEDX_TYPE, IN_TOTO, BUNDLE)] == [1, 1, 2, 4]
    for kind in (PROVENANCE, SPDX, CYCLONEDX, TEST_RESULT):
        (bundle,) = find_bundles(transport, image(made, registry), kind)
        assert bundle.statement.subject == made.build.digest
    (signed,) = list_signatures(transport, image(made, registry))
    assert signed.digest == made.build.digest
    before = dict(registry.manifests[NAME])
    assert run(made, transport, registry) == []
    assert registry.manifests[NAME] == before


def test_the_provenance_says_from_what_and_no_more_than_level_1(
    made: Attested, transport: Transport, registry: FaultyRegistry
) -> None:
    run(made, transport, registry)
    (content,) = find_documents(transport, image(made, registry), IN_TOTO, PROVENANCE)
    predicate = json.loads(content)["predicate"]
    definition = predicate["buildDefinition"]
    assert definition["externalParameters"]["image"] == "app:1"
    assert definition["externalParameters"]["arguments"] == {"BASE_IMAGE": "python:3.11-slim-bookworm"}
    assert definition["internalParameters"] == {
        "settings": {"compression": "zstd"},
        "stages": {"app": "cd" * 32},
        "sourceDateEpoch": 1_700_000_000,
    }
    assert definition["resolvedDependencies"] == [
        {"name": "recipe", "uri": "git+https://github.com/vessl-ai/images", "digest": {"gitCommit": COMMIT}},
        {"name": "base python:3.11-slim-bookworm", "digest": {"sha256": BASE.removeprefix("sha256:")}},
        {"name": "fam/locks/1/common.txt", "digest": {"sha256": LOCK}},
        {"name": "scripts/image/entrypoint", "digest": {"sha256": "ef" * 32}, "annotations": {"executable": True}},
    ]
    assert predicate["runDetails"]["builder"] == {
        "id": "https://github.com/vessl-ai/images/blob/main/docs/security.md#who-builds",
        "vessl_slsaBuildLevel": "1 at most",
    }
    assert [item["name"] for item in predicate["runDetails"]["byproducts"]] == ["SBOM, CycloneDX", "SBOM, SPDX"]


def test_what_is_not_committed_or_stands_in_is_said(
    made: Attested, transport: Transport, registry: FaultyRegistry
) -> None:
    made = replace(made, build=replace(made.build, commit=f"{COMMIT}-dirty", stand_in=True))
    run(made, transport, registry)
    (content,) = find_documents(transport, image(made, registry), IN_TOTO, PROVENANCE)
    recipe, base, *_ = json.loads(content)["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert (recipe["digest"], recipe["annotations"]) == ({"gitCommit": COMMIT}, {"uncommittedChanges": True})
    assert base["annotations"] == {"standIn": True}


def test_without_a_key_it_is_said_and_published_unsigned(
    made: Attested, transport: Transport, registry: FaultyRegistry, cosign: FakeCosign
) -> None:
    warning, line = run(made, transport, registry)
    assert warning == (
        "warning: app:1: published without a signature: there is no key (images.evidence.sign, or "
        "INVOKE_IMAGES_EVIDENCE_SIGN) and no identity token (SIGSTORE_ID_TOKEN, ACTIONS_ID_TOKEN_REQUEST_URL)"
    )
    assert line == "app:1: attached: SPDX, CycloneDX, provenance, smoke test"
    assert not cosign.calls("version")
    assert list_signatures(transport, image(made, registry)) == ()


@pytest.mark.usefixtures("cosign")
def test_without_a_key_nothing_is_published_where_one_is_required(made: Attested) -> None:
    with pytest.raises(CosignError) as caught:
        prepare_evidence(made.with_settings(signature=Need.REQUIRED).settings, made.build, made.smoke, print)
    assert str(caught.value).startswith("app:1: a signature is required (images.evidence): there is no key")
    assert caught.value.exit_code == 2


def test_a_wrong_password_is_met_before_anything_is_published(
    made: Attested, cosign: FakeCosign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSIGN_PASSWORD", "guess")
    wanted = made.with_settings(signature=Need.REQUIRED, sign=cosign.key()).settings
    with pytest.raises(CosignError, match="COSIGN_PASSWORD is not the password of this key"):
        prepare_evidence(wanted, made.build, made.smoke, print)


def test_what_is_off_is_said_aloud(made: Attested, transport: Transport, registry: FaultyRegistry) -> None:
    off = dict.fromkeys(("sbom", "provenance", "smoke", "signature"), Need.OFF)
    assert run(made.with_settings(**off), transport, registry) == [
        "warning: app:1: a signature: off in the settings: published without",
        "warning: app:1: an SBOM: off in the settings: published without",
        "warning: app:1: provenance: off in the settings: published without",
        "warning: app:1: the smoke test's result: off in the settings: published without",
    ]
    assert kinds(made, transport, registry) == []


def test_an_sbom_that_cannot_be_made(
    made: Attested, tmp_path: Path, transport: Transport, registry: FaultyRegistry
) -> None:
    put_syft(tmp_path / "bin", "import sys; sys.exit('boom') if sys.argv[1] == 'scan' else print('Version: 1')")
    with pytest.raises(BuildError, match=r"app:1: an SBOM is required \(images\.evidence\): app:1: syft failed: boom"):
        run(made, transport, registry)
    said = run(made.with_settings(sbom=Need.OPTIONAL, signature=Need.OFF), transport, registry)
    assert said[1:] == [
        "warning: app:1: published without an SBOM: app:1: syft failed: boom",
        "app:1: attached: provenance, smoke test",
    ]


def test_published_without_a_smoke_test(made: Attested, transport: Transport, registry: FaultyRegistry) -> None:
    said: list[str] = []
    evidence = prepare_evidence(made.settings, made.build, None, said.append)
    attach_evidence(transport, registry.repository(NAME), made.product.manifest, evidence, said.append)
    assert "warning: app:1: no smoke test result is attached: there is none" in said
    assert list(find_documents(transport, image(made, registry), IN_TOTO, TEST_RESULT)) == []


@pytest.mark.parametrize("done", [0, 4, 8])
def test_a_run_that_was_cut_off_is_finished_by_the_next(
    made: Attested, transport: Transport, registry: FaultyRegistry, cosign: FakeCosign, done: int
) -> None:
    made = made.with_settings(sign=cosign.key(), signature=Need.REQUIRED)
    # Without the API each takes two requests, and the second writes the list.
    registry.fail("PUT", "manifests/", say(403), skip=done * (1 if registry.referrers_api else 2))
    with pytest.raises(RegistryError):
        run(made, transport, registry)
    assert len(kinds(made, transport, registry)) < 9
    (line,) = run(made, transport, registry)
    assert line.startswith("app:1: attached: ")
    assert len(kinds(made, transport, registry)) == 9
    assert len(list_signatures(transport, image(made, registry))) == 1
    assert run(made, transport, registry) == []


def test_a_signature_that_has_its_tag_is_listed_by_the_next_run(
    made: Attested, transport: Transport, registry: FaultyRegistry, cosign: FakeCosign
) -> None:
    registry.referrers_api = False
    made = made.with_settings(sign=cosign.key(), signature=Need.REQUIRED)
    registry.fail("PUT", "manifests/", say(403), skip=18)
    with pytest.raises(RegistryError):
        run(made, transport, registry)
    assert len(list_signatures(transport, image(made, registry))) == 1
    assert ARTIFACT not in kinds(made, transport, registry)
    (line,) = run(made, transport, registry)
    assert line.startswith("app:1: attached: signature of key ")
    assert kinds(made, transport, registry).count(ARTIFACT) == 1
    assert len(list_signatures(transport, image(made, registry))) == 1


def test_another_signer_signs_as_well(
    made: Attested, transport: Transport, registry: FaultyRegistry, cosign: FakeCosign
) -> None:
    run(made.with_settings(sign=cosign.key("others")), transport, registry)
    run(made.with_settings(sign=cosign.key("ours")), transport, registry)
    assert len(list_signatures(transport, image(made, registry))) == 2
    assert len(list(find_bundles(transport, image(made, registry), PROVENANCE))) == 2


def test_with_an_identity_token(
    made: Attested, transport: Transport, registry: FaultyRegistry, cosign: FakeCosign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", "me https://issuer")
    assert "needs images.evidence.identity and issuer" in run(made, transport, registry)[0]
    wanted: dict[str, Any] = {"identity": "me", "issuer": "https://issuer"}
    (line,) = run(made.with_settings(**wanted), transport, registry)
    assert line.endswith("signature of me (https://issuer)")
    (signed,) = list_signatures(transport, image(made, registry))
    assert (signed.signature.certificate, signed.signature.log) == ("me https://issuer", {"Payload": {"logIndex": 1}})
    assert run(made.with_settings(**wanted), transport, registry) == []
    assert len(cosign.calls("attest-blob")) == 4


def test_what_others_have_attached_is_in_nobodys_way(
    made: Attested, transport: Transport, registry: FaultyRegistry, cosign: FakeCosign
) -> None:
    subject = made.product.manifest.descriptor
    for document in (
        bundle_document(b"no JSON", PROVENANCE),
        bundle_document(b"[]", PROVENANCE),
        Document(kind="application/x", content=b"hello", annotations={}),
    ):
        attach_document(transport, image(made, registry), subject, document, ())
    made = made.with_settings(sign=cosign.key())
    run(made, transport, registry)
    assert run(made, transport, registry) == []
    (bundle,) = find_bundles(transport, image(made, registry), PROVENANCE)
    assert bundle.statement.subject == made.build.digest
