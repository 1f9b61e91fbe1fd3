"""Settings: what wins over what, and what is taken from the machine where nothing is set."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from scripts.build.settings import load_settings

CONFIGURED = {
    "cache_to": "",
    "cache_from": "",
    "registry": "quay.io/org/",
    "source": "https://example.com/images",
    "builder": "",
    "out": "out",
    "cache": "",
    "ca_bundle": "",
    "index_url": "",
    "wheels": "/no/such/directory",
}


def load(environment: dict[str, str] | None = None, flags: dict[str, Any] | None = None, **configured: str) -> Any:
    return load_settings(Path("/repo"), SimpleNamespace(**{**CONFIGURED, **configured}), environment or {}, flags or {})


def test_flags_win_over_the_file_and_those_not_given_do_not() -> None:
    settings = load(flags={"registry": "localhost:5000", "builder": None}, builder="remote")
    assert (settings.registry, settings.builder) == ("localhost:5000", "remote")


def test_a_slash_at_the_end_of_a_registry_does_not_get_into_names() -> None:
    assert load().registry == "quay.io/org"


def test_the_machine_is_asked_where_nothing_is_set() -> None:
    settings = load({"SSL_CERT_FILE": "/ca.pem", "PIP_INDEX_URL": "https://b.example", "XDG_CACHE_HOME": "/cache"})
    assert (settings.ca_bundle, settings.index_url) == ("/ca.pem", "https://b.example")
    assert settings.cache == Path("/cache/images")
    assert settings.out == Path("/repo/out")


def test_folders_of_wheels_are_the_settings_or_pips_variable() -> None:
    environment = {"PIP_FIND_LINKS": "/one https://b.example/two"}
    assert load(environment, wheels="/a::/b").wheels == ("/a", "/b")
    assert load(environment, wheels="").wheels == ("/one", "https://b.example/two")
    assert load(wheels="").wheels == ()


def test_what_is_set_wins_over_the_machine() -> None:
    settings = load(
        {"SSL_CERT_FILE": "/ca.pem", "UV_DEFAULT_INDEX": "https://b.example"},
        ca_bundle="/own.pem",
        index_url="https://a.example",
        cache="/elsewhere",
    )
    assert (settings.ca_bundle, settings.index_url) == ("/own.pem", "https://a.example")
    assert settings.cache == Path("/elsewhere")
