"""From a `[[connectors]]` entry to the health and probation connectors."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.registry import build
from connectors.settings import ConnectorMisconfigured
from schema.records import AdultRef, ChildRef

COMMON = {"id": "a-source", "name": "A source", "organisation": "an-organisation", "base_url": "https://source.example"}
SECRET = "hunter2-not-to-be-told"
CREDENTIALS = {
    "token_url": "https://source.example/oauth/token",
    "client_id": "gateway",
    "client_secret": SECRET,
}
HEALTH: dict[str, Any] = {**COMMON, "driver": "health", "kind": "HEALTH", "auth": CREDENTIALS}
PROBATION: dict[str, Any] = {
    **COMMON,
    "driver": "probation",
    "kind": "PROBATION",
    "auth": {"method": "api_key", "api_key": SECRET},
}


def test_a_health_entry_makes_a_connector_about_children() -> None:
    manifest = build(HEALTH).manifest

    assert (manifest.driver, manifest.organisation, manifest.agency.id) == ("health", "an-organisation", "a-source")
    assert manifest.subjects == {ChildRef}
    assert not manifest.can_batch
    assert {"involvements", "health.safeguarding", "identity.familyName"} <= manifest.holds


def test_a_probation_entry_makes_a_connector_about_adults() -> None:
    manifest = build(PROBATION).manifest

    assert manifest.subjects == {AdultRef}
    assert not manifest.names_adults
    assert {"involvements", "probation.risk", "probation.mappa"} <= manifest.holds


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        pytest.param({**HEALTH, "base_url": "http://source.example"}, "base_url", id="plain-http"),
        pytest.param({**HEALTH, "base_url": f"https://{SECRET}@source.example"}, "base_url", id="a-user-in-the-url"),
        pytest.param({**HEALTH, "sekret": SECRET}, "sekret", id="an-unknown-key"),
        pytest.param({**HEALTH, "auth": {**CREDENTIALS, "client_id": ""}}, "auth.client_id", id="an-empty-client"),
        pytest.param(
            {**HEALTH, "auth": {**CREDENTIALS, "password": SECRET}}, "auth.password", id="an-unknown-auth-key"
        ),
        pytest.param({**HEALTH, "max_connections": 1}, "max_connections", id="a-pool-too-small-for-one-lookup"),
        pytest.param({**PROBATION, "client_key": "/nowhere/key.pem"}, "entry", id="a-key-without-its-certificate"),
        pytest.param({**PROBATION, "ca_file": "/nowhere/ca.pem"}, "client_certificate", id="a-file-that-is-not-there"),
    ],
)
def test_a_wrong_entry_is_refused_by_key_and_no_value_is_told(entry: dict[str, Any], key: str) -> None:
    with pytest.raises(ConnectorMisconfigured) as refused:
        build(entry)

    assert key in {fault[0] for fault in refused.value.faults}
    assert SECRET not in str(refused.value)
    assert SECRET not in repr(refused.value)
