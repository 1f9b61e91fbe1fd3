"""Which images' builds can see what changed since a commit: each recipe as it was then and as it is now, part by part.

Not by directory: a recipe has the stages that a build runs, the files that these copy, its row and its lock, so a change
is that of exactly the images whose recipe differs. What is not committed counts.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from scripts.build.bake import EXPORTER
from scripts.build.committed import recipe_paths
from scripts.build.plan import Action, Step
from scripts.build.sources import Base
from scripts.build.vcs import changed_files, git, known_refs, require_git, within
from scripts.errors import UsageError
from scripts.recipe.dockerfile import load_dockerfile
from scripts.recipe.family import FILENAME
from scripts.recipe.faults import did_you_mean
from scripts.recipe.inputs import recipe_of, summarise
from scripts.recipe.matrix import expand_all, load_families

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from scripts.build.settings import Settings
    from scripts.recipe.inputs import Recipe
    from scripts.recipe.matrix import ImageSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Then:
    """The recipes of a commit."""

    commit: str
    recipes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The parts of each, by image."""
    faults: Mapping[str, str] = field(default_factory=dict)
    """Why an image could not be built then, by image."""
    unreadable: str = ""
    """Why no recipe of that commit can be read."""


def plan_since(
    specs: Sequence[ImageSpec], settings: Settings, ref: str, then: Then, *, force: str = ""
) -> tuple[Step, ...]:
    """The step of each image: to be built if its recipe is not what it was then. Asks no registry.

    :param ref: how to call that commit.
    """
    return tuple(_plan_one(spec, settings, ref, then, force) for spec in specs)


def _plan_one(spec: ImageSpec, settings: Settings, ref: str, then: Then, force: str) -> Step:
    recipe = _recipe(settings.root, spec)
    before = then.recipes.get(spec.id)
    action = Action.BUILD
    if force:
        why = force
    elif then.unreadable:
        why = f"the recipes of {ref} cannot be read"
    elif spec.id in then.faults:
        why = f"could not be built at {ref}: {then.faults[spec.id]}"
    elif before is None:
        why = f"new since {ref}"
    elif changed := recipe.changed(before):
        why = summarise(changed, before, recipe.parts)
    else:
        action, why = Action.NOTHING, f"nothing that its build can see changed since {ref}"
    base = Base(
        reference=spec.base, digest=spec.base_digest or "", context="", pinned=spec.base_digest is not None, why=""
    )
    return Step(spec=spec, base=base, recipe=recipe, action=action, why=why)


def load_then(root: Path, commit: str) -> Then:
    """The recipes of a commit."""
    with exported(root, commit) as folder:
        try:
            specs = expand_all(load_families(folder))
        except UsageError as error:
            return Then(commit=commit, unreadable=str(error))
        recipes, faults = {}, {}
        for spec in specs:
            try:
                recipes[spec.id] = _recipe(folder, spec).parts
            except UsageError as error:
                faults[spec.id] = str(error).removeprefix(f"{spec.id}: ")
        return Then(commit=commit, recipes=recipes, faults=faults)


def find_commit(root: Path, ref: str) -> str:
    """The commit that a branch and HEAD have in common last, so that what came to that branch since is not ours.

    :raises UsageError: if there is no git, no such commit, or the clone is too shallow to know.
    """
    require_git(root)
    shallow = git(root, "rev-parse", "--is-shallow-repository").text == "true"
    more = "this clone is shallow: git fetch --unshallow (in a workflow: fetch-depth: 0)"
    found = git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if not found.ok:
        hint = f", or it is not in this clone: {more}" if shallow else did_you_mean(ref, known_refs(root))
        raise UsageError(f'--changed-since: no commit "{ref}"{hint}')
    common = git(root, "merge-base", found.text, "HEAD")
    if common.ok:
        return common.text
    if shallow:
        raise UsageError(f'--changed-since: where HEAD left "{ref}" is not known: {more}')
    return found.text  # no common history: what differs from it


def uncommitted(root: Path, specs: Iterable[ImageSpec]) -> tuple[str, ...]:
    """The files that builds can see, or that say what is built, and that are not as they were committed."""
    paths: set[Path] = set()
    for spec in specs:
        paths |= {*recipe_paths(root, spec, load_dockerfile(spec.dockerfile)), root / spec.family / FILENAME}
    return within(changed_files(root), (path.relative_to(root).as_posix() for path in paths))


@contextmanager
def exported(root: Path, commit: str) -> Iterator[Path]:
    """A folder with the files of a commit, gone afterwards; nothing is written into the repository.

    An index of its own, so that two at once, or one beside somebody who commits, are not in each other's way.
    """
    with TemporaryDirectory(prefix="images-") as work:
        index = {"GIT_INDEX_FILE": str(Path(work, "index"))}
        folder = Path(work, "files")
        top = Path(git(root, "rev-parse", "--show-toplevel").text)
        for words in (("read-tree", commit), ("checkout-index", "--all", f"--prefix={folder}/")):
            done = git(top, *words, environment=index)
            if not done.ok:
                raise UsageError(f"git {words[0]} {commit[:12]}: {done.complaint}")
        yield folder / root.resolve().relative_to(top.resolve())


def _recipe(root: Path, spec: ImageSpec) -> Recipe:
    """The recipe as far as a checkout decides it: which base a tag is at a time is not for git to say."""
    return recipe_of(root, spec, load_dockerfile(spec.dockerfile), base=spec.base_digest or "", settings=EXPORTER)
