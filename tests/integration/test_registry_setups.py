"""All that is done to what is published, on registries with and without login and deletion, read back by another's client."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scripts.release.audit import audit
from scripts.release.correct import rollback, yank
from scripts.release.ledger import FILENAME, load_ledger
from scripts.release.place import Place
from scripts.release.publish import Facts, publish
from scripts.release.revision import Step
from scripts.release.transport import Transport
from tests.memory_registry import sha256
from tests.products import make_product
from tests.registries import LOGIN, find_program, serve_registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.engine

TAG = "2.3.1-cuda12.1"
FACTS = Facts(reason="numpy 2.4.5 to 2.4.6", time="2026-11-25T12:00:00Z", recipe="ab" * 32)
LATER = "2026-11-26T12:00:00Z"


def skopeo(*words: str, login: bool) -> bytes:
    """What skopeo answers, with no password but the one that it is told."""
    verb, *rest = words
    source = ["--src-tls-verify=false"] if verb == "copy" else ["--tls-verify=false"]
    key = "--src-creds" if verb == "copy" else "--creds"
    credentials = [key, f"{LOGIN.username}:{LOGIN.password}"] if login else []
    command = [find_program("skopeo"), "--insecure-policy", verb, *source, *credentials, *rest]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.mark.parametrize("login", [False, True], ids=["anybody", "login"])
@pytest.mark.parametrize("delete", [False, True], ids=["no deletion", "deletion"])
def test_everything_on_each_kind_of_registry(
    tmp_path: Path, measured: Callable[[str], None], *, login: bool, delete: bool
) -> None:
    first, second = make_product(tmp_path / "1", "base", "one"), make_product(tmp_path / "2", "base", "two")
    with (
        serve_registry(tmp_path / "registry", login=login, delete=delete) as registry,
        Transport(credentials=lambda _: LOGIN if login else None) as transport,
    ):
        place = Place(repository=registry.repository(), tag=TAG, ledger=tmp_path / "family" / FILENAME)
        done = [publish(transport, place, product, FACTS) for product in (first, first, second, second)]
        assert [(item.step, item.revision) for item in done] == [
            (Step.NEW, 1),
            (Step.UNCHANGED, 1),
            (Step.NEW, 2),
            (Step.UNCHANGED, 2),
        ]
        back = rollback(transport, place, 1, "two does not start", LATER)
        assert (back.step, back.revision, back.same_as) == (Step.NEW, 3, 1)
        away = yank(transport, place, 3, "one is worse", LATER)
        assert away is not None
        assert (away.step, away.revision, away.same_as) == (Step.NEW, 4, 2)
        other = replace(place, tag="other")
        assert publish(transport, replace(other, siblings=(place.repository,)), first, FACTS).revision == 1

        ledger = load_ledger(place.ledger)
        assert list(audit(transport, place.repository, [TAG, "other"], ledger)) == []
        expected = {1: first, 2: second, 3: first, 4: second}
        lines = ledger.published(str(place.repository), TAG)
        assert {line.revision: line.digest for line in lines} == {
            number: product.manifest.digest for number, product in expected.items()
        }
        tags = {f"{TAG}-r{number}": product for number, product in expected.items()}
        tags |= {TAG: second, "other": first, "other-r1": first}
        for tag, product in tags.items():
            name = f"docker://{place.repository}:{tag}"
            assert json.loads(skopeo("inspect", name, login=login))["Digest"] == product.manifest.digest
            raw = skopeo("inspect", "--raw", name, login=login)
            assert raw == product.manifest.content
        copied = tmp_path / "copied"
        skopeo("copy", "--preserve-digests", f"docker://{place.repository}:{TAG}", f"dir:{copied}", login=login)
        for blob in second.blobs:
            assert sha256((copied / blob.digest.removeprefix("sha256:")).read_bytes()) == blob.digest
    measured(f"registry with login={login}, delete={delete}: {len(tags)} tags as skopeo reads them")
