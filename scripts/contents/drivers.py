"""Which driver a CUDA runtime needs, and which one an image asks the host for."""

from __future__ import annotations

import re

# CUDA Toolkit release notes, table "CUDA Toolkit and Minimum Required Driver Version for CUDA Minor Version
# Compatibility", Linux x86_64: https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/
LOWEST = {11: "450.80.02", 12: "525.60.13", 13: "580"}


def lowest_driver(runtime: str) -> str | None:
    """The oldest driver of a data centre or workstation GPU on which a runtime such as "12.1" works; None: not known."""
    return LOWEST.get(int(runtime.partition(".")[0]))


def required_cuda(requirement: str) -> tuple[int, int] | None:
    """What ``NVIDIA_REQUIRE_CUDA`` asks of the host's driver: the lowest CUDA of any of its alternatives.

    Words that are joined by a comma have to be true together, others are alternatives; those that only name older
    drivers with forward compatibility count for the CUDA they are listed beside
    (https://github.com/NVIDIA/nvidia-container-toolkit, internal/config/image).
    """
    found = [(int(major), int(minor)) for major, minor in re.findall(r"\bcuda>=?(\d+)\.(\d+)", requirement)]
    return min(found, default=None)


def asks_enough(requirement: str, runtime: str) -> bool:
    """Whether a host that an image takes has a driver that its runtime works on, by minor version compatibility."""
    asked = required_cuda(requirement)
    return asked is not None and asked >= (int(runtime.partition(".")[0]), 0)
