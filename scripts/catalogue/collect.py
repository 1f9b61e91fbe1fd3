"""From ledgers, registry and version manifests to what the catalogue tells; the only part of it that asks anybody."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scripts.catalogue.instead import add_substitutes
from scripts.catalogue.measured import contents_of, test_of
from scripts.catalogue.model import RETIRED, Catalogue, Contents, Family, Image, Lifetime, Mark, Revision, Stand
from scripts.release.ahead import ask_ahead
from scripts.release.lines import Published
from scripts.release.place import load_history, registry_of
from scripts.release.reference import parse_repository
from scripts.release.revision import revision_tag

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable, Mapping

    from scripts.build.settings import Settings
    from scripts.catalogue.inquiry import Inquiry
    from scripts.recipe.family import Family as Recipes
    from scripts.recipe.lifetimes import Lifetimes
    from scripts.recipe.matrix import ImageSpec
    from scripts.release.ledger import Ledger
    from scripts.release.lines import Gone, Yanked

    Key = tuple[str, str]


def collect(
    recipes: Iterable[Recipes],
    specs: Iterable[ImageSpec],
    settings: Settings,
    inquiry: Inquiry,
    lifetimes: Lifetimes,
    today: datetime.date,
) -> Catalogue:
    """All that is known of what is declared here and published to the registry of the settings.

    :param inquiry: what finds out what is attached to digests, and whether the registry is as the ledgers say.
    :param today: what lifetimes are seen from.
    :raises LedgerError: if a ledger has faults.
    :raises MalformedError: if it names a repository or a tag that cannot be one.
    """
    ours = f"{registry_of(settings)}/"
    ledger = load_history(settings)
    written = {key: family for key, family in ledger.homes.items() if key[0].startswith(ours)}
    declared = {(f"{ours}{spec.repository}", spec.tag): spec for spec in specs}
    inquiry.prefetch(
        parse_repository(line.repository).digest(line.image)
        for line in ledger.lines
        if isinstance(line, Published) and line.repository.startswith(ours)
    )
    families = {**written, **{key: spec.family for key, spec in declared.items()}}

    def image(key: Key) -> Image:
        return _image(key, key[0].removeprefix(ours), declared.get(key), families[key], ledger, inquiry)

    images = list(ask_ahead(image, families))
    images = [replace(image, lifetimes=_lifetimes(image, lifetimes, today)) for image in images]
    times = [line.time for line in ledger.lines if line.repository.startswith(ours)]
    descriptions = {family.name: family.manifest.description for family in recipes}
    return Catalogue(
        registry=ours.removesuffix("/"),
        source=settings.source,
        as_of=max(times, default=""),
        trouble=inquiry.trouble,
        families=tuple(
            Family(name=name, description=descriptions.get(name, ""))
            for name in sorted({*descriptions, *written.values()})
        ),
        images=add_substitutes(images),
    )


def _image(key: Key, name: str, spec: ImageSpec | None, family: str, ledger: Ledger, inquiry: Inquiry) -> Image:
    repository, tag = key
    parse_repository(repository).tag(tag)  # its pages are called so: a ledger may be written by hand
    promised = {"python": spec.python, **({"cuda": spec.cuda} if spec.cuda else {}), **spec.packages} if spec else {}
    revisions = _revisions(key, promised, ledger, inquiry)
    gone = ledger.gone(repository, tag)
    there = [line for line in ledger.published(repository, tag) if line.revision not in gone]
    # Also where the newest one is yanked: the standard tag stays there if there is none to go back to.
    standard = there[-1].digest if there else ""
    drift = inquiry.drift(parse_repository(repository), tag, standard) if revisions else ""
    measured = next((item.contents for item in revisions if item.contents), None)
    return Image(
        id=f"{name}:{tag}",
        family=family,
        repository=repository,
        tag=tag,
        state=str(spec.state) if spec else RETIRED,
        reason=(spec.reason or "") if spec else "It is no longer in the version manifests: no new revision will come",
        since=str(spec.since or "") if spec else "",
        instead=(),
        base=spec.base if spec else "",
        versions=promised,
        platforms=spec.platforms if spec else (measured.platform,) if measured else (),
        gpu=spec.gpu if spec else bool(measured and "cuda" in measured.versions),
        lifetimes=(),
        drift=drift,
        revisions=revisions,
    )


def _revisions(key: Key, promised: Mapping[str, str], ledger: Ledger, inquiry: Inquiry) -> tuple[Revision, ...]:
    """Newest first."""
    lines = ledger.published(*key)
    yanked, gone = ledger.yanked(*key), ledger.gone(*key)
    current = max((line.revision for line in lines if line.revision not in gone), default=0)
    found = []
    known: dict[str, Contents | None] = {}
    for line in reversed(lines):
        number, there = line.revision, line.revision not in gone
        image = parse_repository(line.repository).digest(line.image)
        if line.digest not in known:
            inventory = inquiry.inventory(image) if there else inquiry.shelf.inventory(line.image)
            known[line.digest] = contents_of(inventory, promised) if inventory else None
        if not there:
            stand = Stand.GONE
        elif number in yanked:
            stand = Stand.YANKED
        else:
            stand = Stand.CURRENT if number == current else Stand.OLDER
        found.append(
            Revision(
                number=number,
                tag=revision_tag(line.tag, number),
                digest=line.digest,
                image=line.image,
                platforms=tuple(item.platform for item in line.platforms),
                untested={item.platform: item.untested for item in line.platforms if item.untested},
                # Of an index the ledger has the bytes of all platforms, which nobody pulls.
                size=next((item.size for item in line.platforms if item.digest == line.image), line.size),
                time=line.time,
                reason=line.reason,
                stand=stand,
                commit=line.commit,
                base=line.base,
                replaces=line.replaces,
                same_as=line.same_as,
                adopted=line.adopted,
                yanked=_mark(yanked.get(number)),
                gone=_mark(gone.get(number)),
                contents=known[line.digest],
                test=test_of(inquiry.test(image) if there else None, line.smoke),
            )
        )
    return tuple(found)


def _mark(line: Yanked | Gone | None) -> Mark | None:
    return Mark(time=line.time, reason=line.reason) if line else None


def _lifetimes(image: Image, lifetimes: Lifetimes, today: datetime.date) -> tuple[Lifetime, ...]:
    current = image.current
    measured = current.contents.versions if current and current.contents else {}
    versions = {**measured, **image.versions}
    python, cuda = versions.get("python", ""), versions.get("cuda") or None
    if not python and not cuda:
        return ()
    return tuple(
        Lifetime(
            what=life.title,
            end=life.end.isoformat(),
            extended=life.extended.isoformat() if life.extended else "",
            by=life.by,
            state=str(life.state(today)),
        )
        for life in lifetimes.of(image.base, python, cuda)
    )
