"""What can be known of a GPU image without a GPU, and with one whether it computes."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest
from docker.types import DeviceRequest

from scripts.contents import gpu_probe
from scripts.contents.drivers import asks_enough, lowest_driver
from tests.containers import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.recipe.matrix import ImageSpec
    from scripts.smoke.plugin import Claim
    from tests.containers import Container

pytestmark = pytest.mark.needs("cuda")

PROBE = Path(gpu_probe.__file__).read_text(encoding="utf-8")
frameworks = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("torch", "tensorflow")]
)
# What a framework says it was compiled for, as words such as sm_90 and compute_90.
WORDS = {
    "torch": "import torch; print(torch._C._cuda_getArchFlags())",
    "tensorflow": "import tensorflow as t; print(*t.sysconfig.get_build_info()['cuda_compute_capabilities'])",
}
LIBRARIES = """
import glob
places = ['/usr/local/cuda/lib64/lib*.so.*', '/usr/lib/*-linux-gnu/libcudnn*.so.*', '/usr/lib/*-linux-gnu/libnccl.so.*']
paths = sorted(path for place in places for path in glob.glob(place))
failed = unloadable(paths)
print(json.dumps([len(paths), failed]))
"""
# What has a driver's name and is none, or is there on purpose, and why.
NO_DRIVER = {
    "/usr/local/cuda*/stubs/*": "to link with, not to load",
    "/usr/local/cuda*/compat/*": "NVIDIA's forward compatibility: its runtime uses it where it may",
    "*/lib*/stubs/*": "to link with, not to load",
}
# The same product on the GPU and on the CPU; without torch, what the driver says there is.
MATMUL = """
import torch
a, b = torch.rand(512, 512), torch.rand(512, 512)
difference = (a.cuda() @ b.cuda()).cpu() - a @ b
print('equal' if difference.abs().max() < 1e-2 else f'differs by {difference.abs().max()}', torch.cuda.get_device_name())
"""
DEVICES = """
import ctypes
driver, count = ctypes.CDLL('libcuda.so.1'), ctypes.c_int()
assert driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
print('equal' if count.value else 'no device', count.value)
"""


@pytest.fixture(scope="module")
def environment(inspected: Mapping[str, Any]) -> dict[str, str]:
    return dict(item.partition("=")[::2] for item in inspected["Config"]["Env"])


def python(rest: Container, code: str, *arguments: str) -> Any:
    done = rest.exec("python", "-W", "ignore", "-c", code, *arguments, seconds=120)
    assert done.code == 0, done.stderr.strip().rpartition("\n")[2]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def probed(rest: Container) -> dict[str, dict[str, Any]]:
    """What was found for each framework so far."""
    return Probed(rest)


class Probed(dict[str, dict[str, Any]]):
    """Asks once for each."""

    def __init__(self, rest: Container) -> None:
        super().__init__()
        self.rest = rest

    def __missing__(self, name: str) -> dict[str, Any]:
        self[name] = python(self.rest, PROBE, name)
        return self[name]


def test_libraries_load(rest: Container, claim: Claim) -> None:
    """CUDA's and cuDNN's libraries of the base, each opened as a program opens it."""
    code = PROBE.partition('\nif __name__ == "__main__":')[0] + LIBRARIES
    count, failed = python(rest, code)
    first = next((f"{Path(path).name}: {reason}" for path, reason in failed.items()), "")
    claim(first or f"{count} load", "all load", ok=not failed and count > 0)


@frameworks
def test_lazy_libraries_load(probed: Mapping[str, Any], name: str, claim: Claim) -> None:
    """Those that a framework, or NVIDIA's libraries, open by name when they need them."""
    failed = probed[name]["failed"]
    first = next((f"{library}: {reason}" for library, reason in failed.items()), "")
    claim(first or f"{probed[name]['wanted']} load", "all load", ok=not failed and probed[name]["wanted"] > 0)


@frameworks
def test_architectures(rest: Container, probed: Mapping[str, Any], name: str, claim: Claim) -> None:
    """The GPUs that a framework says it was compiled for are those that its libraries have code for."""
    words = rest.read("python", "-W", "ignore", "-c", WORDS[name]).split()
    found = [*probed[name]["sass"], *probed[name]["ptx"]]
    claim.fact(f"gpu architectures of {name}", {"sass": probed[name]["sass"], "ptx": probed[name]["ptx"]})
    missing = [word for word in words if word.rstrip("af") not in found]  # sm_90a: code for sm_90 alone
    claim(
        f"no code for {' '.join(missing)}" if missing else " ".join(found),
        "its own list",
        ok=bool(words) and not missing,
    )


def test_driver(spec: ImageSpec, environment: Mapping[str, str], claim: Claim) -> None:
    """The image does not start on a driver that its CUDA cannot work with: NVIDIA's runtime asks it before."""
    runtimes = [spec.cuda or "", *re.findall(r"[\d.]+", environment.get("CUDA_VERSION", ""))]
    runtime = max(runtimes, key=lambda version: [int(part) for part in version.split(".")])
    driver = lowest_driver(runtime)
    claim.fact("lowest driver", driver)
    asked = environment.get("NVIDIA_REQUIRE_CUDA", "")
    first = asked.partition(" ")[0] or "nothing is asked"
    claim(f"{first}, driver {driver}", f"CUDA {runtime.partition('.')[0]}.0 or newer", ok=asks_enough(asked, runtime))


def test_environment(environment: Mapping[str, str], claim: Claim) -> None:
    """The container gets every GPU it is given, with what computing and nvidia-smi need."""
    devices = environment.get("NVIDIA_VISIBLE_DEVICES", "none")
    capabilities = environment.get("NVIDIA_DRIVER_CAPABILITIES", "none")
    enough = capabilities == "all" or {"compute", "utility"} <= set(capabilities.split(","))
    claim(f"{devices}: {capabilities}", "all: compute,utility", ok=devices == "all" and enough)


def test_no_driver(rest: Container, claim: Claim) -> None:
    """The driver's libraries are the host's: one that is baked in fits the host of its build and no other."""
    names = ["-name", "libcuda.so*", "-o", "-name", "libnvidia-*.so*", "-o", "-name", "libnvcuvid.so*"]
    found = rest.exec("find", "/", "-xdev", "-path", "/proc", "-prune", "-o", "(", *names, ")", "-print", seconds=60)
    wrong = [path for path in found.stdout.split() if not any(fnmatch(path, glob) for glob in NO_DRIVER)]
    claim(" ".join(wrong) or "none", "none")


def test_computes(image: str, spec: ImageSpec, claim: Claim, *, gpu: bool) -> None:
    """A product on the GPU is that of the CPU; in the image without torch, the driver shows a GPU."""
    if not gpu:
        pytest.skip("no GPU in this engine")
    code = MATMUL if "torch" in spec.packages else DEVICES
    request = DeviceRequest(count=-1, capabilities=[["gpu"]])
    try:
        done = run(image, "python", "-c", code, seconds=120, device_requests=[request])
    except docker.errors.APIError as error:
        claim(f"the engine gives no GPU: {error.explanation}", "equal")
        return
    measured = done.stdout.strip() if done.code == 0 else done.stderr.strip().rpartition("\n")[2]
    claim(measured, "equal", ok=measured.startswith("equal"))
