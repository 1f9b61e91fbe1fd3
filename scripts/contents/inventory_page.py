"""An inventory for people: what the image is in a few lines, then its layers and its packages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.contents.inventory import render_inventory
from scripts.contents.words import MB, asked_for, count_of, harmless, made_by, size_words
from scripts.table import render_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.contents.inventory import Config, Gpu, Inventory

    Rows = list[dict[str, Any]]

ASKED = {True: "yes", False: "", None: "unknown"}
UNKNOWN = "unknown"
WIDTH = 56
"""Characters of the widest column."""


def render_page(inventory: Inventory) -> str:
    """The inventory for a terminal of 80 columns."""
    facts = [{"what": name, "is": value} for name, value in _facts(inventory)]
    blocks = [render_table(facts, {"what": None, "is": WIDTH})]
    for title, rows, widths in _sections(inventory):
        if rows:
            blocks += ["", title, render_table(rows, dict(zip(rows[0], widths, strict=True)))]
    return harmless("\n".join(blocks)) + "\n"


def _facts(inventory: Inventory) -> Iterator[tuple[str, str]]:
    """Name and value of what is told in a line each; what nobody knows is called unknown."""
    python, config = inventory.python, inventory.config
    yield "digest", inventory.image.digest
    yield "built as", inventory.image.id or "not by this repository, as far as its labels tell"
    yield "platform", inventory.image.platform
    unpacked = sum(layer.unpacked for layer in inventory.layers)
    yield (
        "size",
        f"{size_words(inventory.size)}, unpacked {size_words(unpacked)}, {count_of(len(inventory.layers), 'layer')}",
    )
    yield "system", inventory.system.name if inventory.system else UNKNOWN
    if python.interpreter:
        yield "python", f"{python.interpreter.version or UNKNOWN} ({python.interpreter.path})"
    else:
        yield "python", "none on PATH"
    for place in python.environments:
        yield "packages", f"{place.path}: {len(place.distributions)} of Python {place.python or UNKNOWN}"
    yield (
        "packages",
        f"{len(inventory.apt)} of dpkg" + (f", {len(inventory.conda)} of conda" if inventory.conda else ""),
    )
    yield from _gpu_facts(inventory.gpu)
    yield from _config_facts(config)


def _gpu_facts(gpu: Gpu) -> Iterator[tuple[str, str]]:
    for library in gpu.libraries:
        yield library.name, f"{library.version} ({library.where})"
    for name, found in (gpu.architectures or {}).items():
        yield f"GPUs of {name}", " ".join([*found.sass, *found.ptx])
    if gpu.lowest_driver:
        yield "driver", f"{gpu.lowest_driver} or newer"
    elif gpu.libraries and not gpu.architectures:
        yield "GPUs, driver", f"{UNKNOWN}: only a smoke test of this digest finds out"


def _config_facts(config: Config) -> Iterator[tuple[str, str]]:
    yield "entrypoint", " ".join(config.entrypoint or ()) or "none"
    yield "command", " ".join(config.command or ()) or "none"
    yield "user", config.user or "root"
    yield "directory", config.working_dir or "/"
    yield "ports", " ".join(config.ports) or "none"


def _sections(inventory: Inventory) -> Iterator[tuple[str, Rows, tuple[int | None, ...]]]:
    """Title, rows and the widths of their columns."""
    asked = asked_for(inventory)
    yield (
        "Layers, lowest first",
        [
            {
                "MB": f"{layer.size / MB:.1f}",
                "unpacked": f"{layer.unpacked / MB:.1f}",
                "made by": made_by(layer, asked, WIDTH),
            }
            for layer in inventory.layers
        ],
        (None, None, None),
    )
    for title, values in (("Environment", inventory.config.env), ("Labels", inventory.config.labels)):
        yield title, [{"name": name, "value": value} for name, value in sorted(values.items())], (36, 40)
    for place in inventory.python.environments:
        rows = [
            {"name": item.name, "version": item.version, "asked for": ASKED[item.direct]}
            for item in place.distributions
        ]
        yield f"Python packages in {place.path}", rows, (40, 24, None)
    rows = [{"name": item.name, "version": item.version, "for": item.architecture} for item in inventory.apt]
    yield f"{inventory.system.id.capitalize() if inventory.system else 'dpkg'} packages", rows, (36, 30, None)
    rows = [
        {"name": item.name, "version": f"{item.version} {item.build}", "in": item.prefix} for item in inventory.conda
    ]
    yield "Conda packages", rows, (30, 24, 20)


def _json(inventory: Inventory) -> str:
    return render_inventory(inventory).decode()


PAGES = {"table": render_page, "json": _json}
"""What an inventory is shown as, by the name of the format."""
