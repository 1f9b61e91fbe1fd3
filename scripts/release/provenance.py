"""Where an image comes from and how it was tested, as predicates that others' tools read.

https://slsa.dev/spec/v1.0/provenance, https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md.
Nothing here says when: the same build gives the same bytes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from scripts.build.vcs import DIRTY
from scripts.recipe.inputs import PIN, Recipe
from scripts.smoke.record import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scripts.build.layout import Record as Build
    from scripts.build.settings import Settings
    from scripts.smoke.record import Record

LEVEL = 1
"""SLSA build level that a build on the publisher's own machine can have at most: nothing keeps its owner from lying."""
DOCS = "blob/main/docs/security.md"
_FILE = re.compile(r"[x-]([0-9a-f]{64})")


def builder_id(settings: Settings) -> str:
    """Who builds: the setting's URI, or the one that describes a maintainer's machine."""
    return settings.evidence.builder or f"{settings.source}/{DOCS}#who-builds"


def provenance_of(build: Build, settings: Settings, byproducts: Mapping[str, str]) -> dict[str, Any]:
    """The predicate of SLSA provenance v1 of a build.

    :param byproducts: digest of what else was made of it, by name: its SBOMs.
    """
    parts = build.recipe
    args, inner = _part(parts, "arg "), {"settings": _part(parts, "setting "), "stages": _part(parts, "stage ")}
    inner |= {"pins": pins} if (pins := _part(parts, PIN)) else {}
    commit = build.commit.removesuffix(DIRTY)
    source: dict[str, Any] = {"name": "recipe", "uri": f"git+{settings.source}"}
    source |= {"digest": {"gitCommit": commit}} if commit else {}
    source |= {"annotations": {"uncommittedChanges": True}} if build.commit.endswith(DIRTY) else {}
    return {
        "buildDefinition": {
            "buildType": f"{settings.source}/{DOCS}#build-type",
            "externalParameters": {
                "image": build.id,
                "source": source["uri"],
                "recipe": {"sha256": Recipe(parts=parts).hash},
                "platforms": parts.get("platforms", "").split(","),
                "arguments": args,
            },
            "internalParameters": {**inner, "sourceDateEpoch": build.epoch},
            "resolvedDependencies": [source, _base(build, args.get("BASE_IMAGE", "")), *_files(parts)],
        },
        "runDetails": {
            "builder": {"id": builder_id(settings), "vessl_slsaBuildLevel": f"{LEVEL} at most"},
            "byproducts": [{"name": name, "digest": _digest(value)} for name, value in sorted(byproducts.items())],
        },
    }


def recipe_in(predicate: Mapping[str, Any]) -> dict[str, str]:
    """The recipe that a provenance tells, part by part; empty where it has another form.

    Whether it is true is for the recipe's hash to say, which the image's own label has.
    """
    try:
        definition = predicate["buildDefinition"]
        outer, inner = definition["externalParameters"], definition["internalParameters"]
        parts = {"platforms": ",".join(outer["platforms"])}
        named = (("arg ", outer["arguments"]), ("setting ", inner["settings"]), ("stage ", inner["stages"]))
        for prefix, values in (*named, (PIN, inner.get("pins", {}))):
            parts |= {f"{prefix}{name}": str(value) for name, value in values.items()}
        for item in definition["resolvedDependencies"]:
            name, digest = str(item["name"]), item.get("digest", {}).get("sha256", "")
            if name == "base" or name.startswith("base "):
                parts["base"] = f"sha256:{digest}" if digest else ""
            elif digest:
                parts[name] = f"{'x' if item.get('annotations', {}).get('executable') else '-'}{digest}"
    except (KeyError, TypeError, AttributeError):
        return {}
    return parts


def test_result_of(record: Record) -> dict[str, Any]:
    """The predicate of a smoke test: which checks, on what, and how each ended."""

    def named(outcome: Outcome) -> list[str]:
        return sorted(result.check for result in record.results if result.outcome is outcome)

    return {
        "result": "PASSED" if record.outcome is Outcome.PASS else "FAILED",
        "configuration": [{"name": "checks", "digest": {"sha256": record.checks}}],
        "passedTests": named(Outcome.PASS),
        "warnedTests": [],
        "failedTests": named(Outcome.FAIL),
        "vessl_skippedTests": [
            {"name": result.check, "reason": result.reason}
            for result in sorted(record.results, key=lambda result: result.check)
            if result.outcome is Outcome.SKIP
        ],
        "vessl_run": {
            "started": record.started,
            "seconds": record.seconds,
            "gpu": record.gpu,
            "standInBase": record.stand_in,
            "counts": {str(outcome).lower(): len(named(outcome)) for outcome in Outcome},
        },
    }


def _part(parts: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): value for name, value in sorted(parts.items()) if name.startswith(prefix)}


def _base(build: Build, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"name": f"base {name}".strip(), "digest": _digest(build.base)}
    return found | ({"annotations": {"standIn": True}} if build.stand_in else {})


def _files(parts: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The files of the recipe, the locks among them; the first character of a part tells its mode."""
    for name, value in sorted(parts.items()):
        if match := _FILE.fullmatch(value):
            found: dict[str, Any] = {"name": name, "digest": {"sha256": match[1]}}
            yield found | ({"annotations": {"executable": True}} if value.startswith("x") else {})


def _digest(value: str) -> dict[str, str]:
    return {"sha256": value.removeprefix("sha256:")}
