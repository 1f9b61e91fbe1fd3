"""The plain image: the lock's distributions as pip's requirement lists, and the build context around them. Pure but for
``write_context``."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from scripts.errors import UsageError
from scripts.recipe.family import layer_of
from scripts.recipe.lock import Pin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

# A step of the plain Dockerfile to what it installs: a distribution goes into the first that has a pattern for it.
STEPS: Final[Mapping[str, tuple[str, ...]]] = {
    "torch": ("torch", "torchvision", "torchaudio", "triton", "nvidia-*", "sympy", "mpmath", "networkx"),
    "tensorflow": (
        *("tensorflow*", "tensorboard*", "keras", "h5py", "grpcio", "libclang", "ml-dtypes", "optree", "namex"),
        *("absl-py", "astunparse", "flatbuffers", "gast", "google-pasta", "opt-einsum", "termcolor", "wrapt"),
    ),
    "science": (
        *("numpy", "scipy", "pandas", "scikit-learn", "matplotlib", "opencv-python", "seaborn", "tqdm", "pillow"),
        *("fonttools", "contourpy", "kiwisolver", "cycler", "pyparsing", "joblib", "threadpoolctl"),
    ),
    "jupyter": ("*",),
}
# The Debian packages that both Dockerfiles and ours ask for.
PACKAGES: Final = (
    *("ca-certificates", "curl", "git", "git-lfs", "libgl1", "libglib2.0-0", "libnss-wrapper", "libsm6"),
    "libxext6",
    *("openssh-server", "tini"),
)
PROGRAMS: Final = ("entrypoint", "start-workspace", "start-jupyter-lab", "prepare-sshd")
FILES: Final = (*PROGRAMS, "sshd.conf", "jupyter_server_config.py")

# The package that is bumped: small, in pure Python, asked for directly, and without dependants that care. To older
# versions, which no lock gets to by itself; a run of the figure takes one each, so that no cache knows it yet.
BUMPS: Final = (
    Pin(
        name="tqdm",
        version="4.67.1",
        hashes=("26445eca388f82e72884e0d580d5464cd801a3ea01e63e5601bdff9ba6a48de2",),
    ),
    Pin(
        name="tqdm",
        version="4.67.0",
        hashes=("0cd8af9d56911acab92182e88d763100d4788bdf421d251616040cc4d44863be",),
    ),
    Pin(
        name="tqdm",
        version="4.66.6",
        hashes=("223e8b5359c2efc4b30555531f09e9f2f3589bcd7fdd389271191031b49b7a63",),
    ),
    Pin(
        name="tqdm",
        version="4.66.5",
        hashes=("90279a3770753eafc9194a0364852159802111925aa30eb3f9d85b0e805ac7cd",),
    ),
    Pin(
        name="tqdm",
        version="4.66.4",
        hashes=("b75ca56b413b030bc3f00af51fd2c1a1a5eac6a0c1cca83cbb37a5c52abce644",),
    ),
)


def render_requirements(pins: Iterable[Pin]) -> dict[str, str]:
    """The requirement list of each step; together they have each pin once."""
    lists: dict[str, list[str]] = {step: [] for step in STEPS}
    for pin in sorted(pins, key=lambda pin: pin.name):
        step = layer_of(pin.name, STEPS)
        assert step is not None
        lists[step].append(f"{pin.name}=={pin.version}{f' ; {pin.marker}' if pin.marker else ''}\n")
    return {step: "".join(lines) for step, lines in lists.items()}


def bumped(pins: Iterable[Pin], to: Pin) -> tuple[Pin, ...]:
    """The pins with one of them moved.

    :raises UsageError: if the package is not among them, or at that version already.
    """
    before = tuple(pins)
    if [pin.version for pin in before if pin.name == to.name and pin.version != to.version] == []:
        raise UsageError(f"the lock has no {to.name} that could be moved to {to.version}: see BUMPS in {__name__}")
    return tuple(to if pin.name == to.name else pin for pin in before)


def write_context(root: Path, pins: Iterable[Pin], context: Path) -> None:
    """Write the build context of the plain Dockerfiles, anew.

    :param root: checkout whose files of the image are copied.
    """
    context.mkdir(exist_ok=True)
    for step, text in render_requirements(pins).items():
        (context / f"{step}.txt").write_text(text, encoding="utf-8")
    for name in FILES:
        shutil.copyfile(root / "scripts" / "image" / name, context / name)
        (context / name).chmod(0o755 if name in PROGRAMS else 0o644)
