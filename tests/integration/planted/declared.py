"""Images whose tag, labels or packages say what is not so."""

from __future__ import annotations

from tests.integration.planting import Fault, edit_python

SITE = "/opt/venv/lib/python3.11/site-packages"
# The number that cudaRuntimeGetVersion gives, 12010, in `mov dword ptr [rdi], 12010`: 12000 in its place.
OLDER_RUNTIME = (
    "import pathlib; p = pathlib.Path('/usr/local/cuda/lib64/libcudart.so.12').resolve(); "
    r"p.write_bytes(p.read_bytes().replace(b'\xc7\x07\xea\x2e\x00\x00', b'\xc7\x07\xe0\x2e\x00\x00'))"
)

FAULTS = (
    Fault(
        name="another python",
        check="declared.python",
        # By its own word only, and only to those who ask with `python -c`: all else goes on working.
        dockerfile=f"""
RUN echo 'import platform, sys; sys.orig_argv[1:2] == ["-c"] and setattr(platform, "python_version", lambda: "3.10.4")' \
    > {SITE}/planted.pth
""",
        says="3.10.4",
        also=("declared.tag", "declared.labels"),
        together="python",
    ),
    Fault(
        name="wrong torch version",
        check="declared.version[torch]",
        dockerfile=edit_python(f"{SITE}/torch/version.py", "s/2.13.0+cpu/2.12.0+cpu/"),
        says="2.12.0+cpu",
    ),
    Fault(
        name="torch says it was built with CUDA",
        check="declared.build[torch]",
        dockerfile=edit_python(f"{SITE}/torch/version.py", 's/^cuda: .*/cuda = "12.1"/'),
        says="CUDA 12.1",
    ),
    Fault(
        name="wrong tensorflow version",
        check="declared.version[tensorflow]",
        dockerfile=edit_python(f"{SITE}/tensorflow/__init__.py", '$a __version__ = "2.20.0"'),
        says="2.20.0",
    ),
    Fault(
        name="tensorflow with CUDA",
        check="declared.build[tensorflow]",
        dockerfile=edit_python(
            f"{SITE}/tensorflow/python/platform/build_info.py", '$a build_info["cuda_version"] = "12.5"'
        ),
        says="CUDA 12.5",
    ),
    Fault(
        name="another release of Debian",
        check="declared.system",
        dockerfile="RUN sed -i 's/^VERSION_ID=.*/VERSION_ID=\"11\"/' /etc/os-release",
        says="Debian 11",
    ),
    Fault(
        name="a program for another machine",
        check="declared.platform",
        dockerfile=r"RUN printf '\177ELF\002\001\001\0\0\0\0\0\0\0\0\0\002\0\267\0' > /usr/local/bin/foreign",
        says="/usr/local/bin/foreign",
    ),
    Fault(
        name="label of another image",
        check="declared.labels",
        dockerfile="LABEL ai.vessl.images.id=python:3.12",
        says="ai.vessl.images.id=python:3.12",
    ),
    Fault(
        name="another nvcc",
        on="cuda:12.1",
        check="declared.nvcc",
        dockerfile=r"""
RUN printf '#!/bin/sh\necho "Cuda compilation tools, release 11.8, V11.8.89"\n' > /usr/local/cuda/bin/nvcc
""",
        says="11.8",
        also=("declared.tag", "declared.labels"),
    ),
    Fault(
        name="another CUDA runtime",
        on="cuda:12.1",
        check="declared.cuda-runtime",
        dockerfile=f'RUN python -c "{OLDER_RUNTIME}"',
        says="12.0",
    ),
    Fault(
        name="cuDNN's header is not its library's",
        on="cuda:12.1",
        check="declared.cudnn",
        dockerfile="RUN sed -i 's/#define CUDNN_MINOR .*/#define CUDNN_MINOR 7/' /usr/include/cudnn_version.h",
        says="header 8.7.0, library 8.9.0",
    ),
    Fault(
        name="torchvision of another torch",
        on="torch:2.3.1-cuda12.1",
        check="declared.version[torchvision]",
        dockerfile=edit_python(f"{SITE}/torchvision/version.py", "s/0.18.1/0.17.1/"),
        says="0.17.1",
    ),
    Fault(
        name="torchaudio of another torch",
        on="torch:2.3.1-cuda12.1",
        check="declared.version[torchaudio]",
        dockerfile=edit_python(f"{SITE}/torchaudio/version.py", "s/2.3.1/2.2.1/"),
        says="2.2.1",
    ),
)
