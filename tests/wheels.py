"""Small wheels for tests, made in memory (https://packaging.python.org/en/latest/specifications/binary-distribution-format/)."""

from __future__ import annotations

import io
import zipfile


def make_wheel(name: str, version: str, *requires: str, tag: str = "py3-none-any", code: str = "") -> tuple[str, bytes]:
    """File name and content of a wheel; with ``code`` it has a module of its own name."""
    stem = f"{name.replace('-', '_')}-{version}"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {item}\n" for item in requires)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        if code:
            archive.writestr(f"{name.replace('-', '_')}.py", code)
        archive.writestr(f"{stem}.dist-info/METADATA", metadata)
        archive.writestr(f"{stem}.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{stem}.dist-info/RECORD", "")
    return f"{stem}-{tag}.whl", data.getvalue()
