"""What is attached, by syft and cosign, in Debian's docker-registry, which has no referrers API; checked with others' tools."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft7Validator
from referencing import Registry, Resource
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from scripts.build.wanted import Need
from scripts.contents.inventory import MEDIA_TYPE
from scripts.release.attestations import attach_document, bundle_document, find_bundles
from scripts.release.cosign import NO_ROOTS, find_cosign
from scripts.release.evidence import attach_evidence, prepare_evidence, with_inventory
from scripts.release.findings import Finding, State, sums_up
from scripts.release.ledger import FILENAME, append_lines
from scripts.release.lines import Published
from scripts.release.place import ledger_root
from scripts.release.provenance import builder_id
from scripts.release.referrers import fallback_tag, list_referrers
from scripts.release.registry import delete_manifest, get_manifest, list_tags, put_manifest
from scripts.release.sbom import CYCLONEDX_TYPE, SPDX_TYPE, Origin, make_sboms
from scripts.release.signatures import signature_tag
from scripts.release.signer import find_trust
from scripts.release.statements import BUNDLE, IN_TOTO, INVENTORY, PROVENANCE, STATEMENT, TEST_RESULT
from scripts.release.target import find_target
from scripts.release.transport import Transport
from scripts.release.upload import upload_blobs
from scripts.release.verify import Proofs, verify
from tests.attested import BASE, COMMIT, LOCK, Attested, make_build
from tests.products import make_product
from tests.registries import RealRegistry, find_program, serve_registry
from tests.test_inventory_read import take

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.release.cosign import Cosign
    from scripts.release.reference import Repository

pytestmark = pytest.mark.engine

WORD = "only for this test"


@pytest.fixture(scope="module")
def cosign() -> Cosign:
    return find_cosign(print, may_install=True)


@pytest.fixture(scope="module")
def keys(cosign: Cosign, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two key pairs: ours.key, ours.pub, others.key, others.pub."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ours", "others"):
        command = [cosign.program, "generate-key-pair", "--output-key-prefix", name]
        subprocess.run(
            command, cwd=folder, env={**os.environ, "COSIGN_PASSWORD": WORD}, check=True, capture_output=True
        )
    return folder


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with serve_registry(tmp_path_factory.mktemp("registry"), delete=True) as found:
        yield found


@pytest.fixture
def transport() -> Iterator[Transport]:
    with Transport(credentials=lambda _: None) as found:
        yield found


@pytest.fixture
def repository(registry: RealRegistry, request: pytest.FixtureRequest) -> Repository:
    """A repository that no other test has."""
    return registry.repository(f"vessl-ai/{request.node.name.strip('_').replace('_', '-')[:60].strip('-')}/app")


@pytest.fixture
def made(tmp_path: Path, repository: Repository, keys: Path, monkeypatch: pytest.MonkeyPatch) -> Attested:
    """A build whose key is ours."""
    monkeypatch.setenv("COSIGN_PASSWORD", WORD)
    registry = str(repository).removesuffix("/app")
    wanted = {"sign": str(keys / "ours.key"), "trust": str(keys / "ours.pub"), "signature": Need.REQUIRED}
    return make_build(tmp_path, registry).with_settings(**wanted)


def publish(made: Attested, transport: Transport, repository: Repository) -> list[str]:
    """Upload it, attach its evidence, write its ledger line; gives what was said."""
    said: list[str] = []
    made.upload(transport, repository, "1", "1-r1")
    evidence = prepare_evidence(made.settings, made.build, made.smoke, said.append)
    evidence = with_inventory(evidence, take(made.layout), made.build.digest, Need.REQUIRED)
    attach_evidence(transport, repository, made.product.manifest, evidence, said.append)
    return said


def write_ledger(made: Attested, repository: Repository, **changed: Any) -> None:
    facts: dict[str, Any] = {
        "repository": str(repository),
        "tag": "1",
        "revision": 1,
        "time": "2026-11-26T10:00:00Z",
        "reason": "first revision",
        "digest": made.build.digest,
        "size": made.build.size,
        "commit": COMMIT,
        "base": BASE,
    }
    append_lines(ledger_root(made.settings, repository) / "fam" / FILENAME, Published(**{**facts, **changed}))


def run_cosign(cosign: Cosign, *words: str, code: int = 0) -> str:
    done = subprocess.run([cosign.program, *words], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout


def look(
    made: Attested, transport: Transport, repository: Repository, cosign: Cosign, key: str = ""
) -> dict[str, Finding]:
    spec: Any = type("Spec", (), {"repository": "app"})
    target = find_target(f"{repository}:1", {"app:1": spec}, made.settings, transport)
    trust = find_trust(key, made.settings, cosign)
    proofs = Proofs(
        transport=transport, target=target, settings=made.settings, cosign=cosign, trust=trust, demanded=bool(key)
    )
    return {item.what: item for item in verify(proofs)}


def test_others_tools_verify_what_is_attached(
    made: Attested, transport: Transport, repository: Repository, cosign: Cosign, keys: Path, tmp_path: Path
) -> None:
    said = publish(made, transport, repository)
    assert len(said) == 2, said
    assert said[0].startswith("app:1: making the SBOMs of sha256:")
    assert said[1].startswith("app:1: attached: inventory, SPDX, CycloneDX, provenance, smoke test, inventory (signed)")
    image = f"{repository}@{made.build.digest}"
    place = ("--allow-http-registry", image)
    (claim,) = json.loads(
        run_cosign(cosign, "verify", "--key", str(keys / "ours.pub"), "--insecure-ignore-tlog", *place)
    )
    assert claim["critical"]["image"]["docker-manifest-digest"] == made.build.digest
    run_cosign(cosign, "verify", "--key", str(keys / "others.pub"), "--insecure-ignore-tlog", *place, code=12)
    (tmp_path / "roots").write_text(NO_ROOTS)
    words = ("--new-bundle-format", "--insecure-ignore-tlog", "--trusted-root", str(tmp_path / "roots"), *place)
    predicates = {}
    for kind in ("slsaprovenance1", "spdxjson", "cyclonedx", TEST_RESULT, INVENTORY):
        told = run_cosign(cosign, "verify-attestation", "--key", str(keys / "ours.pub"), "--type", kind, *words)
        statement = json.loads(base64.b64decode(json.loads(told)["payload"]))
        assert statement["_type"] == STATEMENT
        assert statement["subject"] == [{"name": str(repository), "digest": {"sha256": made.build.digest[7:]}}]
        predicates[kind] = statement["predicate"]
        run_cosign(cosign, "verify-attestation", "--key", str(keys / "others.pub"), "--type", kind, *words, code=1)
    dependencies = {
        item["name"]: item["digest"]
        for item in predicates["slsaprovenance1"]["buildDefinition"]["resolvedDependencies"]
    }
    assert dependencies["recipe"] == {"gitCommit": COMMIT}
    assert dependencies["base python:3.11-slim-bookworm"] == {"sha256": BASE[7:]}
    assert dependencies["fam/locks/1/common.txt"] == {"sha256": LOCK}
    assert predicates["slsaprovenance1"]["runDetails"]["builder"]["vessl_slsaBuildLevel"] == "1 at most"
    assert predicates[TEST_RESULT]["result"] == "PASSED"
    assert predicates[INVENTORY]["apt"][0]["name"] == "openssl"
    assert {item["name"] for item in predicates["spdxjson"]["packages"]} >= {"openssl", "numpy"}
    assert {item["name"] for item in predicates["cyclonedx"]["components"]} >= {"openssl", "numpy", "debian"}


def test_skopeo_lists_what_is_attached_under_the_tag_of_the_digest(
    made: Attested, transport: Transport, repository: Repository
) -> None:
    publish(made, transport, repository)
    tag = made.build.digest.replace(":", "-")
    command = [find_program("skopeo"), "inspect", "--raw", "--tls-verify=false", f"docker://{repository}:{tag}"]
    index = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    kinds = [item["artifactType"] for item in index["manifests"]]
    assert kinds[:5] == [MEDIA_TYPE, SPDX_TYPE, CYCLONEDX_TYPE, IN_TOTO, IN_TOTO]
    assert kinds[5:10] == [BUNDLE] * 5
    assert len(kinds) == 11


def test_attached_again_nothing_is_new(made: Attested, transport: Transport, repository: Repository) -> None:
    publish(made, transport, repository)
    image = repository.digest(made.build.digest)
    before = list_tags(transport, repository), list_referrers(transport, image)
    assert publish(made, transport, repository) == []
    assert (list_tags(transport, repository), list_referrers(transport, image)) == before
    assert len(before[1]) == 11
    assert signature_tag(image).name in before[0]


def test_the_sboms_are_valid_and_the_same_from_another_place(made: Attested, tmp_path: Path) -> None:
    origin = Origin(name=made.build.id, digest=made.build.digest, epoch=made.build.epoch, source=made.settings.source)
    sboms = make_sboms(made.layout, origin, made.settings.out, print)
    other = make_build(tmp_path / "another place")
    assert make_sboms(other.layout, origin, other.settings.out, print) == sboms
    assert str(tmp_path) not in sboms.spdx.decode() + sboms.cyclonedx.decode()
    path = tmp_path / "sbom.spdx.json"
    path.write_bytes(sboms.spdx)
    document = parse_file(str(path))
    assert [message.validation_message for message in validate_full_spdx_document(document)] == []
    assert (document.creation_info.spdx_version, len(document.packages)) == ("SPDX-2.3", 3)
    schemas = files("cyclonedx.schema") / "_res"
    loaded = {
        name: json.loads((schemas / f"{name}.SNAPSHOT.schema.json").read_text())
        for name in ("bom-1.6", "spdx", "jsf-0.82")
    }
    resources = {name: Resource.from_contents(schema) for name, schema in loaded.items()}
    folder = loaded["bom-1.6"]["$id"].rpartition("/")[0]
    known = Registry().with_resources(
        (f"{folder}/{name}.SNAPSHOT.schema.json", item) for name, item in resources.items()
    )
    faults = Draft7Validator(loaded["bom-1.6"], registry=known).iter_errors(json.loads(sboms.cyclonedx))
    assert [fault.message for fault in faults] == []
    assert sboms.packages == 2


def test_all_is_proven_of_what_was_published_so(
    made: Attested, transport: Transport, repository: Repository, cosign: Cosign
) -> None:
    publish(made, transport, repository)
    write_ledger(made, repository)
    found = look(made, transport, repository, cosign)
    assert {what: item.state for what, item in found.items()} == dict.fromkeys(
        ("signature", "provenance", "ledger", "smoke test", "SBOM", "inventory"), State.PROVEN
    )
    assert found["signature"].by.startswith("key ")
    assert found["ledger"].by == "the ledger"
    assert found["provenance"].why.startswith(f"built by {builder_id(made.settings)}, commit {COMMIT[:12]}, recipe ")
    assert sums_up(found.values()) == ""


def test_a_wrong_key_proves_nothing(
    made: Attested, transport: Transport, repository: Repository, cosign: Cosign, keys: Path
) -> None:
    publish(made, transport, repository)
    write_ledger(made, repository)
    found = look(made, transport, repository, cosign, str(keys / "others.pub"))
    states = {what: item.state for what, item in found.items()}
    assert states.pop("ledger") is State.PROVEN
    assert set(states.values()) == {State.FAILED}
    assert "none good" in found["signature"].why
    assert sums_up(found.values()).startswith("signature FAILED, provenance FAILED")


def test_a_statement_that_was_tampered_with_fails(
    made: Attested, transport: Transport, repository: Repository, cosign: Cosign
) -> None:
    publish(made, transport, repository)
    write_ledger(made, repository)
    # What who may write to the registry can do: another payload in the same envelope, and the true one taken away.
    image, subject = repository.digest(made.build.digest), made.product.manifest.descriptor
    (bundle,) = find_bundles(transport, image, PROVENANCE)
    raw = json.loads(bundle.content)
    payload = base64.b64decode(raw["dsseEnvelope"]["payload"]).replace(COMMIT.encode(), b"f" * 40)
    raw["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    delete_manifest(transport, repository.digest(get_manifest(transport, fallback_tag(image)).digest))
    attach_document(transport, image, subject, bundle_document(json.dumps(raw).encode(), PROVENANCE), ())
    found = look(made, transport, repository, cosign)
    assert found["provenance"].state is State.FAILED
    assert found["signature"].state is State.PROVEN
    assert sums_up(found.values()).startswith("provenance FAILED")


def test_a_ledger_that_says_otherwise_is_believed_more_than_the_signature(
    made: Attested, transport: Transport, repository: Repository, cosign: Cosign
) -> None:
    publish(made, transport, repository)
    write_ledger(made, repository, recipe="ff" * 32)
    found = look(made, transport, repository, cosign)
    assert found["provenance"].state is State.FAILED
    assert f"expected {'ff' * 32}" in found["provenance"].why


def test_of_another_projects_image_little_is_known(
    made: Attested, transport: Transport, registry: RealRegistry, cosign: Cosign, tmp_path: Path
) -> None:
    theirs = registry.repository("others/thing")
    product = make_product(tmp_path / "theirs", "one")
    upload_blobs(transport, theirs, product.blobs)
    put_manifest(transport, theirs.tag("1"), product.manifest)
    found = look(made, transport, theirs, cosign)
    assert {item.state for item in found.values()} == {State.OPEN}
    assert found["ledger"].why == "another project's: no ledger of ours knows it"
    assert sums_up(found.values()) == "nothing is proven"
