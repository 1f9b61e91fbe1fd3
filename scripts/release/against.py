"""Decide what is to be built by what is published: the same answer on every machine, with builds of its own or without.

Only the checkout, the registry and the ledgers count, and what a smoke test found here last.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scripts.build.bake import EXPORTER
from scripts.build.layout import load_record
from scripts.build.plan import Action, Step, resolve_bases
from scripts.recipe.dockerfile import load_dockerfile
from scripts.recipe.inputs import recipe_of, summarise
from scripts.release.ahead import ask_ahead
from scripts.release.place import place_of
from scripts.release.standing import load_parts, load_standing
from scripts.smoke.record import Outcome
from scripts.smoke.record import load_record as load_smoke

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.build.settings import Settings
    from scripts.build.sources import Base
    from scripts.recipe.inputs import Recipe
    from scripts.recipe.matrix import ImageSpec
    from scripts.release.ledger import Ledger
    from scripts.release.place import Place
    from scripts.release.standing import Standing
    from scripts.release.transport import Transport


def plan_against(
    specs: Sequence[ImageSpec], settings: Settings, transport: Transport, ledger: Ledger
) -> tuple[Step, ...]:
    """The step of each image, compared with what its standard tag is in the registry.

    :param ledger: the ledgers of all families, joined.
    :raises RegistryError: if the registry cannot be asked.
    """
    if not specs:
        return ()
    places = [place_of(spec, settings) for spec in specs]
    standings: list[Standing | None] = [None] * len(places)
    if not settings.force:  # what is published decides nothing then
        standings = list(ask_ahead(lambda place: load_standing(transport, place, ledger), places))
    bases = resolve_bases(specs, settings)
    planner = _Planner(settings, transport, ledger)
    return tuple(
        planner.step(spec, bases[spec.pinned_base], place, standing)
        for spec, place, standing in zip(specs, places, standings, strict=True)
    )


class _Planner:
    def __init__(self, settings: Settings, transport: Transport, ledger: Ledger) -> None:
        self.settings = settings
        self.transport = transport
        self.ledger = ledger

    def step(self, spec: ImageSpec, base: Base, place: Place, standing: Standing | None) -> Step:
        """The step of one image."""
        recipe = self._recipe(spec, base.digest)
        step = Step(spec=spec, base=base, recipe=recipe, action=Action.BUILD, why="")
        if self.settings.force:
            return replace(step, why=self.settings.force)
        if standing is None:
            return replace(step, why="never published")
        if recipe.hash != standing.recipe:
            return self._changed(step, place, standing)
        if failed := self._failed(spec, standing.digest, recipe):
            return replace(step, why=f"smoke failed last: {failed}")
        return replace(step, action=Action.NOTHING, why=f"recipe, lock and base are those of {standing.name}")

    def _changed(self, step: Step, place: Place, standing: Standing) -> Step:
        """What to do where the recipe with the base of now is not that of the image."""
        yanked = self._yanked(place, step.recipe.hash)
        if yanked:
            return replace(step, action=Action.NOTHING, why=f"its recipe is that of {yanked}")
        only_base = bool(standing.base) and self._recipe(step.spec, standing.base).hash == standing.recipe
        if only_base and step.base.stand_in:
            why = f"recipe and lock are those of {standing.name}; its base cannot be asked for: {step.base.why}"
            return replace(step, action=Action.NOTHING, why=why)
        if only_base:
            return replace(step, why="base moved")
        before = load_parts(self.transport, place, standing)
        if before:
            # A base that cannot be asked for has not moved as far as anybody knows.
            now = {**step.recipe.parts, **({"base": before["base"]} if step.base.stand_in else {})}
            changed = sorted(name for name in {*now, *before} if now.get(name) != before.get(name))
            return replace(step, why=summarise(changed, before, now))
        what = "nothing tells which recipe it was made of" if not standing.recipe else "no provenance tells in what"
        return replace(step, why=f"recipe or lock changed since {standing.name} ({what})")

    def _recipe(self, spec: ImageSpec, base: str) -> Recipe:
        settings = {**EXPORTER, "source": self.settings.source}
        return recipe_of(self.settings.root, spec, load_dockerfile(spec.dockerfile), base=base, settings=settings)

    def _yanked(self, place: Place, recipe: str) -> str:
        """The newest revision with a recipe, if it was yanked, and why."""
        lines = [line for line in self.ledger.published(str(place.repository), place.tag) if line.recipe == recipe]
        yanked = self.ledger.yanked(str(place.repository), place.tag)
        if lines and (mark := yanked.get(lines[-1].revision)):
            return f"r{lines[-1].revision}, which was yanked: {mark.reason}"
        return ""

    def _failed(self, spec: ImageSpec, digest: str, recipe: Recipe) -> str:
        """The checks that failed when this image, or one of the same recipe, was tested here last."""
        built = load_record(self.settings.out, spec.id)
        digests = [digest, *([built.digest] if built and built.recipe == recipe.parts else [])]
        for item in digests:
            record = load_smoke(self.settings.out, item)
            if record and record.outcome is Outcome.FAIL:
                bad = [result.check for result in record.results if result.outcome is Outcome.FAIL]
                return ", ".join(bad[:3]) or "it was cut off"
        return ""
