"""The environment is what the lock says, and all of it starts: distributions, commands, the standard library."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name

from scripts.recipe.inputs import locked_pins
from tests.smoke.conftest import ROOT

if TYPE_CHECKING:
    from scripts.recipe.matrix import ImageSpec
    from scripts.smoke.plugin import Claim
    from tests.containers import Container

# Of the environment itself; what the base brings beside it is the base's.
DISTRIBUTIONS = """
import importlib.metadata, json, sysconfig
found = importlib.metadata.distributions(path=[sysconfig.get_path('purelib')])
print(json.dumps(sorted([item.metadata['Name'], item.version] for item in found)))
"""
# Of each file that a RECORD has the size of (PyPA, "Recording installed projects"), but bytecode: who installs makes it
# anew, some wheels bring it all the same (numpy 1.26), and that it is its source's is another check. Not hashed: reading
# gigabytes would starve the checks beside it.
FILES = """
import importlib.metadata, os, sysconfig
count = 0
for found in importlib.metadata.distributions(path=[sysconfig.get_path('purelib')]):
    for item in found.files or ():
        if item.size is None or item.suffix == '.pyc':
            continue
        count += 1
        try:
            size = os.stat(found.locate_file(item)).st_size
        except OSError as error:
            print(f"{found.metadata['Name']}: {item}: {error.strerror}")
        else:
            if size != item.size:
                print(f"{found.metadata['Name']}: {item}: {size} bytes, recorded {item.size}")
print(count)
"""
# A script's interpreter is there and starts, and what it begins by importing can be found.
COMMANDS = r"""
import glob, importlib.util, os, re, subprocess, sys
folder = os.path.dirname(sys.executable)
starts, count = {}, 0
def start(words):
    try:
        code = subprocess.run([*words, '-c', ':' if words[0].endswith('sh') else 'pass']).returncode
    except OSError as error:
        return f'{words[0]}: {error.strerror}'
    return f'{words[0]} ends with code {code}' if code else None
def there(module):
    top, *rest = module.split('.')  # finding what is below it would import it, which takes seconds
    spec = importlib.util.find_spec(top)
    places = spec and (spec.submodule_search_locations or not rest and [''])
    return places and any(not rest or glob.glob(os.path.join(place, *rest) + '*') for place in places)
def fault(path):
    with open(path, 'rb') as file:
        head = file.read(2000).decode(errors='replace')
    if not os.access(path, os.X_OK) or not head.startswith('#!'):
        return None  # to be sourced, or a program whose libraries another check looks for
    words = tuple(head.partition('\n')[0][2:].split())
    if words not in starts:
        starts[words] = start(words)
    module = re.search(r'^from ([\w.]+) import ', head, re.M)
    return starts[words] or (f'no module {module[1]}' if module and not there(module[1]) else None)
for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
    if entry.is_file():
        count += 1
        if wrong := fault(entry.path):
            print(f'{entry.name}: {wrong}')
print(count)
"""
# Modules of the standard library that an image may lack or that are not imported, and why.
NOT_IMPORTED = {
    "antigravity": "opens a browser",
    "this": "prints a poem",
    "idlelib": "needs Tk, and a screen",
    "tkinter": "needs Tk, and a screen",
    "turtle": "needs Tk, and a screen",
    "turtledemo": "needs Tk, and a screen",
    "ensurepip": "Debian has it in python3-venv; pip is in the image",
    "lib2to3": "Debian has it in a package of its own; it is deprecated",
    "msilib": "Windows only",
    "msvcrt": "Windows only",
    "nt": "Windows only",
    "winreg": "Windows only",
    "winsound": "Windows only",
    "ossaudiodev": "needs a sound card",
    "nis": "of Sun's, deprecated: many builds leave it out",
}
STANDARD_LIBRARY = """
import importlib, sys, warnings
warnings.simplefilter('ignore')
count = 0
for name in sorted(sys.stdlib_module_names - set(sys.argv[1:])):
    if not name.startswith('_'):
        count += 1
        try:
            importlib.import_module(name)
        except Exception as error:
            print(f'{name}: {error}')
print(count)
"""


def test_distributions(rest: Container, spec: ImageSpec, claim: Claim) -> None:
    """What is installed is what is locked: nothing is missing, nothing is there that nobody asked for."""
    pins = locked_pins(ROOT, spec)
    if not pins:
        pytest.skip("the base brings the packages: there is no lock")
    wanted = {canonicalize_name(pin.name): pin.version for pin in pins}
    done = rest.exec("python", "-I", "-c", DISTRIBUTIONS)
    found = {canonicalize_name(name): version for name, version in json.loads(done.stdout or "[]")}
    wrong = [
        f"{name} {found.get(name, 'is missing')}, locked {wanted.get(name, 'not at all')}"
        for name in sorted(found.keys() | wanted.keys())
        if found.get(name) != wanted.get(name)
    ]
    claim("; ".join(wrong) or f"{len(found)} as locked", f"{len(wanted)} as locked")


def listed(rest: Container, code: str, *arguments: str) -> tuple[list[str], int]:
    """What a program found to be wrong, and how many it looked at."""
    done = rest.exec("python", "-I", "-c", code, *arguments)
    *wrong, count = done.stdout.splitlines() or ["0"]
    failed = [done.stderr.strip().rpartition("\n")[2]] if done.code else []
    return [*wrong, *failed], int(count) if count.isdigit() else 0


def test_files(rest: Container, spec: ImageSpec, claim: Claim) -> None:
    """Every file of the distributions is there, and as long as their RECORDs say, also where the build changed it."""
    if not locked_pins(ROOT, spec):
        pytest.skip("the base brings the packages: there is no lock")
    wrong, count = listed(rest, FILES)
    shown = f"{wrong[0]}, and {len(wrong) - 1} more" if wrong[1:] else "".join(wrong)
    claim(shown or f"{count} files", "all as recorded", ok=not wrong and count > 1000)


def test_commands(rest: Container, claim: Claim) -> None:
    """Every command of the environment can be started."""
    wrong, count = listed(rest, COMMANDS)
    claim("; ".join(wrong) or f"{count} commands", "all start", ok=not wrong and count > 20)


def test_standard_library(rest: Container, claim: Claim) -> None:
    """It is whole: a Python that was built without sqlite3 or lzma fails only when somebody needs them."""
    wrong, count = listed(rest, STANDARD_LIBRARY, *NOT_IMPORTED)
    claim("; ".join(wrong) or f"{count} modules", "all are imported", ok=not wrong and count > 150)
