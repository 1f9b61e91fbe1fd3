"""GPU images that would fail on a GPU."""

from __future__ import annotations

from tests.integration.planting import Fault

SITE = "/opt/venv/lib/python3.11/site-packages"

FAULTS = (
    Fault(
        name="library of CUDA that is none",
        on="cuda:12.1",
        check="gpu.libraries-load",
        dockerfile="RUN echo x > /usr/local/cuda/lib64/libnvToolsExt.so.1",
        says="libnvToolsExt.so.1",
    ),
    Fault(
        name="starts on drivers that are too old",
        on="cuda:12.1",
        check="gpu.driver",
        dockerfile="ENV NVIDIA_REQUIRE_CUDA=cuda>=11.0",
        says="cuda>=11.0, driver 525.60.13",
    ),
    Fault(
        name="gets no driver for computing",
        on="cuda:12.1",
        check="gpu.environment",
        dockerfile="ENV NVIDIA_DRIVER_CAPABILITIES=utility",
        says="all: utility",
    ),
    Fault(
        name="library of the build machine's driver",
        on="cuda:12.1",
        check="gpu.no-driver",
        dockerfile="RUN echo x > /usr/local/lib/libcuda.so.530.30.02",
        says="/usr/local/lib/libcuda.so.530.30.02",
    ),
    Fault(
        name="no GPU where there has to be one",
        on="cuda:12.1",
        check="gpu.computes",
        dockerfile="LABEL planted=1",
        says="the engine gives no GPU",
        options=("--gpu", "--only", "gpu"),
    ),
    Fault(
        name="library that cuDNN loads when it is needed is gone",
        on="torch:2.3.1-cuda12.1",
        check="gpu.lazy-libraries-load[torch]",
        dockerfile=f"RUN rm /usr/lib/x86_64-linux-gnu/libcudnn_adv_train.so* {SITE}/nvidia/cudnn/lib/libcudnn_adv_train.so*",
        says="libcudnn_adv_train.so.8",
    ),
    Fault(
        name="torch promises a GPU that it has no code for",
        on="torch:2.3.1-cuda12.1",
        check="gpu.architectures[torch]",
        dockerfile=f"RUN echo '_C._cuda_getArchFlags = lambda: \"sm_50 sm_100\"' >> {SITE}/torch/__init__.py"
        f" && python -m compileall -q -f --invalidation-mode unchecked-hash {SITE}/torch/__init__.py",
        says="no code for sm_100",
    ),
)
