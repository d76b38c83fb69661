"""Entries, drivers, and what is said of a wrong one."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from connectors import registry
from connectors.base import Connector
from connectors.registry import BUILT_IN, DriverUnknown, build
from connectors.settings import (
    ApiKeySettings,
    ClientCredentialsSettings,
    ConnectorMisconfigured,
    HTTPSettings,
    read,
)
from schema.records import ChildRef, Contact
from schema.vocabulary import AgencyKind, ContactMode

pytestmark = pytest.mark.anyio

SECRET = "correct-horse"
ENTRY: dict[str, Any] = {
    "id": "police-northshire",
    "name": "Northshire Constabulary",
    "kind": "POLICE",
    "area": "northshire",
    "organisation": "northshire-constabulary",
    "driver": "police",
    "base_url": "https://pole.northshire.police.example",
    "auth": {
        "token_url": "https://pole.northshire.police.example/oauth/token",
        "client_id": "contactpoint-gateway",
        "client_secret": SECRET,
    },
    "run_by": "Northshire Constabulary",
    "support_contact": "service-desk@northshire.police.example",
    "safeguarding_lead": {"phone": "01632 960300"},
}


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in ENTRY.items() if name != key}


async def test_an_entry_becomes_the_connector_that_it_describes() -> None:
    connector = build(ENTRY)

    manifest = connector.manifest
    assert manifest.agency.id == "police-northshire"
    assert manifest.agency.kind is AgencyKind.POLICE
    assert manifest.agency.safeguarding_lead == Contact(ContactMode.DIRECT, "01632 960300")
    assert manifest.organisation == "northshire-constabulary"
    assert manifest.driver == "police"
    assert manifest.subjects == {ChildRef}
    assert (manifest.run_by, manifest.support_contact) == (ENTRY["run_by"], ENTRY["support_contact"])
    await connector.aclose()


async def test_an_entry_of_the_published_keys_alone_is_enough() -> None:
    connector = build({key: ENTRY[key] for key in ("id", "name", "kind", "area", "driver", "base_url", "auth")})

    assert connector.manifest.organisation == "police-northshire"
    assert connector.manifest.run_by == "Northshire Constabulary"
    await connector.aclose()


@pytest.mark.parametrize("driver", sorted(BUILT_IN))
async def test_every_driver_has_its_agencys_safeguarding_lead_from_its_entry(driver: str, tmp_path: Path) -> None:
    records = tmp_path / "records.json"
    records.write_text("[]", encoding="utf-8")
    own = {"records": str(records)} if driver == "memory" else {"base_url": ENTRY["base_url"]}
    lead = {"phone": "01632 960300", "email": "lead@agency.example", "out_of_hours": "01632 960301"}
    entry = {"id": "an-agency", "name": "An agency", "kind": "OTHER", "driver": driver, **own}

    leading, without_one = build({**entry, "safeguarding_lead": lead}), build(entry)

    expected = Contact(ContactMode.DIRECT, "01632 960300", "lead@agency.example", "01632 960301")
    assert leading.manifest.agency.safeguarding_lead == expected
    assert without_one.manifest.agency.safeguarding_lead is None
    await leading.aclose()
    await without_one.aclose()


async def test_every_built_in_driver_can_be_loaded() -> None:
    for name in ("police", "childrens_services", "memory"):
        assert callable(BUILT_IN[name].load())


async def test_a_driver_that_is_not_there_is_said_so_with_those_that_are() -> None:
    with pytest.raises(DriverUnknown) as refused:
        build({**ENTRY, "driver": SECRET})

    assert refused.value.key == "driver"
    assert "childrens_services, health, memory, police, probation" in refused.value.what
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("driver", [pytest.param(None, id="absent"), pytest.param(3, id="no-name")])
async def test_a_driver_is_a_name(driver: object) -> None:
    with pytest.raises(ConnectorMisconfigured) as refused:
        build({**without("driver"), **({} if driver is None else {"driver": driver})})

    assert refused.value.key == "driver"


class _Housing:
    """A driver that somebody else wrote."""

    @staticmethod
    def from_settings(entry: Any) -> Any:
        return ("housing", entry["id"])


async def test_an_installed_driver_is_found_through_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    points = (
        EntryPoint("housing", f"{__name__}:_Housing.from_settings", registry.GROUP),
        EntryPoint("broken", "contactpoint_no_such_module:from_settings", registry.GROUP),
        EntryPoint("police", f"{__name__}:_Housing.from_settings", registry.GROUP),
    )
    monkeypatch.setattr(EntryPoint, "load", _load_here)
    monkeypatch.setattr(registry, "entry_points", lambda *, group: [p for p in points if p.group == group])

    made: Connector = build({**ENTRY, "driver": "housing"})
    assert made == ("housing", "police-northshire")
    # a built-in name cannot be taken over
    assert registry.drivers()["police"] == BUILT_IN["police"]
    with pytest.raises(ConnectorMisconfigured, match="driver: is installed but cannot be loaded"):
        build({**ENTRY, "driver": "broken"})


def _load_here(point: EntryPoint) -> Any:
    """Load an entry point of this test, which no import path leads to."""
    if point.name == "broken":
        raise ModuleNotFoundError(point.module)
    return _Housing.from_settings


WRONG = {
    "a-key-left-out": (without("kind"), "kind"),
    "a-key-of-no-driver": ({**ENTRY, "basis_url": SECRET}, "basis_url"),
    "an-id-that-is-no-slug": ({**ENTRY, "id": f"Not {SECRET}!"}, "id"),
    "a-kind-that-is-none": ({**ENTRY, "kind": SECRET}, "kind"),
    "a-timeout-as-text": ({**ENTRY, "timeout_seconds": SECRET}, "timeout_seconds"),
    "a-timeout-too-long": ({**ENTRY, "timeout_seconds": 3600}, "timeout_seconds"),
    "a-url-with-a-password": ({**ENTRY, "base_url": f"https://user:{SECRET}@pole.example"}, "base_url"),
    "a-url-with-a-query": ({**ENTRY, "base_url": f"https://pole.example/?key={SECRET}"}, "base_url"),
    "a-url-of-another-scheme": ({**ENTRY, "base_url": f"file:///{SECRET}"}, "base_url"),
    "plain-http-to-elsewhere": ({**ENTRY, "base_url": "http://pole.example"}, "base_url"),
    "a-token-url-in-plain-http": (
        {**ENTRY, "auth": {**ENTRY["auth"], "token_url": "http://pole.example/token"}},
        "auth.token_url",
    ),
    "an-unknown-method": ({**ENTRY, "auth": {"method": SECRET}}, "auth"),
    "an-auth-that-is-no-table": ({**ENTRY, "auth": SECRET}, "auth"),
    "an-unknown-key-of-auth": ({**ENTRY, "auth": {**ENTRY["auth"], "password": SECRET}}, "auth.password"),
    "two-secrets": ({**ENTRY, "auth": {**ENTRY["auth"], "client_secret_file": SECRET}}, "auth"),
    "no-secret": ({**ENTRY, "auth": {**ENTRY["auth"], "client_secret": None}}, "auth"),
    "an-empty-secret": ({**ENTRY, "auth": {**ENTRY["auth"], "client_secret": ""}}, "auth.client_secret"),
    "a-secret-file-that-is-not-there": (
        {
            **ENTRY,
            "auth": {
                "token_url": "https://pole.example/token",
                "client_id": "us",
                "client_secret_file": f"/nowhere/{SECRET}",
            },
        },
        "auth.client_secret_file",
    ),
    "a-safeguarding-lead-with-an-unknown-key": (
        {**ENTRY, "safeguarding_lead": {"fax": SECRET}},
        "safeguarding_lead.fax",
    ),
}


@pytest.mark.parametrize(("entry", "key"), [pytest.param(*wrong, id=name) for name, wrong in WRONG.items()])
async def test_a_wrong_entry_is_refused_by_key_and_without_its_value(entry: dict[str, Any], key: str) -> None:
    with pytest.raises(ConnectorMisconfigured) as refused:
        build(entry)

    assert key in [place for place, _ in refused.value.faults]
    assert refused.value.__cause__ is None
    assert SECRET not in str(refused.value)


async def test_every_fault_of_an_entry_is_told_at_once() -> None:
    with pytest.raises(ConnectorMisconfigured) as refused:
        build({**without("name"), "kind": "NONE", "extra": 1})

    assert {key for key, _ in refused.value.faults} == {"name", "kind", "extra"}


async def test_a_secret_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n", encoding="utf-8")
    auth = {"token_url": "https://pole.example/token", "client_id": "us", "client_secret_file": str(file)}

    settings = read(HTTPSettings, {**ENTRY, "auth": auth})

    assert isinstance(settings.auth, ClientCredentialsSettings)
    assert settings.auth.secret() == SECRET


async def test_a_source_may_take_a_fixed_key_instead() -> None:
    entry = {**ENTRY, "auth": {"method": "api_key", "api_key": SECRET, "header": "x-api-key"}}
    settings = read(HTTPSettings, entry)

    assert isinstance(settings.auth, ApiKeySettings)
    assert settings.auth.secret() == SECRET
    await build(entry).aclose()


async def test_no_secret_stands_in_the_repr_of_settings_or_connectors() -> None:
    connector = build(ENTRY)

    assert SECRET not in repr(read(HTTPSettings, ENTRY))
    assert SECRET not in repr(connector)
    assert SECRET not in repr(vars(connector))
    await connector.aclose()


async def test_a_private_source_over_plain_http_needs_to_be_allowed() -> None:
    entry = {**ENTRY, "base_url": "http://10.0.0.8:8080/pole", "auth": None}

    with pytest.raises(ConnectorMisconfigured, match="base_url"):
        build(entry)
    await build({**entry, "allow_private": True}).aclose()


async def test_the_school_of_the_demo_is_a_memory_entry(tmp_path: Path) -> None:
    file = tmp_path / "oak.json"
    file.write_text(json.dumps([]), encoding="utf-8")

    connector = build(
        {"id": "school-oak", "name": "Oak Primary School", "kind": "SCHOOL", "driver": "memory", "records": str(file)}
    )

    assert connector.manifest.driver == "memory"
    with pytest.raises(ConnectorMisconfigured, match="base_url: is not a key of this driver"):
        build({**ENTRY, "driver": "memory", "records": str(file)})
