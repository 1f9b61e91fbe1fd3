"""The folder of the site: ours is written where it differs, and what others put there stays."""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING

import pytest

from scripts.catalogue.site import MARK, write_site
from scripts.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

FILES = [("index.html", "one"), ("a/b.html", "two")]


def there(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MARK
    }


@pytest.fixture
def site(tmp_path: Path) -> Path:
    write_site(tmp_path / "site", FILES)
    return tmp_path / "site"


def test_writes_what_differs_and_removes_what_is_no_more(site: Path) -> None:
    assert there(site) == dict(FILES)
    old = (site / "index.html").stat().st_mtime_ns
    done = write_site(site, [("index.html", "one"), ("c.html", "three")])
    assert dict(done.counts) == {"unchanged": 1, "new": 1, "removed": 1}
    assert there(site) == {"index.html": "one", "c.html": "three"}
    assert (site / "index.html").stat().st_mtime_ns == old
    assert not (site / "a").exists()
    assert write_site(site, [("index.html", "1"), ("c.html", "three")]).counts == {"changed": 1, "unchanged": 1}


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    assert write_site(tmp_path / "site", FILES).counts == {"new": 2}


def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years")
    with pytest.raises(UsageError, match=r"has files that the catalogue did not write \(no .catalogue.json\)"):
        write_site(tmp_path, FILES)
    assert there(tmp_path) == {"thesis.txt": "years"}


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "site").write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        write_site(tmp_path / "site", FILES)


def test_files_of_others_in_our_folder_stay(site: Path) -> None:
    (site / "CNAME").write_text("images.example.com")
    (site / "a" / "mine.txt").write_text("mine")
    write_site(site, [("index.html", "one")])
    assert there(site) == {"index.html": "one", "CNAME": "images.example.com", "a/mine.txt": "mine"}


def test_a_file_of_others_in_the_way_is_not_overwritten(site: Path) -> None:
    (site / "new.html").write_text("mine")
    with pytest.raises(UsageError, match=r"new.html: the catalogue did not write it"):
        write_site(site, [*FILES, ("new.html", "ours")])
    assert there(site)["new.html"] == "mine"
    (site / "new.html").unlink()
    assert write_site(site, [*FILES, ("new.html", "ours")]).counts == {"unchanged": 2, "new": 1}


def test_links_do_not_lead_out(site: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.html").write_text("theirs")
    (site / "out").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="leads out of"):
        write_site(site, [("out/x.html", "ours")])
    (site / "index.html").unlink()
    (site / "index.html").symlink_to(tmp_path / "elsewhere" / "x.html")
    with pytest.raises(UsageError, match="leads out of"):
        write_site(site, FILES)
    assert there(tmp_path / "elsewhere") == {"x.html": "theirs"}


def test_a_mark_that_was_edited_removes_nothing_elsewhere(site: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years")
    (site / MARK).write_text(json.dumps({"files": ["../thesis.txt", str(tmp_path / "thesis.txt")]}))
    assert write_site(site, []).counts == {}
    assert (tmp_path / "thesis.txt").read_text() == "years"
    (site / MARK).write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        write_site(site, [])


def test_a_run_that_ends_early_is_gone_on_with(site: Path) -> None:
    def some() -> object:
        yield "early.html", "x"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_site(site, some())  # type: ignore[arg-type]  # a generator that is cut off
    assert write_site(site, FILES).counts == {"unchanged": 2, "removed": 1}
    assert there(site) == dict(FILES)


def test_dry_run_changes_nothing(site: Path, tmp_path: Path) -> None:
    done = write_site(site, [("index.html", "1"), ("n.html", "2")], dry_run=True)
    assert dict(done.counts) == {"changed": 1, "new": 1, "removed": 1}
    assert there(site) == dict(FILES)
    write_site(tmp_path / "none", FILES, dry_run=True)
    assert not (tmp_path / "none").exists()


def test_a_disk_that_is_full_leaves_what_was_there(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mark that is cut off would be refused from then on, and with it a folder that has files of others."""
    write = type(tmp_path).write_bytes

    def full(path: Path, content: bytes) -> int:
        write(path, content[:3])
        raise OSError(errno.ENOSPC, "No space left on device")

    before = (site / MARK).read_text()
    with monkeypatch.context() as patched:
        patched.setattr(type(tmp_path), "write_bytes", full)
        with pytest.raises(OSError, match=f"No space left on device: '{site}/"):
            write_site(site, [("index.html", "another")])
    assert (site / MARK).read_text() == before
    assert there(site) == dict(FILES)
    assert write_site(site, [("index.html", "another")]).counts == {"changed": 1, "removed": 1}


def test_a_file_is_replaced_whole(site: Path) -> None:
    """Somebody may be reading it, and another run may compare with it."""
    with (site / "index.html").open() as reader:
        write_site(site, [("index.html", "another")])
        assert reader.read() == "one"
    assert there(site) == {"index.html": "another"}
