"""Workspaces in other places than root's own container: another user, under a path, with volumes, without a disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from tests.workspaces import HEADERS, browser, evaluate, lets_in, public, ssh, workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.smoke.plugin import Claim
    from tests.containers import Container

    Place = tuple[Container, str]

FRIENDS = r"https://.*\.friend\.example"


@pytest.fixture(scope="module")
def ann(image: str, key: Path) -> Iterator[Place]:
    """A user without a name, under a path, whose page another site embeds."""
    environment = {
        "VESSL_SSH_PUBLIC_KEY": public(key),
        "VESSL_BASE_URL": "https://lab.example/user/ann",
        "VESSL_ALLOW_ORIGIN_PAT": FRIENDS,
    }
    with workspace(image, "/user/ann/", user="1000:100", environment=environment) as place:
        yield place


@pytest.fixture(scope="module")
def volumes(image: str, key: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Path]]:
    """A read-only root, an empty volume on the home directory, and data that may only be read."""
    folder = tmp_path_factory.mktemp("volumes")
    for name in ("home", "data"):
        (folder / name).mkdir()
    (folder / "data" / "set").write_text("of data")
    mounts = [f"{folder}/home:/root", f"{folder}/data:/data:ro"]
    tmpfs = {"/tmp": "", "/run": ""}
    environment = {"VESSL_SSH_PUBLIC_KEY": public(key), "VESSL_WORKSPACE_DIR": "/data"}
    with workspace(image, read_only=True, tmpfs=tmpfs, volumes=mounts, environment=environment) as place:
        yield place, folder


def test_base_url(ann: Place, claim: Claim) -> None:
    """Everything is below the path, and nothing beside it."""
    address = ann[1]
    below = requests.get(f"{address}lab", headers=HEADERS, timeout=30).status_code
    beside = requests.get(f"{address.removesuffix('user/ann/')}lab", headers=HEADERS, timeout=30).status_code
    claim(f"below {below}, beside {beside}", "below 200, beside 404")


def test_sites_that_were_named_may_use_it(ann: Place, claim: Claim) -> None:
    sites = {"a.friend.example": "in", "a.friend.example.evil.example": "out"}
    with browser(ann[1]) as session:
        measured = {site: "in" if lets_in(session, ann[1], f"https://{site}") else "out" for site in sites}
    claim(measured, sites)


def test_user_without_a_name(ann: Place, claim: Claim) -> None:
    """Runs cells with a home directory and a name."""
    who = "import getpass, os; ' '.join([str(os.getuid()), str(os.getgid()), getpass.getuser(), os.environ['HOME']])"
    claim(evaluate(ann[1], who), "'1000 100 workspace /tmp/home-1000'")


def test_user_without_a_name_has_ssh(ann: Place, key: Path, claim: Claim) -> None:
    """A shell and sftp, on a port that needs no root."""
    done = ssh(ann[0], key, "id -un; id -u; pwd", user="workspace", port=2222)
    sftp = ssh(ann[0], key, "-s", "sftp", user="workspace", port=2222)
    words = " ".join(done.stdout.split()) or done.stderr.strip()
    claim(f"{words}, sftp {sftp.returncode}", "workspace 1000 /tmp/home-1000, sftp 0")


def test_empty_volume_on_the_home_directory(volumes: tuple[Place, Path], key: Path, claim: Claim) -> None:
    """A kernel writes to it, ssh sees it, and it is on the host."""
    (container, address), folder = volumes
    evaluate(address, "import os; open(os.path.expanduser('~/a.txt'), 'w').write('hello')")
    file = folder / "home" / "a.txt"
    there = file.read_text() if file.exists() else "no file"
    done = ssh(container, key, "cat ~/a.txt")
    claim(f"{there}, {done.stdout or done.stderr.strip()}", "hello, hello")


def test_read_only_mount(volumes: tuple[Place, Path], claim: Claim) -> None:
    """JupyterLab shows what is in it, and a line says that notebooks cannot be saved there."""
    container, address = volumes[0]
    shown = requests.get(f"{address}api/contents/set", headers=HEADERS, timeout=30).json().get("content")
    body = {"type": "file", "format": "text", "content": "x"}
    saved = requests.put(f"{address}api/contents/b", headers=HEADERS, json=body, timeout=30).status_code
    warned = "workspace: /data cannot be written to: notebooks in it cannot be saved" in container.log
    claim(
        f"{shown}, {'not saved' if saved >= 400 else 'saved'}, {'a' if warned else 'no'} warning",
        "of data, not saved, a warning",
    )
