"""``verify``: what counts as proven, by whom, what is merely absent, and what it ends with."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from scripts.build.wanted import Need
from scripts.errors import UsageError
from scripts.recipe.inputs import Recipe
from scripts.release import sbom
from scripts.release.attestations import attach_document, bundle_document
from scripts.release.evidence import attach_evidence, prepare_evidence, with_inventory
from scripts.release.findings import Finding, State, sums_up
from scripts.release.ledger import FILENAME, append_lines
from scripts.release.lines import Published, Smoke, Yanked
from scripts.release.place import ledger_root
from scripts.release.refusal import NotFoundError
from scripts.release.signatures import Signed, attach_signature, render_payload
from scripts.release.signer import find_trust
from scripts.release.statements import PROVENANCE, Statement, render_bundle, render_statement, to_be_signed
from scripts.release.target import find_target
from scripts.release.verify import Proofs, verify
from tests.attested import BASE, COMMIT, Attested, make_build, put_syft
from tests.faulty_registry import FaultyRegistry, connect
from tests.test_inventory_read import take

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.release.transport import Transport
    from tests.conftest import Tasks
    from tests.fake_cosign import FakeCosign

SMOKE = Smoke(checks="c" * 64, started="2026-11-25T12:00:00+00:00", passed=70, skipped=2)
TIME = "2026-11-26T10:00:00Z"


@dataclass
class World:
    """A registry, an image in it, and who signs."""

    registry: FaultyRegistry
    transport: Transport
    made: Attested
    cosign: FakeCosign

    def attach(self, **settings: Any) -> None:
        made = self.made.with_settings(**settings)
        evidence = prepare_evidence(made.settings, made.build, made.smoke, print)
        evidence = with_inventory(evidence, take(made.layout), made.build.digest, Need.REQUIRED)
        attach_evidence(self.transport, self.repository, made.product.manifest, evidence, print)

    @property
    def repository(self) -> Any:
        return self.registry.repository("vessl-ai/app")

    def write(self, *lines: Any, **changed: Any) -> None:
        facts: dict[str, Any] = {
            "repository": str(self.repository),
            "tag": "1",
            "revision": 1,
            "time": TIME,
            "reason": "first revision",
            "digest": self.made.build.digest,
            "size": 1,
            "recipe": Recipe(parts=self.made.build.recipe).hash,
            "commit": COMMIT,
            "base": BASE,
        }
        path = ledger_root(self.made.settings, self.repository) / "fam" / FILENAME
        append_lines(path, Published(**{**facts, **changed}), *lines)

    def look(self, word: str = "app:1", key: str = "", **settings: Any) -> dict[str, Finding]:
        made = self.made.with_settings(**settings)
        spec: Any = type("Spec", (), {"repository": "app"})
        target = find_target(word, {"app:1": spec}, made.settings, self.transport)
        trust = find_trust(key, made.settings, self.cosign.tool)
        proofs = Proofs(
            transport=self.transport,
            target=target,
            settings=made.settings,
            cosign=self.cosign.tool,
            trust=trust,
            demanded=bool(key),
        )
        return {item.what: item for item in verify(proofs)}

    def states(self, *words: str, **settings: Any) -> dict[str, State]:
        return {what: item.state for what, item in self.look(*words, **settings).items()}


@contextmanager
def make_world(tmp_path: Path, cosign: FakeCosign, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    program = put_syft(tmp_path / "bin")
    monkeypatch.setattr(sbom, "find_syft", lambda: program)
    with FaultyRegistry() as registry, connect() as client:
        made = make_build(tmp_path, f"{registry.host}/vessl-ai")
        found = World(registry, client.transport, made, cosign)
        made.upload(client.transport, found.repository, "1", "1-r1")
        yield found


@pytest.fixture
def world(tmp_path: Path, cosign: FakeCosign, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with make_world(tmp_path, cosign, monkeypatch) as made:
        yield made


def test_all_is_proven(world: World) -> None:
    world.attach(sign=world.cosign.key())
    world.write(smoke=SMOKE)
    found = world.look(trust=world.cosign.public())
    assert {item.state for item in found.values()} == {State.PROVEN}
    key = found["signature"].by
    assert [item.by for item in found.values()] == [key, key, "the ledger", key, key, key]
    assert found["smoke test"].why == "PASSED, 1 passed"
    assert found["SBOM"].why == "SPDX and CycloneDX"
    assert found["ledger"].why == "1-r1, 2026-11-26"
    assert sums_up(found.values()) == ""


def test_nobody_is_named_so_only_the_ledger_proves(world: World) -> None:
    world.attach(sign=world.cosign.key())
    world.write(smoke=SMOKE)
    found = world.look()
    assert found["signature"].why == "1 signature attached, and no key is named to check it with (--key)"
    assert {what: item.state for what, item in found.items()} == {
        "signature": State.OPEN,
        "provenance": State.OPEN,
        "ledger": State.PROVEN,
        "smoke test": State.PROVEN,
        "SBOM": State.OPEN,
        "inventory": State.OPEN,
    }
    assert found["smoke test"].why == "70 passed, 2 skipped, 2026-11-25"
    assert sums_up(found.values()) == ""


def test_unsigned_evidence_is_told_and_proves_nothing(world: World) -> None:
    world.attach()
    found = world.look()
    assert found["provenance"].why.startswith("nobody has signed it: built by https://github.com/vessl-ai/images/")
    assert found["smoke test"].why == "nobody has signed it: PASSED, 1 passed"
    assert found["SBOM"].why == found["inventory"].why == "attached, but nobody has signed it"
    assert sums_up(found.values()) == "ledger NOT PROVEN"


def test_where_somebody_signs_nothing_required_may_be_absent(world: World) -> None:
    world.write(smoke=SMOKE)
    found = world.look(trust=world.cosign.public())
    missing = "signature NOT PROVEN, provenance NOT PROVEN, SBOM NOT PROVEN, inventory NOT PROVEN"
    assert sums_up(found.values()) == missing
    found = world.look(trust=world.cosign.public(), provenance=Need.OPTIONAL, sbom=Need.OFF, inventory=Need.OFF)
    assert sums_up(found.values()) == "signature NOT PROVEN"
    assert sums_up(world.look(signature=Need.REQUIRED).values()) == "signature NOT PROVEN"


def test_a_key_that_has_signed_nothing(world: World) -> None:
    world.attach(sign=world.cosign.key())
    world.write()
    found = world.look(key=world.cosign.public("others"))
    assert sums_up(found.values()) == (
        "signature FAILED, provenance FAILED, smoke test FAILED, SBOM FAILED, inventory FAILED"
    )
    assert found["signature"].why.startswith("1 signature attached, none good: invalid signature")


def test_the_signature_of_another_image_put_here(world: World) -> None:
    other = f"sha256:{'0' * 64}"
    payload = render_payload(world.repository, other)
    signed = Signed(payload=payload, signature=world.cosign.tool.sign(payload, world.cosign.key()))
    image = world.repository.digest(world.made.build.digest)
    attach_signature(world.transport, world.made.product.manifest.descriptor, image, signed)
    found = world.look(key=world.cosign.public())["signature"]
    assert (found.state, found.why) == (State.FAILED, f"1 signature attached, none good: it is of {other}")


def test_a_statement_about_another_image_put_here(world: World) -> None:
    statement = Statement(subject=f"sha256:{'0' * 64}", predicate_type=PROVENANCE, predicate={})
    payload = render_statement(statement, world.repository)
    bundle = render_bundle(payload, world.cosign.tool.sign(to_be_signed(payload), world.cosign.key()), "hint")
    manifest = world.made.product.manifest
    image = world.repository.digest(manifest.digest)
    attach_document(world.transport, image, manifest.descriptor, bundle_document(bundle, PROVENANCE), ())
    found = world.look(key=world.cosign.public())["provenance"]
    assert found.state is State.FAILED
    assert "does not match any digest" in found.why


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"commit": "f" * 40}, f"commit is {COMMIT}, expected {'f' * 40}"),
        ({"recipe": "e" * 64}, f"expected {'e' * 64}"),
        ({"base": f"sha256:{'d' * 64}"}, f"base is {BASE.removeprefix('sha256:')}, expected {'d' * 64}"),
    ],
)
def test_a_ledger_that_says_otherwise(world: World, changed: dict[str, str], said: str) -> None:
    world.attach(sign=world.cosign.key())
    world.write(**changed)
    found = world.look(key=world.cosign.public())["provenance"]
    assert found.state is State.FAILED
    assert said in found.why


def test_another_builder_than_ours(world: World) -> None:
    world.attach(sign=world.cosign.key(), builder="https://example.com/somebody")
    world.write()
    found = world.look(key=world.cosign.public())["provenance"]
    assert found.state is State.FAILED
    assert found.why.startswith("builder is https://example.com/somebody, expected https://github.com/vessl-ai/images/")


def test_a_smoke_test_that_failed(world: World) -> None:
    from scripts.smoke.record import Outcome

    world.made = replace(world.made, smoke=replace(world.made.smoke, outcome=Outcome.FAIL))
    world.attach(sign=world.cosign.key())
    world.write(smoke=SMOKE)
    found = world.look(key=world.cosign.public())["smoke test"]
    assert (found.state, found.why) == (State.FAILED, "FAILED, 1 passed")


def test_a_tag_that_is_not_the_ledgers_revision(world: World) -> None:
    world.write(digest=f"sha256:{'1' * 64}")
    found = world.look()["ledger"]
    assert (found.state, found.by) == (State.FAILED, "the ledger")
    assert found.why == f"{world.repository}:1-r1 is sha256:{'1' * 12} in the ledger"
    assert world.look("app:1-r1")["ledger"].state is State.FAILED
    assert world.look(f"app@{world.made.build.digest}")["ledger"].state is State.OPEN


def test_a_revision_that_was_yanked(world: World) -> None:
    yanked = Yanked(repository=str(world.repository), tag="1", revision=1, time=TIME, reason="it leaks")
    world.write(yanked)
    for word in ("app:1-r1", f"{world.repository}@{world.made.build.digest}"):
        found = world.look(word)["ledger"]
        assert (found.state, found.why) == (State.FAILED, "1-r1 was yanked: it leaks")


def test_another_projects_image(world: World) -> None:
    theirs = world.registry.repository("others/thing")
    world.made.upload(world.transport, theirs, "1")
    found = world.look(f"{theirs}:1", trust=world.cosign.public())
    assert {item.state for item in found.values()} == {State.OPEN}
    assert found["ledger"].why == "another project's: no ledger of ours knows it"
    assert sums_up(found.values()) == "nothing is proven"
    # With the key that they say is theirs, that they have signed it is all that is asked.
    payload = render_payload(theirs, world.made.build.digest)
    signed = Signed(payload=payload, signature=world.cosign.tool.sign(payload, world.cosign.key("theirs")))
    image = theirs.digest(world.made.build.digest)
    attach_signature(world.transport, world.made.product.manifest.descriptor, image, signed)
    assert world.look(f"{theirs}:1", trust=world.cosign.public())["signature"].state is State.OPEN
    assert sums_up(world.look(f"{theirs}:1", key=world.cosign.public("theirs")).values()) == ""
    assert sums_up(world.look(f"{theirs}:1", key=world.cosign.public()).values()) == "signature FAILED"


def test_what_is_not_there(world: World) -> None:
    with pytest.raises(NotFoundError):
        world.look("app:2")
    with pytest.raises(UsageError, match=r"no\.pub: the public key cannot be read: No such file or directory"):
        world.look(key="no.pub")


def test_as_a_task(tasks: Tasks, world: World) -> None:
    registry = f"{world.registry.host}/vessl-ai"
    world.attach(sign=world.cosign.key())
    path = {"PATH": f"{world.cosign.folder}:{tasks.environment['PATH']}"}
    words = ("verify", "app:1", "--registry", registry, "--key", world.cosign.public())
    done = tasks.run(*words, "--format", "json", **path)
    assert done.returncode == 6, done.stderr
    rows = json.loads(done.stdout)
    assert [(row["what"], row["state"]) for row in rows] == [
        ("signature", "PROVEN"),
        ("provenance", "PROVEN"),
        ("ledger", "NOT PROVEN"),
        ("smoke test", "PROVEN"),
        ("SBOM", "PROVEN"),
        ("inventory", "PROVEN"),
    ]
    assert done.stderr.splitlines()[-1] == "app:1: ledger NOT PROVEN"
    table = tasks.run(*words, **path).stdout.splitlines()
    assert table[0].split() == ["what", "state", "by", "why"]
    assert max(map(len, table)) <= 80
    # On a machine without cosign.
    bare = {"PATH": str(tasks.repository.root)}
    done = tasks.run(*words[:-2], **bare)
    assert done.returncode == 6
    assert "warning: no signature can be checked: cosign is missing" in done.stderr
    done = tasks.run(*words, **bare)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "cosign is missing, which signs and verifies: install cosign 2.5 or newer, below 3\n"
    done = tasks.run("verify", "app:9", "--registry", registry, **path)
    assert (done.returncode, done.stdout) == (4, "")
    assert "app: manifest 9: got 404 Not Found" in done.stderr
