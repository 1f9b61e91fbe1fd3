"""The stand-in bases on a real engine: made (once, into the user's cache) and built on, as the real bases would be."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from scripts.build.bases import STAND_INS, StandIn, default_cache, make_stand_in

pytestmark = pytest.mark.engine

UV = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
CUDA = "nvcr.io/nvidia/cuda:12.1.1-cudnn8-devel-ubuntu22.04"
PYTHONS = [reference for reference in STAND_INS if reference.startswith("python:")]

WHEEL = {
    "tiny.py": "",
    "tiny-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n",
    "tiny-1.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}
CLEAN = r"""
RUN test -z "$(find / -xdev \( -name '*.pyc' -o -name 'EXTERNALLY-MANAGED' -o -name 'ssh_host_*' \) -print)" \
    && test -z "$(find /var/log /var/cache/apt /var/lib/apt/lists -type f ! -name lock -print)" \
    && test ! -e /etc/machine-id && test ! -e /var/cache/ldconfig/aux-cache \
    && ! grep -rE 'https?://[^ ]*@|BEGIN [A-Z ]*PRIVATE KEY' /etc/apt /etc/pip.conf /root 2>/dev/null
"""
PYTHON_DOCKERFILE = (
    """
ARG VERSION
FROM python:${VERSION}
"""
    + CLEAN
    + r"""
RUN for name in python python3 "python${PYTHON_VERSION%.*}" pip pip3; do \
      test "$(command -v "$name")" = "/usr/local/bin/$name" || exit 1; done
RUN test "$(python -c 'import platform; print(platform.python_version())')" = "$PYTHON_VERSION" && test "$LANG" = C.UTF-8
RUN python -c 'import bz2, ctypes, curses, dbm.gnu, ensurepip, lzma, readline, sqlite3, ssl, uuid, venv, zlib, zoneinfo; \
zoneinfo.ZoneInfo("Asia/Seoul")'
RUN test "$PYTHON_VERSION" != "${PYTHON_VERSION#3.1[2-9]}" || python -W ignore -c 'import distutils.core, lib2to3, setuptools, wheel'
RUN test -e "$(python -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h"
RUN pip install --no-index --dry-run pip && python -m venv --without-pip /tmp/bare && python -m venv /tmp/full \
    && /tmp/bare/bin/python -c 'import ssl' && /tmp/full/bin/pip --version
RUN --mount=type=bind,from=uv,source=uv,target=/uv /uv venv --python "python${PYTHON_VERSION%.*}" /opt/venv \
    && /opt/venv/bin/python -c 'import encodings, sys; assert sys.prefix == "/opt/venv", sys.prefix'
