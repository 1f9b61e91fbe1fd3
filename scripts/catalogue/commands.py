"""What ``invoke catalogue`` does: collect, make all files, write those that differ."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from scripts.catalogue.collect import collect
from scripts.catalogue.files import files_of
from scripts.catalogue.inquiry import Inquiry
from scripts.catalogue.shelf import Shelf
from scripts.catalogue.site import open_site, write_site
from scripts.recipe.lifetimes import load_lifetimes
from scripts.recipe.matrix import expand_all
from scripts.release.commands import connect
from scripts.release.patience import Patience
from scripts.release.wire import Timeouts

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from scripts.build.settings import Settings
    from scripts.catalogue.model import Catalogue
    from scripts.recipe.family import Family

# There is another way: pages from the ledgers, which say so. A registry that hangs is not waited for for minutes.
PATIENCE = Patience(attempts=3)
TIMEOUTS = Timeouts(read=20)


def shelf_of(settings: Settings) -> Shelf:
    """Where documents of digests are kept between runs: a folder for each registry and organisation."""
    return Shelf(settings.out / "catalogue" / settings.registry.replace(":", "_").replace("/", "_"))


def load_catalogue(
    families: Sequence[Family],
    settings: Settings,
    say: Callable[[str], None],
    *,
    today: datetime.date,
    offline: bool = False,
) -> Catalogue:
    """Everything that is published, asked of the registry unless ``offline``.

    :raises LedgerError: if a ledger has faults.
    """
    with nullcontext() if offline else connect(say, PATIENCE, TIMEOUTS) as transport:
        inquiry = Inquiry(transport, shelf_of(settings), settings.out, say)
        return collect(families, expand_all(families), settings, inquiry, load_lifetimes(), today)


def write_catalogue(
    families: Sequence[Family],
    settings: Settings,
    folder: Path,
    say: Callable[[str], None],
    *,
    today: datetime.date,
    offline: bool = False,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Write the site; gives a row of what became of it.

    :raises UsageError: if the folder is not ours.
    """
    open_site(folder)  # before anything is asked
    catalogue = load_catalogue(families, settings, say, today=today, offline=offline)
    done = write_site(folder, files_of(catalogue, shelf_of(settings)), dry_run=dry_run)
    if not dry_run:
        say(f"open {folder / 'index.html'}")
    return {
        "images": len(catalogue.published),
        "revisions": sum(len(image.revisions) for image in catalogue.published),
        **{name: done.counts[name] for name in ("new", "changed", "unchanged", "removed")},
        "as of": catalogue.as_of,
        "output": str(folder),
    }
