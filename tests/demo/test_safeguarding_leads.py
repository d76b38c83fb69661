"""Each agency of the demo names its own lead on safeguarding, through its configuration like anybody's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connectors.registry import build
from gateway.demo.agencies.server import Agencies
from gateway.demo.configuration import connector_entries
from gateway.demo.families import make_world, school_records

pytestmark = [pytest.mark.anyio, pytest.mark.network]


async def test_every_agency_has_a_lead_of_its_own(tmp_path: Path) -> None:
    world = make_world(children=60)
    school = tmp_path / "school.json"
    school.write_text(json.dumps(school_records(world)), encoding="utf-8")
    with Agencies(world) as agencies:
        connectors = [
            build({**entry, "allow_private": True} if "base_url" in entry else entry)
            for entry in connector_entries(agencies, school)
        ]

    leads = {connector.manifest.agency.id: connector.manifest.agency.safeguarding_lead for connector in connectors}
    assert len(leads) == 7
    assert all(lead is not None and lead.phone and lead.email and lead.out_of_hours for lead in leads.values())
    numbers = [number for lead in leads.values() if lead for number in (lead.phone, lead.out_of_hours)]
    assert len(set(numbers)) == len(numbers)
    assert all(str(number).startswith("01632 960") for number in numbers)
    for connector in connectors:
        await connector.aclose()
