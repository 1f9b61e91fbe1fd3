"""The Pythons of an image: the one on PATH, the environments, and the distributions in each."""

from __future__ import annotations

import csv
import io
import json
import posixpath
import re
from collections import defaultdict
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from packaging.utils import canonicalize_name

from scripts.contents.inventory import CondaPackage, Distribution, Environment, Interpreter, Package, Python

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from scripts.contents.inventory_files import Tree

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Of a container whose image sets none."""
METADATA = (
    r"(?P<folder>.+)/(?P<file>[^/]+\.dist-info)/METADATA|(?P<folder_>.+)/(?P<file_>[^/]+\.egg(?:-info)?)"
    r"(?:/PKG-INFO|/EGG-INFO/PKG-INFO)?"
)
PLACE = re.compile(r"(?P<prefix>.*?)/lib(?:64)?/python(?P<python>3(?:\.\d+)?)/(?:site|dist)-packages")
CONDA = r"(?P<prefix>.+)/conda-meta/(?P<name>.+)-(?P<version>[^-]+)-(?P<build>[^-]+)\.json"
INSTALLERS = frozenset({"pip", "uv"})
"""Those that write REQUESTED."""


def read_python(
    tree: Tree, env: Mapping[str, str], apt: Iterable[Package], asked: Collection[str] | None = None
) -> Python:
    """All of Python in an image.

    :param env: the image's environment variables.
    :param asked: normalised names of what its recipe asks for directly; None for an image without a known recipe.
    """
    versions = _Versions(tree, env, apt)
    interpreter = _interpreter(tree, env, versions)
    own = posixpath.dirname(posixpath.dirname(interpreter.path)) if interpreter else ""
    found: dict[str, dict[str, list[Distribution]]] = defaultdict(lambda: defaultdict(list))
    for match, content in tree.find(METADATA):
        folder, file = match["folder"] or match["folder_"], match["file"] or match["file_"]
        if _holds_distributions(folder, env) and (read := _distribution(tree, folder, file, content)):
            prefix = place["prefix"] if (place := PLACE.fullmatch(folder)) else folder
            found[prefix or "/"][folder].append(read)
    if asked is not None:
        _mark_asked(found, own, asked)
    environments = tuple(
        Environment(
            path=path,
            directories=tuple(sorted(folders)),
            python=versions.of(path, *folders),
            distributions=tuple(sorted((item for items in folders.values() for item in items), key=_key)),
        )
        for path, folders in sorted(found.items())
    )
    known = any(item.direct is not None for place in environments for item in place.distributions)
    return Python(
        interpreter=interpreter,
        environments=environments,
        asked_by="recipe" if asked is not None else "installer" if known else None,
    )


def _mark_asked(found: Mapping[str, Mapping[str, list[Distribution]]], own: str, asked: Collection[str]) -> None:
    """Mark what the recipe asks for: in the environment that is used, else where that finds it, in the base's."""
    there = {canonicalize_name(item.name) for items in found.get(own, {}).values() for item in items}
    for prefix, folders in found.items():
        for items in folders.values():
            for number, item in enumerate(items):
                name = canonicalize_name(item.name)
                direct = name in asked and (prefix == own or name not in there)
                items[number] = item.model_copy(update={"direct": direct})


def read_conda(tree: Tree) -> tuple[CondaPackage, ...]:
    """What conda has installed, by prefix and name; the names of its files say it."""
    return tuple(
        CondaPackage(prefix=match["prefix"], name=match["name"], version=match["version"], build=match["build"])
        for match, _ in tree.find(CONDA)
    )


def distributions_of(paths: Iterable[str]) -> list[str]:
    """Normalised names of the distributions that some files, of one layer, are of."""
    found = (re.fullmatch(r".+-packages/([^/]+?)-[^/]+\.dist-info/METADATA", path) for path in paths)
    return sorted({canonicalize_name(match[1]) for match in found if match})


def _key(item: Distribution) -> tuple[str, str]:
    return canonicalize_name(item.name), item.version


def _holds_distributions(folder: str, env: Mapping[str, str]) -> bool:
    """Whether a Python looks into a folder: not those inside packages, which vendor others, nor conda's cache."""
    if folder in env.get("PYTHONPATH", "").split(":"):
        return True
    ends = re.search(r"/(?:site|dist)-packages$", folder)
    return bool(ends) and not re.search(r"/(?:site|dist)-packages/|/pkgs/", folder)


def _distribution(tree: Tree, folder: str, file: str, content: bytes) -> Distribution | None:
    text = content.decode(errors="replace").replace("\r\n", "\n").partition("\n\n")[0]
    fields = dict(re.findall(r"^(Name|Version):[ \t]*(.*?)[ \t]*$", text, re.MULTILINE))
    if not fields.get("Name") or not fields.get("Version"):
        return None  # what an uninstallation that failed leaves; pip and importlib.metadata pass over it too
    info = f"{folder}/{file}"
    installer = (tree.files.get(f"{info}/INSTALLER") or b"").decode(errors="replace").strip().lower() or None
    return Distribution(
        name=fields["Name"],
        version=fields["Version"],
        direct=f"{info}/REQUESTED" in tree if installer in INSTALLERS else None,
        installer=installer,
        url=_origin(tree.files.get(f"{info}/direct_url.json")),
        size=_size(tree.files.get(f"{info}/RECORD")),
    )


