"""No layer holds what must not be there: what a later layer removes is still pulled, and can be read by everyone."""

from __future__ import annotations

import datetime
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import certifi
import pytest

from scripts.contents.layers import LayerError
from scripts.contents.leftovers import Finding, Kind, Markers, inspect_variable, inspect_words
from scripts.contents.scan import Cache, scan_engine, scan_layout
from scripts.recipe.matrix import load_families
from tests.smoke.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scripts.contents.layers import Image
    from scripts.contents.scan import Scan
    from scripts.smoke.plugin import Claim
    from tests.containers import Container

    Looked = tuple[Image, tuple[Scan, ...]]

# What pip has built in, whatever it is told: the index that is everybody's, and where that keeps its files.
PUBLIC_INDEX = "from pip._internal.models.index import PyPI; print(PyPI.netloc, PyPI.file_storage_domain)"
HOST = re.compile(r"\bhttps?://(?:[^/@\s'\"]*@)?([^/\s'\"]+)")
BODY = re.compile(rb"-----BEGIN CERTIFICATE-----\s+(.+?)\s+-----END CERTIFICATE-----", re.DOTALL)
BUILD_HOURS = 12
"""A file that is this young when the image is loaded or tagged has the time of its build."""
FINDINGS = {
    "host-keys": (Kind.HOST_KEY,),
    "private-keys": (Kind.PRIVATE_KEY,),
    "credentials": (Kind.CREDENTIAL,),
    "certificates": (Kind.CERTIFICATE,),
    "index-addresses": (Kind.INDEX,),
    "caches": (Kind.CACHE,),
    "logs": (Kind.LOG,),
    "leftovers": (Kind.LEFTOVER,),
    "set-uid": (Kind.SET_UID,),
    "world-writable": (Kind.WORLD_WRITABLE,),
}


@pytest.fixture(scope="module")
def markers(rest: Container) -> Markers:
    """What gives this machine away: its package indexes, and authorities that are not the world's."""
    public = rest.exec("python", "-I", "-c", PUBLIC_INDEX).stdout.split()
    asked = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    torch = {host for family in load_families(ROOT) for host in HOST.findall(family.manifest.torch_index or "")}
    own_hosts = own_indexes(os.environ, asked.stdout) - {*public, *torch}
    own = Path(os.environ.get("SSL_CERT_FILE") or certifi.where()).read_bytes()
    shipped = rest.exec("sh", "-c", "find /usr/share/ca-certificates -name '*.crt' -exec cat {} +").stdout.encode()
    known = bodies(Path(certifi.where()).read_bytes()) | bodies(shipped)
    # the last whole line of a body is of the signature, which no other certificate has
    lines = sorted(body.split()[-2] for body in bodies(own) - known if len(body.split()) > 1)
    return Markers(certificates=tuple(lines), indexes=tuple(host.encode() for host in sorted(own_hosts)))


def own_indexes(environment: Mapping[str, str], pip_config: str) -> set[str]:
    """The hosts of the package indexes that this machine is set up with: uv's in variables, pip's wherever it says."""
    variables = (
        value for name, value in environment.items() if re.fullmatch(r"(UV|PIP)_\w*(INDEX|FIND_LINKS)\w*", name)
    )
    return {host for text in (*variables, pip_config) for host in HOST.findall(text)}


def bodies(bundle: bytes) -> set[bytes]:
    return {b"\n".join(body.split()) for body in BODY.findall(bundle)}


@pytest.fixture(scope="module")
def looked(image: str, layout: Path | None, scans: Path, markers: Markers, inspected: Mapping[str, Any]) -> Looked:
    """The image's config, and what is in each of its layers."""
    cache = Cache(scans, markers)
    try:
        if layout:
            return scan_layout(layout, image, cache, workers=2)
        return scan_engine(image, image, cache, f"{inspected['Os']}/{inspected['Architecture']}")
    except LayerError as error:
        pytest.fail(str(error), pytrace=False)


def told(findings: Iterable[Finding]) -> str:
    """The first finding, and how many more there are."""
    found = [f"{item.path}: {item.detail}" for item in findings]
    return (found[0] + (f", and {len(found) - 1} more" if found[1:] else "")) if found else ""


@pytest.mark.parametrize("name", FINDINGS)
def test_no(looked: Looked, name: str, claim: Claim) -> None:
    scans = looked[1]
    found = [item for scan in scans for item in scan.findings if item.kind in FINDINGS[name]]
    count = sum(scan.entries for scan in scans)
    claim(told(found) or f"none of {count}", "none", ok=not found and count > 1000)


def test_intact(looked: Looked, claim: Claim) -> None:
    """Each layer unpacks to what the config says."""
    image, scans = looked
    wrong = [layer.digest for layer, scan in zip(image.layers, scans, strict=True) if layer.diff_id != scan.diff_id]
    claim(
        f"{wrong[0]} is damaged" if wrong else f"{len(scans)} layers",
        "as the config says",
        ok=not wrong and bool(scans),
    )


def test_times(looked: Looked, layout: Path | None, inspected: Mapping[str, Any], claim: Claim) -> None:
    """No file has the time of the build, or the image would be another one each time it is built."""
    tagged = re.sub(r"\.\d+", "", inspected["Metadata"]["LastTagTime"])
    made = datetime.datetime.fromisoformat(tagged).timestamp()
    if layout:
        made = min(made, (layout / "index.json").stat().st_mtime)
    young = [scan for scan in looked[1] if scan.newest > made - BUILD_HOURS * 3600]
    newest = max(looked[1], key=lambda scan: scan.newest)
    day = datetime.datetime.fromtimestamp(newest.newest, datetime.UTC).date()
    claim(f"/{young[0].newest_path}: {day}" if young else f"newest {day}", "none of the build's day", ok=not young)


def test_history(looked: Looked, markers: Markers, claim: Claim) -> None:
    """Neither the history, nor a build argument in it, nor a label, nor the command has a secret or an address."""
    config = looked[0].config
    found: list[Finding] = []
    for step in config.get("history", ()):
        line = step.get("created_by", "")
        found += inspect_words("history", line, markers)
        for name, value in re.findall(r"\b([A-Za-z_]\w*)=(\S+)", line):
            found += inspect_variable(name, value, markers)
    settings = config["config"]
    for name, value in (settings.get("Labels") or {}).items():
        found += inspect_words(name, value, markers)
    for name in ("Cmd", "Entrypoint"):
        found += inspect_words(name, " ".join(settings.get(name) or ()), markers)
    claim(told(found) or f"{len(config.get('history', ()))} steps", "nothing", ok=not found)


def test_environment(looked: Looked, markers: Markers, claim: Claim) -> None:
    variables = [item.partition("=") for item in looked[0].config["config"].get("Env") or ()]
    found = [item for name, _, value in variables for item in inspect_variable(name, value, markers)]
    claim(told(found) or f"{len(variables)} variables", "no secret", ok=not found)
