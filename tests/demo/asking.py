"""How the tests ask an agency: what every well-behaved client sends, so that a test shows only what it leaves out."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
from starlette.applications import Starlette

from gateway.demo.agencies.oauth import Client

NHS_SYSTEM = "https://fhir.nhs.uk/Id/nhs-number"

EVERYTHING = """
query Everything($numbers: [NhsNumber!]!) {
  children(nhsNumbers: $numbers) {
    nhsNumber complete
    child {
      localId nhsNumber dateOfBirth sex shielded deceasedOn
      names { use givenNames familyName }
      involvements(status: [OPEN, CLOSED]) {
        id kind status startedOn endedOn isLead lastConfirmedAt sharing { decision reason }
        team { id name phone email dutyPhone }
        worker { id displayName role socialWorkEnglandNo phone email }
      }
      linkedAdults { crn prisonNumber relationship assertedOn }
      statutory { status since until }
      plans { kind startedOn endedOn reviewDueOn conferenceOn coreGroupOn category }
      assessments { id kind startedOn completedOn holderTeam { id name } consent { givenOn until withdrawnOn } }
      sharing { decision reason }
    }
  }
}
"""


def in_process(app: Starlette) -> httpx.AsyncClient:
    """Return a client that calls the application without a socket."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://agency.example")


def asking(**more: str) -> dict[str, str]:
    """Return the headers of every ask."""
    headers = {"X-Request-ID": str(uuid4()), "X-Purpose-Class": "SAFEGUARDING", "Accept-Encoding": "identity"}
    return headers | more


async def bearer(client: httpx.AsyncClient, registered: Client, url: str = "/oauth/token") -> dict[str, str]:
    """Return the headers of an ask with a token."""
    answer = await client.post(
        url,
        auth=(registered.id, registered.secret),
        data={"grant_type": "client_credentials", "scope": registered.scope},
    )
    return asking(Authorization=f"Bearer {answer.raise_for_status().json()['access_token']}")


def care_team_search(nhs_number: str, **more: str) -> dict[str, str]:
    """Return the form of a search for active care teams."""
    form = {"patient.identifier": f"{NHS_SYSTEM}|{nhs_number}", "status": "active"}
    return {**form, "_include": "CareTeam:participant", **more}


def nominal_search(*nhs_numbers: str, **more: Any) -> dict[str, Any]:
    """Return the body of a search for nominals with everything in it."""
    return {
        "requestId": str(uuid4()),
        "purposeClass": "SAFEGUARDING",
        "subjects": [{"nhsNumber": number} for number in nhs_numbers],
        "include": ["officers", "events", "orders", "notifications"],
        "status": ["OPEN", "CLOSED"],
        **more,
    }
