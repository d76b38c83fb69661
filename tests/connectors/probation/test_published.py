"""The connector against recorded answers of the HMPPS External API: each is accepted, the redacted ones too."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.base import Ask, Deadline, FieldMask
from connectors.probation.section import HOLDS
from schema.identifiers import CRN, PrisonNumber
from schema.records import AdultRef, Answered
from schema.sections import ProbationRecord
from schema.vocabulary import ContactMode, PurposeClass
from tests.connectors.contract import probation_case as fake
from tests.connectors.contract.transports import Recording

pytestmark = pytest.mark.anyio

RECORDED = Path(__file__).parents[2] / "fixtures" / "published" / "hmpps-external-api"
PERSONS = "person-offender-and-probation-search-response"
PERSONS_REDACTED = "person-offender-and-probation-search-redacted-response"
IN_PRISON = AdultRef(PrisonNumber("G2996UX"))
ON_PROBATION = AdultRef(CRN("A123123"))


def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text())


GOOD: Mapping[str, str] = {
    "": PERSONS,
    "person-responsible-officer": "person-responsible-officer",
    "risks/mappadetail": "person-risk-mappadetail",
    "risks/dynamic": "person-risk-dynamic",
    "risks/serious-harm": "person-risk-serious-harm",
}


async def ask(subject: AdultRef, **instead: str) -> Answered:
    """Ask a source that gives the recorded answers; `persons`, `officer`, `risks` and `harm` name another recording."""
    paths = {
        "persons": "",
        "officer": "person-responsible-officer",
        "risks": "risks/dynamic",
        "harm": "risks/serious-harm",
    }
    bodies = {**GOOD, **{paths[key]: name for key, name in instead.items()}}

    def source(request: httpx.Request) -> httpx.Response:
        rest = request.url.path.removeprefix(f"/api/v1/persons/{subject.identifier}").removeprefix("/")
        if rest == "access-limitations":  # not among the recordings
            return httpx.Response(200, json=fake.limitations())
        return httpx.Response(200, json=recorded(bodies[rest]))

    an_ask = Ask(str(uuid.uuid4()), None, PurposeClass.LAW_ENFORCEMENT, Deadline.after(5), asker=None)
    answers = await fake.connect(Recording(source)).involvements([subject], FieldMask(HOLDS), an_ask)
    answer = answers[subject]
    assert isinstance(answer, Answered), answer
    return answer


@pytest.mark.parametrize("subject", [IN_PRISON, ON_PROBATION], ids=["by-prison-number", "by-crn"])
async def test_the_recorded_answers_give_an_officer_in_the_community_and_one_in_prison(subject: AdultRef) -> None:
    answer = await ask(subject)

    community, prison = answer.involvements
    assert community.practitioner is not None
    assert (community.practitioner.name, community.contact_mode) == ("string string", ContactMode.DIRECT)
    assert prison.practitioner is not None
    assert prison.practitioner.name == "Joe Bloggs"
    assert prison.team is not None
    assert prison.team.name == "Offender management unit, MDI"
    record = answer.sections[ProbationRecord]
    assert isinstance(record, ProbationRecord)
    assert [(item.code, item.description) for item in record.risk or ()] == [("RCCO", "Child Concerns")]
    assert [(item.level, item.assessed_on) for item in record.risk_to_children or ()] == [("HIGH", date(2026, 1, 16))]
    assert record.mappa is None  # the recorded level and category are fillers
    assert [(item.kind, item.allocated, item.establishment) for item in record.supervision or ()] == [
        ("COMMUNITY", True, None),
        ("CUSTODY", True, "MDI"),
    ]


async def test_a_redacted_officer_leaves_the_team() -> None:
    answer = await ask(ON_PROBATION, officer="person-responsible-officer-redacted")

    (row,) = answer.involvements
    assert (row.practitioner, row.contact_mode) == (None, ContactMode.TEAM_ONLY)
    assert row.team is not None
    assert row.team.phone == "string"


async def test_a_redacted_person_is_accepted() -> None:
    answer = await ask(IN_PRISON, persons=PERSONS_REDACTED)

    assert len(answer.involvements) == 2


async def test_redacted_notes_of_a_risk_change_nothing() -> None:
    redacted = await ask(ON_PROBATION, risks="person-risk-dynamic-text-redacted")

    assert redacted == await ask(ON_PROBATION)


async def test_redacted_free_text_of_the_risk_of_harm_changes_nothing() -> None:
    redacted = await ask(ON_PROBATION, harm="person-risk-serious-harm-redacted")

    assert redacted == await ask(ON_PROBATION)
    assert "REDACTED" not in repr(redacted)


async def test_a_recorded_page_without_results_is_no_risk() -> None:
    record = (await ask(ON_PROBATION, risks="noResults")).sections[ProbationRecord]

    assert record.risk is None  # type: ignore[attr-defined]


async def test_nothing_recorded_about_the_person_is_kept() -> None:
    answer = await ask(ON_PROBATION)
    kept = repr(answer.involvements) + repr(answer.sections)

    assert not [
        text
        for text in ("Larsen", "self harms", "at risk", "Nolan", "Robert", "Matt", "1975", "G2996UX", "A123123")
        if text in kept
    ]
