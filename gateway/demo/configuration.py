"""The demo's configuration: the same settings as anybody's, written from the running agencies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from auth.agreement_files import SHIPPED
from gateway.demo.agencies.server import Agencies
from gateway.demo.families import World, school_records
from gateway.demo.folder import hold_folder
from gateway.demo.identity_provider import IdentityProvider
from gateway.settings import ResourceSection, Settings
from gateway.settings_reading import from_values

_OVERLAY = Path(__file__).parent / "agreements"

_CONNECTORS = (
    ("cs-northshire", "Northshire Council", "CHILDRENS_SERVICES", "childrens_services", "northshire-council"),
    ("cs-eastmarch", "Eastmarch Council", "CHILDRENS_SERVICES", "childrens_services", "eastmarch-council"),
    ("cs-westvale", "Westvale Council", "CHILDRENS_SERVICES", "childrens_services", "westvale-council"),
    ("police-northshire", "Northshire Constabulary", "POLICE", "police", "northshire-constabulary"),
    ("health-northshire", "Northshire Community NHS Trust", "HEALTH", "health", "northshire-nhs"),
    ("probation-northshire", "Northshire Probation Delivery Unit", "PROBATION", "probation", "northshire-probation"),
)
_LEADS = {
    # by day, out of hours, and the e-mail address of each agency's own lead on safeguarding
    "cs-northshire": ("01632 960700", "01632 960701", "safeguarding-lead@northshire.example"),
    "cs-eastmarch": ("01632 960702", "01632 960703", "safeguarding-lead@eastmarch.example"),
    "cs-westvale": ("01632 960704", "01632 960705", "safeguarding-lead@westvale.example"),
    "police-northshire": ("01632 960706", "01632 960707", "safeguarding-lead@northshire.police.example"),
    "health-northshire": ("01632 960708", "01632 960709", "named-nurse@northshire.nhs.example"),
    "probation-northshire": ("01632 960710", "01632 960711", "safeguarding-lead@northshire.probation.example"),
    "school-oak": ("01632 960712", "01632 960713", "safeguarding@oak-primary.example"),
}
_AREAS = {"cs-eastmarch": "eastmarch", "cs-westvale": "westvale"}


def write_agreements(directory: Path) -> None:
    """Write the shipped agreements with the demo's own parties and lawful bases in place of the templates."""
    directory.mkdir(parents=True, exist_ok=True)
    for folder in (SHIPPED, _OVERLAY):
        for file in folder.glob("*.toml"):
            shutil.copyfile(file, directory / file.name)


def connector_entries(agencies: Agencies, school_file: Path) -> list[dict[str, Any]]:
    """Return the `[[connectors]]` entries for the running agencies and the school."""
    entries: list[dict[str, Any]] = []
    for name, agency, kind, driver, organisation in _CONNECTORS:
        credentials = agencies.credentials[name]
        certificate = credentials.pop("distinguished_name", None)
        method = "api_key" if "api_key" in credentials else "client_credentials"
        entries.append(
            ({"subject_distinguished_name": certificate} if certificate else {})
            | {
                "id": name,
                "name": agency,
                "kind": kind,
                "driver": driver,
                "area": _AREAS.get(name, "northshire"),
                "organisation": organisation,
                "base_url": agencies.base_urls[name],
                "auth": {"method": method, **credentials},
                "safeguarding_lead": _safeguarding_lead(name),
                # one story's agency fails for one child alone, whoever asks and however often in a row
                "circuit_failures": 1_000,
            }
        )
    entries.append(
        {
            "id": "school-oak",
            "name": "Oak Primary School",
            "kind": "SCHOOL",
            "driver": "memory",
            "area": "northshire",
            "organisation": "oak-primary",
            "records": str(school_file),
            "sections": ["assessments"],
            "safeguarding_lead": _safeguarding_lead("school-oak"),
        }
    )
    return entries


def _safeguarding_lead(connector: str) -> dict[str, str]:
    phone, out_of_hours, email = _LEADS[connector]
    return {"phone": phone, "out_of_hours": out_of_hours, "email": email}


def demo_settings(
    data: Path, url: str, world: World, agencies: Agencies, identity_provider: IdentityProvider, port: int, host: str
) -> Settings:
    """Write what the settings refer to under `data` and return them. Budgets are raised, so that nobody runs dry.

    Raises FolderInUse, with nothing written, when another demo runs on this folder: it reads those files too.
    """
    database = f"sqlite:///{data / 'contactpoint.db'}"
    hold_folder(data)
    school_file = data / "school.json"
    school_file.write_text(json.dumps(school_records(world)), encoding="utf-8")
    write_agreements(data / "agreements")
    identity_provider.write_jwks(data / "jwks.json")
    raised = {"minute": 10_000, "hour": 100_000, "day": 1_000_000}
    values = {
        "server": {"host": host, "port": port},
        "resource": {"identifier": f"http://127.0.0.1:{port}/graphql"},
        "issuers": [{"issuer": f"{url}/idp", "jwks_file": str(data / "jwks.json")}],
        "database": {"url": database},
        "agreements": {"directory": str(data / "agreements")},
        "connectors": connector_entries(agencies, school_file),
        "brokers": [
            {
                "id": "northshire-mash",
                "name": "Northshire Multi-Agency Safeguarding Hub",
                "kind": "CHILDRENS_SERVICES",
                "area": "northshire",
                "phone": "01632 960220",
                "out_of_hours": "01632 960221",
                "expected_response": "the same working day",
                "connectors": ["health-northshire"],
            }
        ],
        "limits": {
            f"{who}_{what}": raised for who in ("person", "client", "organisation") for what in ("lookups", "misses")
        }
        | {"person_overrides": raised},
        "telemetry": {"log_format": "text", "log_level": "warning"},
    }
    settings = from_values(values, "demo", relative_to=data)
    # the demo has no TLS on whatever address it listens; the rule of https is for everybody else
    return settings.model_copy(update={"resource": ResourceSection.model_construct(identifier=f"{url}/graphql")})
