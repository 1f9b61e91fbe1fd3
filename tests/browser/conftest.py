"""A site made from a real registry, and a browser that looks at it: as files, and from a plain server."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright

from scripts.build.apt import install_packages
from scripts.catalogue.commands import write_catalogue
from scripts.recipe.matrix import load_families
from tests.registries import serve_registry
from tests.shop import fill, open_shop
from tests.stock import TODAY, ignore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

    from tests.shop import Shop

ROOT = Path(__file__).resolve().parent.parent.parent
SHOTS = ROOT / "out" / "site-screenshots"
# A machine that is busy is slow, and no failure.
expect.set_options(timeout=20_000)


def find_chromium() -> str:
    """Debian's Chromium, installed if it is not there and may be; a browser that playwright brings is never used."""
    if not shutil.which("chromium"):
        assert os.geteuid() == 0, "these tests need Debian's chromium: apt-get install chromium"
        install_packages(["chromium"], root=Path("/"))
    found = shutil.which("chromium")
    assert found, "chromium was installed, and is not on PATH"
    return found


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A checkout whose images are published to a registry that is running."""
    folder = tmp_path_factory.mktemp("shop")
    with serve_registry(folder / "registry") as registry:
        made = open_shop(folder / "checkout", registry.host)
        fill(made)
        yield made


@pytest.fixture(scope="session")
def site(shop: Shop) -> Path:
    """The site of it."""
    folder = shop.root / "site"
    row = write_catalogue(load_families(shop.root), shop.settings, folder, ignore, today=TODAY)
    assert (row["images"], row["revisions"]) == (6, 14)
    return folder


@pytest.fixture(scope="session")
def served(site: Path) -> Iterator[str]:
    """Its address on a static host, below a path as such hosts have it."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    (site.parent / "host").mkdir(exist_ok=True)
    (site.parent / "host" / "images").symlink_to(site)
    handler = functools.partial(Handler, directory=str(site.parent / "host"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/images"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # As root a browser has no sandbox; what it opens is ours.
        found = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def look(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[..., Page]]:
    """Opens a page of the site, as a file unless ``at`` says where; nothing may go wrong on it, nor leave the site."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def open_page(path: str, at: str = "", width: int = 1280, **choices: object) -> Page:
        at = at or f"file://{request.getfixturevalue('site')}"
        context = browser.new_context(viewport={"width": width, "height": 900}, **choices)  # type: ignore[arg-type]
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"{path}: {error}"))
        page.on(
            "console", lambda said: wrong.append(f"{path}: {said.text}") if said.type in {"error", "warning"} else None
        )
        page.on("request", lambda asked: None if asked.url.startswith((at, "data:")) else wrong.append(asked.url))
        page.on("requestfailed", lambda asked: wrong.append(f"{asked.url} failed"))
        page.goto(f"{at}/{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture(scope="session")
def shots() -> Path:
    """Where screenshots are left to be looked at."""
    shutil.rmtree(SHOTS, ignore_errors=True)
    SHOTS.mkdir(parents=True)
    return SHOTS
