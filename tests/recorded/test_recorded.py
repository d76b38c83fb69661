"""That the suite would see a gateway that records otherwise than it sends; and how much of both it has compared."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.disclosed_fields import disclosed_fields
from gateway.graphql import execution
from gateway.lookup_record import LookupRecord
from tests.end_to_end import accounts
from tests.end_to_end.documents import VARIANTS
from tests.fixtures.sources import BORN, CHILD, FAMILY, known, row, source
from tests.fixtures.world import DEEPER, WHO, World, lookup_document, running_world
from tests.recorded.listening import TALLY, Account, Exchange, settle
from tests.recorded.sent import asked_for, held_in

pytestmark = pytest.mark.anyio

VARIABLES = {
    "key": {"nhsNumber": CHILD, "dateOfBirth": str(BORN), "familyName": FAMILY},
    "access": {"purpose": "CP_S47", "reason": "A referral"},
}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    connectors = (
        source("cs-amber", known(CHILD, row(number="SW1"), row(local_id="two", name="Ben Clay"))),
        source("cs-brook", known(CHILD, row(local_id="three", name="Cal Dove", lead=True))),
    )
    async with running_world(tmp_path, *connectors) as running:
        yield running


@pytest.mark.parametrize("variant", VARIANTS)
async def test_both_readings_of_a_body_find_the_same_in_it(world: World, variant: str) -> None:
    query = VARIANTS[variant]
    told = await world.post(query, VARIABLES)
    data = told.body["data"]

    assert (
        held_in(asked_for(query, None, VARIABLES), data).sections == accounts.held_in(query, VARIABLES, data).sections
    )
    mine, theirs = held_in(asked_for(query, None, VARIABLES), data), accounts.held_in(query, VARIABLES, data)
    assert mine.names == theirs.names
    assert sorted(map(sorted, mine.entries.values())) == sorted(map(sorted, theirs.entries.values()))
    assert sorted(mine.ids.values()) == sorted(theirs.ids.values())


async def test_every_answer_of_a_gateway_in_this_process_is_compared(world: World) -> None:
    settle()
    before = (TALLY.answers, TALLY.fields)
    await world.ask()
    await world.post("{ viewer { subject } }")

    assert settle() == []
    assert TALLY.answers == before[0] + 1
    assert TALLY.fields > before[1] + 20


# ------------------------------------------------------------- a gateway that records or sends otherwise than the other

Tell = Callable[[list[dict[str, Any]], list[str]], Any]


def _fields(entry: dict[str, Any]) -> list[str]:
    found: list[str] = msgspec.json.decode(entry["fields"])
    return found


def _a_field_less(entries: list[dict[str, Any]], sections: list[str]) -> None:
    entries[0]["fields"] = [each for each in _fields(entries[0]) if each != "contact.phone"]


def _a_field_more(entries: list[dict[str, Any]], sections: list[str]) -> None:
    entries[0]["fields"] = [*_fields(entries[0]), "service.neverAsked"]


def _an_entry_less(entries: list[dict[str, Any]], sections: list[str]) -> None:
    entries.pop()


def _an_entry_more(entries: list[dict[str, Any]], sections: list[str]) -> None:
    entries.append({**entries[0], "entry": "never-sent"})


def _somebody_else(entries: list[dict[str, Any]], sections: list[str]) -> None:
    entries[0]["practitioner"] = {"name": "Somebody Else", "registration": None}


def _a_section_more(entries: list[dict[str, Any]], sections: list[str]) -> None:
    sections.append("police.orders.kind")


@pytest.mark.records_otherwise
@pytest.mark.parametrize("without_ids", [False, True], ids=["with-ids", "without-ids"])
@pytest.mark.parametrize(
    "fault", [_a_field_less, _a_field_more, _an_entry_less, _an_entry_more, _somebody_else, _a_section_more]
)
async def test_a_gateway_that_notes_other_fields_than_it_sends_is_noticed(
    world: World, monkeypatch: pytest.MonkeyPatch, fault: Tell, without_ids: bool
) -> None:
    def otherwise(compiled: Any, data: Any, tree: Any) -> Any:
        entries, sections = disclosed_fields(compiled, data, tree)
        fault(entries, sections)
        return entries, sections

    select = WHO.replace("id agency", "agency") if without_ids else WHO
    await world.ask(select=select)
    assert settle() == []
    monkeypatch.setattr(execution, "disclosed_fields", otherwise)
    told = await world.ask(select=select)

    assert told.outcome == "DISCLOSED"
    assert settle() != []


def _another_digest(told: dict[str, Any]) -> None:
    told["response"] = "0" * 64


def _another_outcome(told: dict[str, Any]) -> None:
    told["outcome"] = "NOTHING_DISCLOSABLE"


def _another_receipt(told: dict[str, Any]) -> None:
    told["receipt"] = "r"


def _another_intent(told: dict[str, Any]) -> None:
    told["intent"] += 1_000


def _less_withheld(told: dict[str, Any]) -> None:
    told["withheld"].pop()


def _a_source_did_otherwise(told: dict[str, Any]) -> None:
    told["sources"][0] |= {"status": "NO_ANSWER", "reason": "TIMEOUT"}


def _a_source_unsaid(told: dict[str, Any]) -> None:
    told["sources"].pop()


@pytest.mark.records_otherwise
@pytest.mark.parametrize(
    "fault",
    [
        _another_digest,
        _another_outcome,
        _another_receipt,
        _another_intent,
        _less_withheld,
        _a_source_did_otherwise,
        _a_source_unsaid,
    ],
)
async def test_a_gateway_that_writes_another_outcome_than_it_sends_is_noticed(
    world: World, monkeypatch: pytest.MonkeyPatch, fault: Callable[[dict[str, Any]], None]
) -> None:
    honest = LookupRecord.outcome

    def otherwise(self: LookupRecord, **parts: Any) -> dict[str, Any]:
        told = honest(self, **parts)
        fault(told)
        return told

    monkeypatch.setattr(LookupRecord, "outcome", otherwise)
    await world.ask(select=WHO + DEEPER, scope="involvement:read")

    assert settle() != []


async def test_an_answer_without_its_record_or_with_more_than_was_asked_for_is_noticed(world: World) -> None:
    told = await world.ask()
    request = json.dumps({"query": lookup_document(WHO + DEEPER), "variables": VARIABLES}).encode()
    records = [(record.seq, record.kind.value, record.payload or {}) for record in world.records()]

    def faults(answer: bytes, kinds: set[str]) -> list[str]:
        account = Account(world.gateway)
        for seq, kind, payload in copy.deepcopy(records):
            if kind in kinds:
                account.note(seq, kind, payload)
        return list(account.faults(Exchange(request, answer)))

    assert faults(told.response.content, {"INTENT", "OUTCOME"}) == []
    assert faults(told.response.content, {"INTENT"}) != []
    assert faults(told.response.content, {"OUTCOME"}) != []
    assert faults(told.response.content.replace(b'"lead":', b'"more":1,"lead":'), {"INTENT", "OUTCOME"}) != []


@pytest.mark.records_otherwise
async def test_a_log_that_cannot_be_read_accounts_for_nothing(world: World) -> None:
    await world.ask()
    with world.gateway.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE audit_payload RENAME TO payload_elsewhere")

    assert len(settle()) == 1


def test_nothing_that_this_process_sent_so_far_differs_from_what_it_recorded(
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    """The last of its proof: what every test before it asked for was compared when that test ended."""
    for name, value in TALLY.figures().items():
        record_testsuite_property(name, value)

    assert TALLY.differences == 0
