"""The probation connector: asks about one adult at a time, by CRN or prison number."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from connectors import answers
from connectors.base import Ask, FieldMask, Manifest
from connectors.calls import Calls, one_by_one, together
from connectors.faults import FaultCode, SourceFailed
from connectors.http import Reply, SourceClient
from connectors.probation.mapping import (
    Identifier,
    Officers,
    involvements,
    limited,
    merged_into,
    must_be_about,
    officers_of,
)
from connectors.probation.messages import (
    AccessLimitations,
    DynamicRisk,
    MappaDetail,
    Persons,
    ResponsibleOfficer,
    SeriousHarm,
    Status,
    content,
)
from connectors.probation.section import HOLDS, MAPPA, RISK, RISK_TO_CHILDREN, SUPERVISION, sections
from connectors.settings import ConnectorMisconfigured, HTTPSettings, Line, read
from connectors.sources import source_client
from connectors.transport import trust_context
from schema.identifiers import NHSNumber
from schema.records import AdultRef, Answer, Answered, SubjectRef
from schema.vocabulary import RefusalReason

# the person, the limitations and the responsible officer: what every ask for involvements makes, at once
CALLS_OF_AN_ASK = 3
MAX_PAGES = 20

_KNOWN_OR_NOT = frozenset({200, 404})
_KNOWN_MERGED_OR_NOT = frozenset({200, 303, 404})


@dataclass(frozen=True, slots=True)
class _Held:
    """All that the source holds about one adult."""

    persons: Persons
    limitations: AccessLimitations | None
    officers: Officers
    risks: tuple[DynamicRisk, ...]
    harm: SeriousHarm | None
    mappa: MappaDetail | None


class ProbationConnector:
    """The HMPPS External API: it takes one adult at a time; the calls about one adult are made at once."""

    def __init__(self, manifest: Manifest, client: SourceClient, *, calls_at_once: int) -> None:
        """`calls_at_once`: of one ask, however many adults it is about."""
        self._manifest = manifest
        self._client = client
        self._calls_at_once = calls_at_once

    @property
    def manifest(self) -> Manifest:
        """What this connector can do."""
        return self._manifest

    async def involvements(
        self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask
    ) -> Mapping[SubjectRef, Answer]:
        """Return an answer for each subject; trouble about one costs no other."""
        calls = Calls(self._client, ask, room=asyncio.Semaphore(self._calls_at_once))

        async def answer(subject: SubjectRef) -> Answer:
            if not isinstance(subject, AdultRef):
                return answers.not_for_this_source(subject)
            try:
                return await self._answer(subject, mask, calls)
            except SourceFailed as failure:
                return answers.no_answer(subject, failure)

        return await one_by_one(subjects, answer)

    async def health(self, ask: Ask) -> bool:
        """Return True if the API says that it is well. Raises SourceFailed.

        Where no adult is linked this stands in for the ask. So it is made as often as an ask for involvements makes
        calls, and at once like them: neither the source's load nor the time tells whether there was somebody to ask
        about. An ask whose mask opens risk, risk to children or MAPPA makes one call more for each,
        beside these.
        """
        calls = Calls(self._client, ask)
        for reply in await together([calls.get("/v1/status") for _ in range(CALLS_OF_AN_ASK)]):
            status, _ = content(reply, Status)
            if status is None or status.status != "ok":
                raise SourceFailed(FaultCode.STATUS_UNEXPECTED)
        return True

    async def shields(self, ask: Ask) -> frozenset[NHSNumber] | None:
        """Return None: the records are about adults."""
        return None

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()

    async def _answer(self, subject: AdultRef, mask: FieldMask, calls: Calls) -> Answer:
        held = await self._held(subject.identifier, mask, calls, follow=True)
        if held is None:
            return answers.empty(subject, shielded=None)
        refusal = RefusalReason.ACCESS_LIMITATION if limited(held.persons, held.limitations) else None
        rows = involvements(held.persons, held.officers, refusal=refusal)
        told: Mapping[type, object] = {}
        if refusal is None:  # sections have no hard stop of their own
            told = sections(held.persons, held.officers, held.risks, held.harm, held.mappa, mask, self._manifest.agency)
        return Answered(
            subject,
            involvements=tuple(row for row in rows if answers.opened(mask, row.status)),
            trace=None,
            shielded=None,
            linked_adults=(),
            sections=told,
            as_of=None,
        )

    async def _held(self, identifier: Identifier, mask: FieldMask, calls: Calls, *, follow: bool) -> _Held | None:
        """Ask everything that the mask opens, at once; None if there is no such person. Raises SourceFailed."""
        person = f"/v1/persons/{identifier}"
        asked: dict[str, Coroutine[Any, Any, Any]] = {
            "persons": calls.get(person, expect=_KNOWN_MERGED_OR_NOT),
            "limitations": calls.get(f"{person}/access-limitations", expect=_KNOWN_MERGED_OR_NOT),
        }
        if mask.any(answers.INVOLVEMENTS, answers.PREVIOUS, SUPERVISION):
            asked["officers"] = calls.get(f"{person}/person-responsible-officer", expect=_KNOWN_MERGED_OR_NOT)
        if MAPPA in mask:
            asked["mappa"] = calls.get(f"{person}/risks/mappadetail", expect=_KNOWN_MERGED_OR_NOT)
        if RISK in mask:
            asked["risks"] = calls.get(f"{person}/risks/dynamic", expect=_KNOWN_MERGED_OR_NOT)
        if RISK_TO_CHILDREN in mask:
            asked["harm"] = calls.get(f"{person}/risks/serious-harm", expect=_KNOWN_MERGED_OR_NOT)
        replies: dict[str, Reply] = dict(zip(asked, await together(list(asked.values())), strict=True))
        found = replies["persons"]
        if found.status == 303 and follow:
            # two records became one: followed once, to a path of our own making
            return await self._held(merged_into(found.headers.get("Location")), mask, calls, follow=False)
        if any(reply.status == 303 for reply in replies.values()):
            raise SourceFailed(FaultCode.REDIRECT)
        persons: Persons | None = content(found, Persons)[0]
        limitations: AccessLimitations | None = content(replies["limitations"], AccessLimitations)[0]
        officer: ResponsibleOfficer | None = None
        if "officers" in replies:
            officer = content(replies["officers"], ResponsibleOfficer)[0]
        officers = officers_of(officer)
        mappa: MappaDetail | None = None
        if "mappa" in replies:
            mappa = content(replies["mappa"], MappaDetail | None)[0]
        harm: SeriousHarm | None = None
        if "harm" in replies:
            harm = content(replies["harm"], SeriousHarm | None)[0]
        risks: tuple[DynamicRisk, ...] = ()
        if "risks" in replies:
            risks = await _every_page(replies["risks"], f"{person}/risks/dynamic", calls)
        if persons is None:
            if officers != Officers(None, None):
                # nobody there, and yet somebody responsible for them
                raise SourceFailed(FaultCode.MISMATCH)
            return None
        must_be_about(persons, identifier)
        return _Held(persons, limitations, officers, risks, harm, mappa)


async def _every_page(first: Reply, path: str, calls: Calls) -> tuple[DynamicRisk, ...]:
    """Return the entries of all pages. Raises SourceFailed if pages or their counts do not fit."""
    entries: list[DynamicRisk] = []
    reply = first
    for number in range(1, MAX_PAGES + 1):
        page: tuple[DynamicRisk, ...] | None
        page, pagination = content(reply, tuple[DynamicRisk, ...])
        entries += page or ()
        if pagination is None:
            if number == 1:
                return tuple(entries)
            raise SourceFailed(FaultCode.SCHEMA)
        if pagination.page != number or pagination.count != len(page or ()):
            raise SourceFailed(FaultCode.SCHEMA)
        if pagination.is_last_page:
            if pagination.total_count != len(entries):
                raise SourceFailed(FaultCode.SCHEMA)
            return tuple(entries)
        reply = await calls.get(path, params={"page": str(number + 1)}, expect=_KNOWN_OR_NOT)
    raise SourceFailed(FaultCode.TOO_LARGE)


class ProbationSettings(HTTPSettings):
    """The keys of driver `probation`. In production the API asks for a client certificate and a key."""

    # sixteen lookups at a time, each of which makes up to six calls for each linked adult
    max_asks: Annotated[int, Field(ge=1, le=1000)] = 16
    max_connections: Annotated[int, Field(ge=8, le=1000)] = 256
    subject_distinguished_name: Line | None = None  # what the proxy before the API states of a certificate; tests only
    ca_file: Annotated[Path, Field(strict=False)] | None = None
    client_certificate: Annotated[Path, Field(strict=False)] | None = None
    client_key: Annotated[Path, Field(strict=False)] | None = None

    @property
    def calls_at_once(self) -> int:
        """One ask's share of the connections: else a few families of many adults would be OVERLOADED for all others."""
        return max(1, self.max_connections // self.max_asks)

    @model_validator(mode="after")
    def _whole_certificate(self) -> Self:
        if (self.client_certificate is None) != (self.client_key is None):
            raise PydanticCustomError("connector", "needs both of client_certificate and client_key, or neither")
        return self

    def trust(self) -> ssl.SSLContext | None:
        """Return the TLS context that the entry asks for, or None for the usual one. Raises ConnectorMisconfigured."""
        if self.ca_file is None and self.client_certificate is None:
            return None
        try:
            return trust_context(
                _text(self.ca_file), certificate=_text(self.client_certificate), private_key=_text(self.client_key)
            )
        except (OSError, ssl.SSLError):
            raise ConnectorMisconfigured("client_certificate", "or ca_file, or client_key, cannot be read") from None


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def from_settings(entry: Mapping[str, Any]) -> ProbationConnector:
    """Return the connector of an entry; raises ConnectorMisconfigured."""
    settings = read(ProbationSettings, entry)
    name = settings.subject_distinguished_name
    headers = {"subject-distinguished-name": name} if name else None
    client = source_client(settings, headers=headers, ssl_context=settings.trust())
    manifest = settings.manifest(holds=HOLDS, subjects=frozenset({AdultRef}))
    return ProbationConnector(manifest, client, calls_at_once=settings.calls_at_once)
