"""What inventories and smoke tests say of a revision, in the few words that pages and tables need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from scripts.catalogue.model import Contents, Layer, Result, Test, Weight
from scripts.contents.difference_pages import usual_place
from scripts.contents.words import asked_for, count_of, made_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scripts.contents.inventory import Inventory
    from scripts.release.lines import Smoke

FRAMEWORKS = ("torch", "tensorflow", "tensorflow-cpu")
"""Told of every image that has them, promised or not."""
HEAVIEST = 12
"""Packages that are told one by one."""
BRINGS = 60
"""Characters of what made a layer."""


def contents_of(inventory: Inventory, promised: Iterable[str]) -> Contents:
    """An inventory in short.

    :param promised: names of the Python distributions whose versions matter for this image.
    """
    gpu, asked = inventory.gpu, asked_for(inventory)
    distributions = sum(len(place.distributions) for place in inventory.python.environments)
    counts = {"Python": distributions, "distribution": len(inventory.apt), "conda": len(inventory.conda)}
    return Contents(
        platform=inventory.image.platform,
        system=inventory.system.name if inventory.system else "",
        versions=_versions(inventory, (*promised, *FRAMEWORKS)),
        architectures=None
        if gpu.architectures is None
        else {name: " ".join([*found.sass, *found.ptx]) for name, found in sorted(gpu.architectures.items())},
        lowest_driver=gpu.lowest_driver,
        packages={name: number for name, number in counts.items() if number},
        layers=tuple(
            Layer(digest=layer.digest, size=layer.size, unpacked=layer.unpacked, brings=made_by(layer, asked, BRINGS))
            for layer in inventory.layers
        ),
        weights=_weights(inventory),
    )


def _weights(inventory: Inventory) -> tuple[Weight, ...]:
    """The largest packages of Python and of the distribution, then all others; those that say what they weigh."""
    named = [
        (f"{item.name} {item.version}", item.size)
        for place in inventory.python.environments
        for item in place.distributions
    ]
    named += [(f"{item.name} (apt)", item.size) for item in inventory.apt]
    found = sorted(((name, size) for name, size in named if size), key=lambda pair: (-pair[1], pair[0]))
    weights = [Weight(name=name, size=size) for name, size in found[:HEAVIEST]]
    if others := found[HEAVIEST:]:
        weights.append(Weight(name=count_of(len(others), "other package"), size=sum(size for _, size in others)))
    return tuple(weights)


def _versions(inventory: Inventory, wanted: Iterable[str]) -> dict[str, str]:
    """Name to version; the distributions as the interpreter on PATH finds them, else as any environment has them."""
    found: dict[str, str] = {}
    if inventory.python.interpreter and inventory.python.interpreter.version:
        found["python"] = inventory.python.interpreter.version
    libraries: dict[str, set[str]] = {}
    for library in inventory.gpu.libraries:
        libraries.setdefault(library.name.lower(), set()).add(library.version)
    found |= {name: " and ".join(sorted(versions)) for name, versions in libraries.items()}
    usual = usual_place(inventory)
    places = sorted(inventory.python.environments, key=lambda place: place.path != usual)
    there: dict[str, str] = {}
    for place in places:
        for item in place.distributions:
            there.setdefault(canonicalize_name(item.name), item.version)
    return found | {name: there[name] for name in dict.fromkeys(wanted) if name in there}


def test_of(predicate: Mapping[str, Any] | None, ledger: Smoke | None) -> Test | None:
    """The smoke test of a digest: as its attached result tells it, else as the ledger does.

    A result may have been written by anybody: what is not of the form that it should have is not told.
    """
    if not predicate:
        if ledger is None:
            return None
        counts = {"passed": ledger.passed, "failed": 0, "skipped": ledger.skipped}
        return Test(result=Result.PASSED, counts=counts, started=ledger.started)
    passed, failed = _names(predicate.get("passedTests")), _names(predicate.get("failedTests"))
    listed = predicate.get("vessl_skippedTests")
    skipped = {
        str(item.get("name", "")): str(item.get("reason", ""))
        for item in (listed if isinstance(listed, list) else ())
        if isinstance(item, dict)
    }
    run = predicate.get("vessl_run")
    facts: Mapping[str, Any] = run if isinstance(run, dict) else {}
    gpu = facts.get("gpu")
    return Test(
        result=Result.PASSED if predicate.get("result") == "PASSED" and not failed else Result.FAILED,
        counts={"passed": len(passed), "failed": len(failed), "skipped": len(skipped)},
        started=str(facts.get("started", "")),
        gpu=gpu if isinstance(gpu, bool) else None,
        stand_in=facts.get("standInBase") is True,
        passed=passed,
        failed=failed,
        skipped=skipped,
    )


def _names(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()
