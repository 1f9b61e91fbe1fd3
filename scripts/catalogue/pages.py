"""The pages: what is known, put into templates that escape every word of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from scripts.catalogue.changes import Group, groups_of
from scripts.catalogue.choices import choices_of, rows_of, size_choices
from scripts.catalogue.measured import HEAVIEST
from scripts.catalogue.picture import plot_packages, plot_sizes, stack, stack_layers
from scripts.catalogue.words import called, day, package_list, short, shown, size_text, version_of
from scripts.contents.difference import compare
from scripts.contents.difference_pages import pull_words
from scripts.contents.difference_words import sentence
from scripts.contents.drivers import lowest_driver

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from markupsafe import Markup

    from scripts.catalogue.model import Catalogue, Image, Revision
    from scripts.catalogue.shelf import Shelf
    from scripts.contents.inventory import Inventory

TEMPLATES = Path(__file__).with_name("templates")
BASE_NAME = "org.opencontainers.image.base.name"
"""Label of the base that an image was built on (OCI annotations, pre-defined keys)."""


@cache
def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
    )
    found.filters |= {"size": size_text, "day": day, "called": called, "short": short}
    return found


def render(name: str, root: str, catalogue: Catalogue, **facts: Any) -> str:
    """A page.

    :param root: from the page to the index: empty, or ``../../``.
    """
    common = {"page": name.partition(".")[0], "paths": catalogue.paths, "gpus": catalogue.gpus, **facts}
    return _environment().get_template(name).render(root=root, catalogue=catalogue, **common)


def top_pages(catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """Path and text of the pages that are not of one image."""
    rows = rows_of(catalogue)
    facts = {"rows": rows, "choices": choices_of(rows), "sizes": size_choices()}
    yield "index.html", render("index.html", "", catalogue, **facts)
    yield "compare.html", render("compare.html", "", catalogue)
    yield "about.html", render("about.html", "", catalogue)


def image_pages(catalogue: Catalogue, image: Image, shelf: Shelf) -> Iterator[tuple[str, str]]:
    """Path and text of the page of an image and of those of its revisions."""
    root = "../" * (image.path.count("/") + 1)
    yield f"images/{image.path}.html", _image_page(catalogue, image, root)
    known: Inventory | None = None
    for number, revision in enumerate(reversed(image.revisions)):
        before, known = known, shelf.inventory(revision.image) if revision.contents else None
        yield (
            f"images/{image.path}-r{revision.number}.html",
            _revision_page(catalogue, image, len(image.revisions) - 1 - number, root, (before, known)),
        )


def _image_page(catalogue: Catalogue, image: Image, root: str) -> str:
    current = image.current
    contents = current.contents if current else None
    cuda = version_of(image, "cuda")
    return render(
        "image.html",
        root,
        catalogue,
        image=image,
        current=current,
        contents=contents,
        description=next((family.description for family in catalogue.families if family.name == image.family), ""),
        versions=_versions(image, contents.versions if contents else {}),
        cuda=cuda,
        driver=lowest_driver(cuda) if cuda else None,
        layers=stack_layers(contents.layers) if contents else (),
        weights=stack([(item.name, item.size) for item in contents.weights], HEAVIEST) if contents else (),
        unpacked=sum(layer.unpacked for layer in contents.layers) if contents else 0,
        sizes=plot_sizes(image.revisions),
        packages=plot_packages(image.revisions),
        test=current.test if current else None,
    )


@dataclass(frozen=True, slots=True)
class Version:
    """A version as it is declared and as it was measured; empty: it is not."""

    name: str
    declared: str
    measured: str

    @property
    def differs(self) -> bool:
        """Whether what was measured is not what is declared: 3.11.9 is 3.11, 2.3.1+cu121 is 2.3.1."""
        found = self.measured
        return bool(self.declared and found) and not (
            f"{found}.".startswith(f"{self.declared}.") or found.startswith(f"{self.declared}+")
        )


def _versions(image: Image, measured: Mapping[str, str]) -> list[Version]:
    names = dict.fromkeys([*image.versions, *measured])
    return [Version(name, image.versions.get(name, ""), measured.get(name, "")) for name in names]


def _revision_page(
    catalogue: Catalogue, image: Image, number: int, root: str, inventories: tuple[Inventory | None, Inventory | None]
) -> str:
    revision = image.revisions[number]
    before = image.revisions[number + 1] if number + 1 < len(image.revisions) else None
    contents = revision.contents
    groups, summary, pull = _difference(before, revision, *inventories)
    return render(
        "revision.html",
        root,
        catalogue,
        image=image,
        revision=revision,
        current=image.current,
        before=before,
        after=image.revisions[number - 1] if number else None,
        contents=contents,
        inventory=inventories[1],
        # As it was built: the version manifest may name another base by now.
        base=inventories[1].config.labels.get(BASE_NAME, "") if inventories[1] else "",
        packages=_packages(inventories[1]),
        layers=stack_layers(contents.layers) if contents else (),
        unpacked=sum(layer.unpacked for layer in contents.layers) if contents else 0,
        difference=groups,
        summary=summary,
        pull=pull,
        test=revision.test,
    )


def _packages(inventory: Inventory | None) -> list[tuple[str, int, Markup]]:
    """Title, number and list of each sort of packages that there are."""
    if inventory is None:
        return []
    system = inventory.system.id.capitalize() if inventory.system else "dpkg"
    found = [
        (
            f"Python packages in {place.path}",
            [(item.name, item.version, bool(item.direct)) for item in place.distributions],
        )
        for place in inventory.python.environments
    ]
    found.append((f"{system} packages", [(item.name, item.version, False) for item in inventory.apt]))
    found.append(("Conda packages", [(item.name, f"{item.version} {item.build}", False) for item in inventory.conda]))
    return [(title, len(rows), package_list(rows)) for title, rows in found if rows]


def _difference(
    before: Revision | None, revision: Revision, old: Inventory | None, new: Inventory | None
) -> tuple[tuple[Group, ...] | None, str, str]:
    """The groups of what changed, in a sentence, and what is pulled; None: it is not known."""
    if before is None or old is None or new is None:
        return None, "", ""
    if before.digest == revision.digest:
        return (), "", ""
    difference = compare(old, new)
    return groups_of(difference), sentence(difference), pull_words(difference)
