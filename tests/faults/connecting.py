"""How the gateway asks a source that can be told what to do wrong: a driver for the words of `tests.faults.matrix`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

import msgspec

from connectors import answers
from connectors.base import Ask, FieldMask, Manifest
from connectors.calls import one_by_one
from connectors.faults import FaultCode, SourceFailed
from connectors.http import SourceClient
from schema.records import Answer, ChildRef, IdentityClaim, Involvement, Registration, SubjectRef
from tests.faults.matrix import WELL, Misbehaving
from tests.fixtures.sources import known, row


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    name: str
    register: str | None
    phone: str


class Envelope(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """What a source says of one child."""

    complete: bool
    count: int
    nhs_number: str
    date_of_birth: date
    family_name: str
    involvements: list[_Row]
    as_of: datetime | None = None


class RigConnector:
    """Asks one child at a time, on the shipped client, at whichever address the child's deed is done."""

    can_batch = False

    def __init__(self, manifest: Manifest, ways: Mapping[str, SourceClient], doing: Misbehaving) -> None:
        self.manifest = manifest
        self.ways = ways
        self.doing = doing

    async def involvements(
        self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask
    ) -> Mapping[SubjectRef, Answer]:
        async def answer(subject: SubjectRef) -> Answer:
            assert isinstance(subject, ChildRef)
            try:
                return await self._answer(subject, ask)
            except SourceFailed as failure:
                return answers.no_answer(subject, failure)

        return await one_by_one(subjects, answer)

    async def _answer(self, child: ChildRef, ask: Ask) -> Answer:
        client = self.ways[self.doing.deeds.get(child.nhs_number, WELL).way]
        reply = await client.request(
            "GET",
            f"/children/{child.nhs_number}",
            deadline=ask.deadline,
            request_id=ask.request_id,
            decode=Envelope,
        )
        return told_of(child, reply.json)

    async def health(self, ask: Ask) -> bool:
        return True

    async def shields(self, ask: Ask) -> None:
        return None

    async def aclose(self) -> None:
        for client in self.ways.values():
            await client.aclose()


def told_of(child: ChildRef, told: Envelope) -> Answer:
    """Return what it says of the child. Raises SourceFailed if it does not hold together or is of somebody else."""
    if not told.complete or told.count != len(told.involvements):
        raise SourceFailed(FaultCode.SCHEMA)
    if told.nhs_number != child.nhs_number:
        raise SourceFailed(FaultCode.MISMATCH)
    claim = IdentityClaim(told.date_of_birth, (told.family_name,))
    rows = (_row(each, claim) for each in told.involvements)
    return replace(known(child, *rows), as_of=told.as_of)


def _row(told: _Row, claim: IdentityClaim) -> Involvement:
    made = row(told.id, name=told.name, identity=claim, team=None, service=None)
    assert made.practitioner is not None
    registration = Registration("SWE", told.register) if told.register else None
    return replace(made, practitioner=replace(made.practitioner, registration=registration, phone=told.phone))