RUN --mount=type=bind,from=wheel,target=/wheel --mount=type=bind,from=uv,source=uv,target=/uv \
    /uv pip install --offline --no-cache --python /opt/venv/bin/python /wheel/*.whl && /opt/venv/bin/python -c 'import tiny'
RUN apt-get update && apt-get install -y --no-install-recommends tini && test ! -e /var/cache/apt/archives/tini*.deb
"""
)
CUDA_DOCKERFILE = (
    f"FROM {CUDA}\n"
    + CLEAN
    + r"""
RUN nvcc --version | grep -F 'release 12.1, V12.1.105' && ! nvcc x.cu
RUN printf '.version 8.1\n.target sm_80\n.address_size 64\n.visible .entry k() { ret; }\n' >/tmp/k.ptx \
    && ptxas -arch=sm_80 -o /tmp/k.cubin /tmp/k.ptx && test -s /tmp/k.cubin
RUN printf '%s\n' '#include <cudnn.h>' '#include <stdio.h>' \
      'int main(void) { int v; cudaRuntimeGetVersion(&v); printf("%d %zu\n", v, cudnnGetVersion()); return 0; }' >/tmp/v.c \
    && gcc -I/usr/local/cuda/include -L/usr/local/cuda/lib64 -o /tmp/v /tmp/v.c -lcudart -lcudnn \
    && test "$(/tmp/v)" = '12010 8900'
RUN python3.11 -c 'import ctypes; [ctypes.CDLL(f"lib{name}.so") for name in ("cublas", "cupti", "nvrtc", "nvJitLink", "nvToolsExt")]'
RUN test "$CUDA_VERSION $NV_CUDNN_VERSION $NVARCH $NVIDIA_VISIBLE_DEVICES" = '12.1.1 8.9.0.131 x86_64 all' \
    && test "$NVIDIA_DRIVER_CAPABILITIES" = compute,utility && test "$(readlink /usr/local/cuda)" = cuda-12.1 \
    && test "$(/opt/nvidia/nvidia_entrypoint.sh echo ran)" = ran && test -e /usr/local/cuda/nvvm/libdevice/libdevice.10.bc
RUN . /etc/os-release && test "$ID" = debian && python3.11 -m venv /tmp/venv && find /usr/local/cuda/ -xtype l | grep . && exit 1 || true
"""
)


def bake(tmp_path: Path, dockerfile: str, stand_in: StandIn, *, export: bool, args: dict[str, str]) -> Path:
    """Build as the tool does: a definition on stdin, the base replaced by a named context."""
    assert UV, "uv is not installed beside the Python that runs this, nor on PATH"
    (tmp_path / "Dockerfile").write_text(dockerfile)
    layout = tmp_path / "layout"
    output = f"type=oci,tar=false,dest={layout},rewrite-timestamp=true,oci-mediatypes=true,compression=zstd"
    target: dict[str, Any] = {
        "context": str(tmp_path),
        "contexts": {
            stand_in.reference: f"oci-layout://{stand_in.layout}@{stand_in.digest}",
            "uv": str(Path(UV).parent),
            "wheel": str(tmp_path / "wheel"),
        },
        "args": {"SOURCE_DATE_EPOCH": "1767225600", **args},
        "attest": ["type=provenance,disabled=true"],
        "output": [output if export else "type=cacheonly"],
    }
    (tmp_path / "wheel").mkdir()
    write_wheel(tmp_path / "wheel" / "tiny-1-py3-none-any.whl")
    build = subprocess.run(
        ["docker", "buildx", "bake", "--progress=plain", "-f", "-", "check"],
        input=json.dumps({"target": {"check": target}}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert build.returncode == 0, build.stderr
    return layout


def write_wheel(path: Path) -> None:
    """Enough of a wheel to see that uv installs into an environment of this Python, without any package index."""
    record = "".join(f"{name},,\n" for name in (*WHEEL, "tiny-1.dist-info/RECORD"))
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in {**WHEEL, "tiny-1.dist-info/RECORD": record}.items():
            wheel.writestr(name, text)


def load_blob(layout: Path, digest: str) -> Any:
    return json.loads((layout / "blobs" / digest.replace(":", "/")).read_text())


def load_config(layout: Path) -> Any:
    index = json.loads((layout / "index.json").read_text())
    manifest = load_blob(layout, index["manifests"][0]["digest"])
    return load_blob(layout, manifest["config"]["digest"])["config"]


@pytest.mark.parametrize("reference", PYTHONS)
def test_python_image_can_be_built_on_its_stand_in(reference: str, tmp_path: Path) -> None:
    stand_in = make_stand_in(reference, default_cache())
    layout = bake(tmp_path, PYTHON_DOCKERFILE, stand_in, export=True, args={"VERSION": reference.partition(":")[2]})
    config = load_config(layout)
    assert config["Labels"] == {"ai.vessl.images.base": "stand-in"}
    assert config["Cmd"] == ["python3"]
    assert [line.partition("=")[0] for line in config["Env"]] == ["PATH", "LANG", "PYTHON_VERSION"]


def test_cuda_image_can_be_built_on_its_stand_in(tmp_path: Path) -> None:
    stand_in = make_stand_in(CUDA, default_cache())
    bake(tmp_path, CUDA_DOCKERFILE, stand_in, export=False, args={})
    config = load_config(stand_in.layout)
    assert config["Labels"]["ai.vessl.images.base"] == "stand-in"
    assert config["Entrypoint"] == ["/opt/nvidia/nvidia_entrypoint.sh"]
    env = dict(line.split("=", 1) for line in config["Env"])
    assert env["PATH"].startswith("/usr/local/nvidia/bin:/usr/local/cuda/bin:")
    assert env["NVIDIA_REQUIRE_CUDA"].startswith("cuda>=12.1 brand=tesla,driver>=470,driver<471 ")
