"""The driver that reaches the rig's agencies: REST by child, on the shipped client, registered like anybody's."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from datetime import date
from typing import Any

import msgspec

from bench.agency import CHILD
from connectors import answers
from connectors.base import Ask, FieldMask, Manifest
from connectors.batches import ask_children
from connectors.faults import FaultCode, SourceFailed
from connectors.http import SourceClient
from connectors.retries import Attempt
from connectors.settings import HTTPSettings, read
from connectors.sources import source_client
from schema.identifiers import NHSNumber
from schema.records import Answer, Answered, ChildRef, IdentityClaim, Involvement, Practitioner, SubjectRef, Team
from schema.vocabulary import ContactMode, InvolvementRelationship, InvolvementStatus, Sensitivity

# bound once: to look a word up in its list costs more than to compare it
_DIRECT, _CHILD, _STANDARD = ContactMode.DIRECT, InvolvementRelationship.CHILD, Sensitivity.STANDARD
_CURRENT, _PREVIOUS = InvolvementStatus.CURRENT, InvolvementStatus.PREVIOUS


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    name: str
    role: str
    organisation: str
    team: str
    phone: str
    email: str
    since: date
    active: bool


class _Child(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    nhs_number: str = msgspec.field(name="nhsNumber")
    id: str | None
    date_of_birth: date
    family_name: str
    complete: bool
    count: int
    involvements: list[_Row]


class _Children(msgspec.Struct, forbid_unknown_fields=True):
    complete: bool
    children: list[_Child]


class Settings(HTTPSettings):
    """The keys of driver `bench`."""

    agency: str
    batches: bool = False


class BenchConnector:
    """One of the rig's agencies."""

    def __init__(self, manifest: Manifest, client: SourceClient, agency: str) -> None:
        self.manifest = manifest
        self._client = client
        self._agency = agency

    async def involvements(
        self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask
    ) -> Mapping[SubjectRef, Answer]:
        """Return an answer for every child: one GET, or one POST where several are asked about."""

        def fetch(children: Sequence[ChildRef], attempt: Attempt) -> Awaitable[Mapping[SubjectRef, Answer]]:
            if len(children) == 1:
                return self._of_one(children[0], mask, ask, attempt)
            return self._of_several(children, mask, ask, attempt)

        return await ask_children(subjects, self.manifest, fetch, self._client.retries, ask)

    async def _of_one(self, ref: ChildRef, mask: FieldMask, ask: Ask, attempt: Attempt) -> Mapping[SubjectRef, Answer]:
        reply = await self._client.request(
            "GET",
            f"/rest/{self._agency}/children/{ref.nhs_number}",
            deadline=ask.deadline,
            request_id=ask.request_id,
            traceparent=ask.traceparent,
            decode=_Child,
            attempt=attempt,
        )
        child: _Child = reply.json
        return {ref: _answered(ref, child, mask)}

    async def _of_several(
        self, children: Sequence[ChildRef], mask: FieldMask, ask: Ask, attempt: Attempt
    ) -> Mapping[SubjectRef, Answer]:
        reply = await self._client.request(
            "POST",
            f"/rest/{self._agency}/batch",
            json={"nhsNumbers": [str(ref.nhs_number) for ref in children]},
            deadline=ask.deadline,
            request_id=ask.request_id,
            traceparent=ask.traceparent,
            decode=_Children,
            separable=True,
            attempt=attempt,
        )
        found: _Children = reply.json
        if not found.complete:
            raise SourceFailed(FaultCode.SCHEMA)
        by_number = {child.nhs_number: child for child in found.children}
        return {ref: _answered(ref, by_number.get(str(ref.nhs_number)), mask) for ref in children}

    async def health(self, ask: Ask) -> bool:
        """The rig has no health call; its sources are about the child."""
        return True

    async def shields(self, ask: Ask) -> frozenset[NHSNumber] | None:
        """The rig shields nobody and lists nobody."""
        return None

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()


def _answered(ref: ChildRef, child: _Child | None, mask: FieldMask) -> Answer:
    if (
        child is None
        or child.nhs_number != ref.nhs_number
        or not child.complete
        or child.count != len(child.involvements)
    ):
        return answers.no_answer(ref, SourceFailed(FaultCode.SCHEMA))
    previous = "involvements.previous" in mask
    claim = IdentityClaim(child.date_of_birth, (child.family_name,))
    told = [
        Involvement(  # by place: twenty names take longer than the record
            row.id,
            Practitioner(row.name, row.role, None, row.phone, row.email),
            row.role,
            Team(row.team),
            None,  # service
            _DIRECT,
            None,  # expected_response
            _CURRENT if row.active else _PREVIOUS,
            row.since,
            None,  # ended_on
            False,  # lead
            _CHILD,
            None,  # last_confirmed_at
            _STANDARD,
            None,  # basis
            None,  # basis_until
            None,  # refusal
            claim,
        )
        for row in child.involvements
        if row.active or previous
    ]
    return Answered(ref, tuple(told), None, False, (), {}, None)


def from_settings(entry: Mapping[str, Any]) -> BenchConnector:
    """Return the connector of an entry."""
    settings = read(Settings, entry)
    manifest = settings.manifest(holds=frozenset({"involvements", "involvements.previous"}), can_batch=settings.batches)
    return BenchConnector(manifest, source_client(settings), settings.agency)


class InMemory(BenchConnector):
    """The same answers without a network: what `bench/micro.py` asks."""

    async def _of_one(self, ref: ChildRef, mask: FieldMask, ask: Ask, attempt: Attempt) -> Mapping[SubjectRef, Answer]:
        return {ref: _answered(ref, msgspec.json.decode(CHILD, type=_Child), mask)}


def in_memory(entry: Mapping[str, Any]) -> BenchConnector:
    """Return a connector that tells of one child."""
    settings = read(Settings, entry)
    manifest = settings.manifest(holds=frozenset({"involvements", "involvements.previous"}))
    return InMemory(manifest, source_client(settings), settings.agency)
