"""Which platforms the engine of this machine runs: its own, and what the kernel hands to an emulator."""

from __future__ import annotations

from pathlib import Path

from scripts.build.engine import ARCHITECTURES, inspect_engine

# Where the kernel lists what it runs with which program (https://docs.kernel.org/admin-guide/binfmt-misc.html).
HANDLERS = Path("/proc/sys/fs/binfmt_misc")
# QEMU's names of the handlers, as Debian's qemu-user-static and the usual images register them.
NAMES = {"linux/amd64": "qemu-x86_64", "linux/arm64": "qemu-aarch64"}


def why_not_run(platform: str) -> str:
    """Why the engine does not run images of a platform; empty if it does."""
    state = inspect_engine()
    own = f"linux/{ARCHITECTURES.get(state.architecture, state.architecture)}"
    if platform == own or (state.local and _is_emulated(platform)):
        return ""
    return f"the engine here is of {own or 'no platform'}, and does not emulate {platform}"


def _is_emulated(platform: str) -> bool:
    try:
        handler = (HANDLERS / NAMES.get(platform, "none")).read_text(encoding="utf-8")
    except OSError:
        return False
    return handler.startswith("enabled")
