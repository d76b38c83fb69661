"""docs/configuration.md names every setting, with its default."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from connectors import registry
from connectors.health.client import HealthSettings
from connectors.memory import MemorySettings
from connectors.probation.client import ProbationSettings
from connectors.settings import (
    ApiKeySettings,
    ClientCredentialsSettings,
    ConnectorSettings,
    HTTPSettings,
    SafeguardingLead,
)
from gateway import settings as configuration
from gateway.settings import Settings, WindowSection, WitnessSection
from gateway.settings_reading import load
from tests.docs.markdown import codes, rows, text_of

DOCUMENT = "docs/configuration.md"
DRIVERS: dict[str, type[HTTPSettings] | type[MemorySettings]] = {
    "health": HealthSettings,
    "memory": MemorySettings,
    "probation": ProbationSettings,
}
PARTS: dict[str, type[BaseModel]] = {
    "audit.witnesses.": WitnessSection,
    "connectors.": ConnectorSettings,
    "connectors.safeguarding_lead.": SafeguardingLead,
    "limits.*.": WindowSection,
}


def documented(text: str) -> dict[str, tuple[str, str]]:
    """Return default and meaning of every setting in the tables."""
    found = {}
    for cells in rows(text):
        if len(cells) == 3 and len(codes(cells[0])) == 1:
            found[codes(cells[0])[0]] = (cells[1], cells[2])
    return found


def written(field: FieldInfo) -> str:
    """Return a default as the document writes it."""
    value = field.default
    if field.is_required():
        return "required"
    if value is None:
        return "none"
    if isinstance(value, WindowSection):
        return ", ".join(
            f"{most} {'an' if window == 'hour' else 'a'} {window}" for window, most in value.as_limits().items()
        )
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value)
    return str(value)


def fields(prefix: str, model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        yield prefix + name, written(field)


def sections() -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield each section of the file with its model; connectors are their drivers' own."""
    for name, field in Settings.model_fields.items():
        options = (field.annotation, *get_args(field.annotation))
        model = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
        if model is not None:
            yield f"{name}.", model
        else:
            assert name == "connectors"


def settings() -> dict[str, str]:
    """Return every setting there is with its default as it should stand in the document."""
    found: dict[str, str] = {}
    for prefix, model in [*sections(), *PARTS.items()]:
        found.update(fields(prefix, model))
    drivers: list[type[BaseModel]] = [HTTPSettings, *DRIVERS.values()]
    for driver in drivers:
        found.update((name, default) for name, default in fields("connectors.", driver) if name not in found)
    ways: list[type[BaseModel]] = [ClientCredentialsSettings, ApiKeySettings]
    for way in ways:
        found.update((n, d) for n, d in fields("connectors.auth.", way) if n != "connectors.auth.method")
    found["connectors.auth.method"] = "client_credentials"
    return found


@pytest.mark.parametrize("name", sorted(settings()))
def test_every_setting_is_documented_with_its_default(name: str) -> None:
    told = documented(text_of(DOCUMENT))

    assert name in told, f"{DOCUMENT} lacks {name}"
    assert told[name][0] == settings()[name]


def test_no_setting_is_documented_that_does_not_exist() -> None:
    assert sorted(documented(text_of(DOCUMENT)).keys() - settings().keys()) == []


def test_a_setting_without_a_mention_would_be_found() -> None:
    text = text_of(DOCUMENT).replace("| `limits.body_bytes` |", "| body_bytes |")

    assert "limits.body_bytes" not in documented(text)


def test_a_driver_with_a_default_of_its_own_says_so() -> None:
    told = documented(text_of(DOCUMENT))
    common = dict(fields("connectors.", HTTPSettings))

    for driver, model in DRIVERS.items():
        for name, default in fields("connectors.", model):
            if name in common and default != common[name]:
                assert f"{default} for `{driver}`" in told[name][1]


def test_every_built_in_driver_is_named() -> None:
    for driver in registry.BUILT_IN:
        assert f"`{driver}`" in text_of(DOCUMENT)


def test_every_model_of_the_settings_is_looked_at() -> None:
    # a section that the tests above do not reach would be one whose settings nobody documents
    models = {m for m in vars(configuration).values() if isinstance(m, type) and issubclass(m, BaseModel)}
    reached = {model for _, model in sections()} | set(PARTS.values())

    assert {m.__name__ for m in models - reached} == {"BaseModel", "BaseSettings", "Settings", "_Section"}


def test_settings_are_read_from_the_environment_over_the_file_as_the_document_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('[resource]\nidentifier = "https://g.example/graphql"\n[limits]\nperson_lookups = { minute = 5 }\n')
    monkeypatch.setenv("CONTACTPOINT_SERVER__PORT", "8443")
    monkeypatch.setenv("CONTACTPOINT_LIMITS__PERSON_MISSES__DAY", "10")

    loaded: Any = load(file)

    assert loaded.server.port == 8443
    assert loaded.limits.person_misses == WindowSection(hour=5, day=10)
    assert loaded.limits.person_lookups == WindowSection(minute=5, hour=60, day=200)
