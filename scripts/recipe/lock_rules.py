"""What has to hold of a lock, seen from its files alone: no index is asked."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from scripts.recipe.family import layer_of
from scripts.recipe.lock import direct_requirements, disagreements, lock_directory, parse_layer, render_layer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scripts.recipe.family import Family, Row
    from scripts.recipe.lock import Pin

HOST = re.compile(r"[a-z]+://|--(extra-)?index|--find-links|(^|\s)-[if]\s| @ ")
SHA256 = re.compile(r"[0-9a-f]{64}")


def broken_rules(family: Family, row: Row, shared: str) -> list[str]:
    """What is wrong with the lock of a row: a sentence each.

    :param shared: text of the requirements that all families share.
    """
    texts = {path.stem: path.read_text(encoding="utf-8") for path in lock_directory(family, row).glob("*.txt")}
    layers = family.manifest.layers
    if missing := [name for name in layers if name not in texts]:
        return [f"no lock for {', '.join(missing)}"]
    found = [f"{name}.txt is of no layer in {family.where}" for name in sorted(texts) if name not in layers]
    lock = {name: parse_layer(texts[name]) for name in layers}
    for name in layers:
        found += _file_faults(name, texts[name])
    if any(HOST.search(texts[name]) for name in layers):
        return found  # what else is in such a file is no pin, and an address may hold a password
    found += _pin_faults(lock, layers, family.where)
    pins = [pin for pins in lock.values() for pin in pins]
    return found + disagreements(direct_requirements(shared, row), row.constraints, pins)


def _file_faults(layer: str, text: str) -> Iterator[str]:
    if named := [number for number, line in enumerate(text.splitlines(), 1) if HOST.search(line)]:
        yield f"{layer}.txt names an index or an address in line {', '.join(map(str, named))}"
    elif render_layer(parse_layer(text)) != text:
        yield f"{layer}.txt is not as `invoke lock` writes it: it was edited"


def _pin_faults(
    lock: Mapping[str, tuple[Pin, ...]], layers: Mapping[str, tuple[str, ...]], where: str
) -> Iterator[str]:
    places: dict[str, list[str]] = defaultdict(list)
    for layer, pins in lock.items():
        for pin in pins:
            places[pin.name].append(layer)
            right = layer_of(pin.name, layers)
            if right != layer:
                yield f"{pin.name} is in {layer}.txt, and {where} puts it into {right}"
            if not pin.hashes and not pin.why:
                yield f"{pin.name} has neither a hash nor a reason why not"
            if not all(SHA256.fullmatch(digest) for digest in pin.hashes):
                yield f"{pin.name} has a hash that is no SHA-256"
    for name, at in places.items():
        if len(at) > 1:
            yield f"{name} is there {len(at)} times: {', '.join(f'{layer}.txt' for layer in at)}"
