"""What the configuration names: sources, agreements, key sets; each fault of it told with its key."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import httpx

from auth import agreement_files
from auth.keys import KeySource
from auth.sharing import AgreementSet
from connectors import registry
from connectors.settings import ConnectorMisconfigured, ConnectorSettings, read
from gateway.federation.sources import Source
from gateway.settings import Fault, Settings, SettingsFault
from schema.records import Agency, Contact
from schema.vocabulary import ContactMode

_KEY_BYTES = 64 * 1024


def build_sources(settings: Settings) -> list[Source]:
    """Return the configured sources. Raises SettingsFault with every fault of every entry."""
    faults: list[Fault] = []
    sources: list[Source] = []
    brokers: dict[str, Agency] = {}
    for broker in settings.brokers:
        contact = Contact(
            ContactMode.BROKERED, broker.phone, broker.email, broker.out_of_hours, broker.expected_response
        )
        agency = Agency(broker.id, broker.name, broker.kind, broker.area, contact)
        brokers |= dict.fromkeys(broker.connectors, agency)
    for number, entry in enumerate(settings.connectors):
        name = entry.get("id") if isinstance(entry.get("id"), str) else number
        try:
            connector = registry.build(entry)
        except ConnectorMisconfigured as fault:
            told = [*fault.faults, *_common_faults(entry)] if fault.key == "driver" else fault.faults
            faults += [Fault.of(f"connectors[{name}].{key}", what) for key, what in dict.fromkeys(told)]
            continue
        found = Source(connector, bool(entry.get("enabled", True)), brokers.get(connector.manifest.agency.id))
        if any(s.id == found.id for s in sources):
            faults.append(Fault.of(f"connectors[{name}].id", "stands twice"))
        sources.append(found)
    unknown = sorted(set(brokers) - {s.id for s in sources})
    if not faults:
        faults += [Fault.of("brokers.connectors", f"{name} is not a connector") for name in unknown]
    if faults:
        raise SettingsFault(faults)
    return sources


def _common_faults(entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the faults of the keys that every driver has, for an entry whose driver cannot say what is wrong."""
    common = {key: value for key, value in entry.items() if key in ConnectorSettings.model_fields}
    try:
        read(ConnectorSettings, common)
    except ConnectorMisconfigured as fault:
        return [(key, what) for key, what in fault.faults if key != "driver"]
    return []


def load_agreements(settings: Settings) -> AgreementSet:
    """Return the configured agreements, or the shipped ones. Raises SettingsFault, a line for each file at fault."""
    try:
        return agreement_files.load(settings.agreements.directory or agreement_files.SHIPPED)
    except agreement_files.AgreementsUnreadable as fault:
        raise SettingsFault([Fault.in_another_file("agreements.directory", each) for each in fault.faults]) from None


def unheld_agreements(agreements: AgreementSet, connectors: Collection[str]) -> list[str]:
    """Return the ids of agreements whose custodian is neither `kind:` nor one of the connectors: they open nothing."""
    return [
        a.id for a in agreements.agreements if not a.custodian.startswith("kind:") and a.custodian not in connectors
    ]


def key_sources(settings: Settings) -> list[KeySource]:
    """Return where each issuer's keys are. Raises SettingsFault."""
    faults, sources = [], []
    for number, issuer in enumerate(settings.issuers):
        try:
            sources.append(KeySource(issuer.issuer, issuer.algorithms, issuer.jwks_uri, issuer.jwks_file))
        except ValueError as fault:
            faults.append(Fault.of(f"issuers[{number}]", str(fault)))
    if faults:
        raise SettingsFault(faults)
    return sources


async def fetch_keys(url: str) -> bytes:
    """Return a key set's bytes: no redirect, no proxy, at most 64 KiB. Raises OSError or httpx.HTTPError."""
    async with (
        httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=5.0) as client,
        client.stream("GET", url, headers={"Accept": "application/json"}) as response,
    ):
        if response.status_code != httpx.codes.OK:
            raise OSError("the key set was not served")
        body = b""
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > _KEY_BYTES:
                raise OSError("the key set is too large")
        return body
