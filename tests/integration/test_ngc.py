"""deprecated-ngc on a small base that is like NGC's: a framework and a numpy of its own that nothing may replace."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest

from scripts.build.bases import default_cache, make_stand_in
from scripts.build.sources import provide_uv
from tests.integration.conftest import ROOT

pytestmark = pytest.mark.engine

TORCH = "2.4.0a0+07cecf4168.nv24.5"
PYTHON_BASE = "python:3.11-slim-bookworm"
NGC = "nvcr.io/nvidia/pytorch:24.05-py3"
UV = "--mount=type=bind,from=uv,source=/uv,target=/usr/local/bin/uv --mount=type=secret,id=ca-bundle"
BASE = f"""
FROM {PYTHON_BASE}
RUN {UV} [ ! -f /run/secrets/ca-bundle ] || export SSL_CERT_FILE=/run/secrets/ca-bundle; \
    uv pip install -q --system --break-system-packages numpy==1.26.4 tqdm==4.66.0
RUN cd /usr/local/lib/python3.11/dist-packages && mkdir torch torch-{TORCH}.dist-info \
    && echo '__version__ = "{TORCH}"' > torch/__init__.py \
    && printf 'Metadata-Version: 2.1\\nName: torch\\nVersion: {TORCH}\\n' > torch-{TORCH}.dist-info/METADATA
"""
CHECK = f"""
FROM built
RUN python -c 'import torch, numpy, tqdm, pandas, jupyterlab, vessl; \
    assert torch.__version__ == "{TORCH}", torch.__version__; \
    assert (numpy.__version__, tqdm.__version__) == ("1.26.4", "4.66.0")' \
    && python -m pip install --no-index torch==2.3.0 2>&1 | grep -q '(constraint) torch=={TORCH}' \
    && vessl --version && command -v jupyter tini sshd
"""


def test_what_is_added_replaces_nothing_of_the_base() -> None:
    base = make_stand_in(PYTHON_BASE, default_cache())
    uv = str(provide_uv(default_cache().parent / "tools"))
    bundle = os.environ.get("SSL_CERT_FILE")
    secret = {"secret": [f"type=file,id=ca-bundle,src={bundle}"]} if bundle else {}
    common: dict[str, Any] = {"context": ".", "output": ["type=cacheonly"], **secret}
    stand_in = {PYTHON_BASE: f"oci-layout://{base.layout}@{base.digest}", "uv": uv}
    targets = {
        "base": {**common, "dockerfile-inline": BASE, "contexts": stand_in},
        "ngc": {
            **common,
            "dockerfile": "deprecated-ngc/Dockerfile",
            "target": "torch",
            "args": {"PYTHON_VERSION": "3.11"},
            "contexts": {NGC: "target:base", "uv": uv},
        },
        "check": {**common, "dockerfile-inline": CHECK, "contexts": {"built": "target:ngc"}},
    }
    done = subprocess.run(
        ["docker", "buildx", "bake", "--file", "-", "--progress", "plain", "check"],
        input=json.dumps({"target": targets}),
        cwd=ROOT,
        env={**os.environ, "BUILDX_BAKE_ENTITLEMENTS_FS": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
