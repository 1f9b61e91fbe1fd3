"""What a signed predicate tells; others write them too, so nothing is taken for granted of their form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def facts_in(predicate: Mapping[str, Any]) -> dict[str, str]:
    """Builder, commit, recipe and base of a provenance; empty what it does not tell, in whatever form."""

    def at(*keys: str) -> str:
        found: Any = predicate
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        return found if isinstance(found, str) else ""

    definition = predicate.get("buildDefinition")
    listed = definition.get("resolvedDependencies") if isinstance(definition, dict) else None
    named = {
        str(item.get("name", "")): item["digest"]
        for item in (listed if isinstance(listed, list) else ())
        if isinstance(item, dict) and isinstance(item.get("digest"), dict)
    }
    base: Mapping[str, Any] = next((digest for name, digest in named.items() if name.startswith("base")), {})
    return {
        "builder": at("runDetails", "builder", "id"),
        "recipe": at("buildDefinition", "externalParameters", "recipe", "sha256"),
        "commit": str(named.get("recipe", {}).get("gitCommit", "")),
        "base": str(base.get("sha256", "")),
    }


def origin_in(predicate: Mapping[str, Any]) -> str:
    """The same as a sentence."""
    facts = facts_in(predicate)
    parts = [facts["builder"] and f"built by {facts['builder']}"]
    parts += [facts[name] and f"{name} {facts[name][:12]}" for name in ("commit", "recipe", "base")]
    return ", ".join(filter(None, parts))


def result_in(predicate: Mapping[str, Any]) -> str:
    """What a test result says, in whatever form."""
    if not predicate:
        return ""
    counts = {
        word: len(predicate[key])
        for key, word in (("passedTests", "passed"), ("failedTests", "failed"), ("vessl_skippedTests", "skipped"))
        if isinstance(predicate.get(key), list)
    }
    return ", ".join(
        [str(predicate.get("result", "")), *(f"{number} {word}" for word, number in counts.items() if number)]
    )
