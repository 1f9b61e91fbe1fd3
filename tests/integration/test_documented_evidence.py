"""The commands with which docs/security.md has people verify an image by hand: the real cosign, a registry on loopback."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from scripts.build.wanted import Need
from scripts.release.cosign import find_cosign
from scripts.release.evidence import attach_evidence, prepare_evidence
from scripts.release.transport import Transport
from tests.attested import make_build
from tests.registries import serve_registry

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine

WORD = "only for this test"
IMAGE = "quay.io/vessl-ai/python:3.11"
COMMANDS = (
    f"cosign verify --key cosign.pub --insecure-ignore-tlog {IMAGE}",
    "cosign trusted-root create --out roots.json",
    (
        "cosign verify-attestation --key cosign.pub --insecure-ignore-tlog --new-bundle-format "
        f"--trusted-root roots.json --type slsaprovenance1 {IMAGE}"
    ),
)


def test_an_image_is_verified_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cosign = find_cosign(print, may_install=True)
    monkeypatch.setenv("COSIGN_PASSWORD", WORD)
    subprocess.run([cosign.program, "generate-key-pair"], cwd=tmp_path, check=True, capture_output=True)
    with serve_registry(tmp_path / "registry") as registry, Transport(credentials=lambda _: None) as transport:
        repository = registry.repository("vessl-ai/python")
        made = make_build(tmp_path / "build", f"{registry.host}/vessl-ai", "python:3.11")
        made = made.with_settings(sign=str(tmp_path / "cosign.key"), signature=Need.REQUIRED)
        made.upload(transport, repository, "3.11")
        evidence = prepare_evidence(made.settings, made.build, made.smoke, print)
        attach_evidence(transport, repository, made.product.manifest, evidence, print)
        for text in COMMANDS:
            command = text.replace(IMAGE, f"--allow-http-registry {repository}:3.11").replace(
                "cosign", cosign.program, 1
            )
            done = subprocess.run(
                ["bash", "-c", command], cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{text}\n{done.stderr}"
        # Signed by nobody that is known, none of it is believed.
        (tmp_path / "cosign.key").unlink()
        (tmp_path / "cosign.pub").unlink()
        subprocess.run([cosign.program, "generate-key-pair"], cwd=tmp_path, check=True, capture_output=True)
        command = (
            COMMANDS[0].replace(IMAGE, f"--allow-http-registry {repository}:3.11").replace("cosign", cosign.program, 1)
        )
        assert subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, check=False).returncode != 0