def _size(record: bytes | None) -> int | None:
    """The sum of what a RECORD lists (PEP 376: path, hash, size); None: it lists nothing, or in another form."""
    try:
        rows = csv.reader(io.StringIO((record or b"").decode()))
        sizes = [int(row[2]) for row in rows if len(row) == 3 and row[2]]
    except (ValueError, csv.Error):
        return None
    return sum(sizes) if sizes and min(sizes) >= 0 else None


def _origin(content: bytes | None) -> str | None:
    try:
        parts = urlsplit(str(json.loads(content or b"")["url"]))
    except (ValueError, KeyError, TypeError):
        return None
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="")) or None


class _Versions:
    """Which Python there is below a prefix, in full."""

    def __init__(self, tree: Tree, env: Mapping[str, str], apt: Iterable[Package]) -> None:
        self._tree = tree
        self._known: dict[tuple[str, str], str] = {}
        said = env.get("PYTHON_VERSION", "")  # of the official images, which build theirs in /usr/local
        if re.fullmatch(r"3\.\d+\.\w+", said):
            self._known["/usr/local", said.rpartition(".")[0]] = said
        for package in apt:
            # Debian's versions end in what it made of them: 3.11.2-6+deb12u6
            if match := re.fullmatch(
                r"python(3\.\d+)-minimal (?:\d+:)?(3\.\d+\.\w+).*", f"{package.name} {package.version}"
            ):
                self._known["/usr", match[1]] = match[2]
        for conda in read_conda(tree):
            if conda.name == "python":
                self._known[conda.prefix, conda.version.rpartition(".")[0]] = conda.version
        for match, content in tree.find(r"(.*)/include/python(3\.\d+)/patchlevel\.h"):
            if version := re.search(rb'#define\s+PY_VERSION\s+"([^"]+)"', content):
                self._known[match[1], match[2]] = version[1].decode(errors="replace")

    def of(self, prefix: str, *folders: str) -> str | None:
        """The version of the Python that looks into some folders below a prefix."""
        minors = {place["python"] for folder in folders if (place := PLACE.fullmatch(folder))} - {"3"}
        settings = self._settings(prefix)
        if home := settings.get("home"):
            said = settings.get("version_info") or settings.get("version")
            base = self._only(posixpath.dirname(home), minors or _minor(said))
            return base or said
        # dist-packages are of Debian's own Python, which looks for them below /usr/local too.
        debian = prefix == "/usr/local" and any(folder.endswith("/dist-packages") for folder in folders)
        return self._only("/usr" if debian else prefix, minors)

    def _only(self, prefix: str, minors: Collection[str]) -> str | None:
        found = {
            version
            for (place, minor), version in self._known.items()
            if place == prefix and (not minors or minor in minors)
        }
        return found.pop() if len(found) == 1 else None

    def _settings(self, prefix: str) -> dict[str, str]:
        """The environment's pyvenv.cfg (https://docs.python.org/3/library/venv.html); {} if it is no such environment."""
        text = (self._tree.files.get(f"{prefix}/pyvenv.cfg") or b"").decode(errors="replace")
        lines = (line.partition("=") for line in text.splitlines())
        return {name.strip().lower(): value.strip() for name, _, value in lines}


def _minor(version: str | None) -> set[str]:
    match = re.match(r"3\.\d+", version or "")
    return {match[0]} if match else set()


def _interpreter(tree: Tree, env: Mapping[str, str], versions: _Versions) -> Interpreter | None:
    folders = [folder.rstrip("/") for folder in env.get("PATH", DEFAULT_PATH).split(":")]
    for name in ("python", "python3"):
        for folder in folders:
            path = f"{folder}/{name}"
            if path in tree:
                return Interpreter(path=path, version=_version_of(tree, path, versions))
    return None


def _version_of(tree: Tree, path: str, versions: _Versions) -> str | None:
    """The version of an interpreter: what it is a link to may say which of several it is."""
    target = path
    for _ in range(8):
        if target not in tree.links:
            break
        target = posixpath.normpath(posixpath.join(posixpath.dirname(target), tree.links[target]))
    prefix = posixpath.dirname(posixpath.dirname(path))
    if f"{prefix}/pyvenv.cfg" not in tree:
        prefix = posixpath.dirname(posixpath.dirname(target))
    named = re.search(r"/python(3\.\d+)$", target)
    return versions.of(prefix, *([f"{prefix}/lib/python{named[1]}/site-packages"] if named else []))
