"""The health connector: traces the child, and asks who cares for them."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any, TypeVar

from pydantic import Field

from connectors import answers
from connectors.base import Ask, FieldMask, Manifest
from connectors.calls import Calls, one_by_one, together
from connectors.faults import FaultCode, SourceFailed
from connectors.health.identity import must_be_about, no_such_patient, number_of, shield, trace
from connectors.health.mapping import involvements
from connectors.health.people import roles_to_ask_for
from connectors.health.resources import NHS_NUMBER, CareTeam, EpisodeOfCare, Flag, Patient, PractitionerRole, read
from connectors.health.searchset import Pool, search
from connectors.health.section import HOLDS, SAFEGUARDING, sections
from connectors.http import SourceClient
from connectors.settings import HTTPSettings
from connectors.settings import read as read_settings
from connectors.sources import source_client
from schema.identifiers import NHSNumber
from schema.records import Answer, Answered, ChildRef, SubjectRef

FHIR_JSON = "application/fhir+json"
SCOPE = "system/*.rs"  # SMART: read and search, as a system
SILENT = {"silent": "true"}  # CP-IS: the authority is not told of this read (`accessEventType=false`)
FOUND_OR_NOT = frozenset({200, 404})
BYTE_CAP = 512 * 1024  # a page of care teams with everybody in them

R = TypeVar("R", CareTeam, EpisodeOfCare, Flag)


@dataclass(frozen=True, slots=True)
class _Held:
    """All that the source holds under one number."""

    patient: Patient | None
    care_teams: tuple[CareTeam, ...]
    episodes: tuple[EpisodeOfCare, ...]
    flags: tuple[Flag, ...]
    pool: Pool


class HealthConnector:
    """A FHIR R4 source: the Personal Demographics Service's Patient, and a provider's care teams.

    It takes one child at a time; the calls about one child are made at once.
    """

    def __init__(self, manifest: Manifest, client: SourceClient, *, base_url: str) -> None:
        self._manifest = manifest
        self._client = client
        self._base_url = base_url.rstrip("/")

    @property
    def manifest(self) -> Manifest:
        """What this connector can do."""
        return self._manifest

    async def involvements(
        self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask
    ) -> Mapping[SubjectRef, Answer]:
        """Return an answer for each subject; trouble about one costs no other."""
        calls = Calls(self._client, ask, FHIR_JSON)

        async def answer(subject: SubjectRef) -> Answer:
            if not isinstance(subject, ChildRef):
                return answers.not_for_this_source(subject)
            try:
                return await self._answer(subject, mask, calls)
            except SourceFailed as failure:
                return answers.no_answer(subject, failure)

        return await one_by_one(subjects, answer)

    async def health(self, ask: Ask) -> bool:
        """Return True if the source states its capabilities (FHIR R4, `metadata`). Raises SourceFailed."""
        reply = await Calls(self._client, ask, FHIR_JSON).get("/metadata")
        if not isinstance(reply.json, dict) or reply.json.get("resourceType") != "CapabilityStatement":
            raise SourceFailed(FaultCode.SCHEMA)
        return True

    async def shields(self, ask: Ask) -> frozenset[NHSNumber] | None:
        """Return None: PDS publishes no list of restricted patients."""
        return None

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()

    async def _answer(self, subject: ChildRef, mask: FieldMask, calls: Calls) -> Answer:
        first = await self._held(subject.nhs_number, mask, calls)
        rounds = [first]
        if first.patient is not None and number_of(first.patient) != subject.nhs_number:
            # PDS answers a superseded number with the superseding patient, who must then answer as itself
            superseding = number_of(first.patient)
            second = await self._held(superseding, mask, calls)
            if second.patient is None or number_of(second.patient) != superseding:
                raise SourceFailed(FaultCode.MISMATCH)
            rounds.append(second)
        return _answered(subject, rounds, mask, self._manifest, datetime.now(UTC).date())

    async def _held(self, number: NHSNumber, mask: FieldMask, calls: Calls) -> _Held:
        """Ask everything that the mask opens under one number, at once. Raises SourceFailed."""
        pool = Pool(self._base_url)
        asked: list[Coroutine[Any, Any, Any]] = [self._patient(number, calls)]
        for path, status_of_team, status_of_episode in (
            (answers.INVOLVEMENTS, "active", "active"),
            (answers.PREVIOUS, "inactive", "finished"),
        ):
            if path in mask:
                teams = {**_about(number, status_of_team), "_include": "CareTeam:participant"}
                episodes = {**_about(number, status_of_episode), "_include": "EpisodeOfCare:care-manager"}
                asked.append(search(calls, pool, CareTeam, teams, number))
                asked.append(search(calls, pool, EpisodeOfCare, episodes, number))
        if SAFEGUARDING in mask:
            flags = {**_about(number, "active"), "_include": "Flag:author", **(SILENT if calls.ask.silent else {})}
            asked.append(search(calls, pool, Flag, flags, number))
        patient, *found = await together(asked)
        matches = [match for part in found for match in part]
        held = _Held(patient, _of(CareTeam, matches), _of(EpisodeOfCare, matches), _of(Flag, matches), pool)
        subjects = [team.subject for team in held.care_teams] + [flag.subject for flag in held.flags]
        for about in (*subjects, *(episode.patient for episode in held.episodes)):
            must_be_about(about, number, pool)
        roles = roles_to_ask_for(held.care_teams, held.episodes, pool)
        if roles:
            form = {"_id": ",".join(roles), "_include": "PractitionerRole:practitioner"}
            await search(calls, pool, PractitionerRole, form, number)
        return held

    async def _patient(self, number: NHSNumber, calls: Calls) -> Patient | None:
        # PDS's own shape, and the one place where an identifier stands in a path
        reply = await calls.get(f"/Patient/{number}", expect=FOUND_OR_NOT)
        if reply.status != 404:
            return read(reply.json, Patient)
        if not no_such_patient(reply.json):
            raise SourceFailed(FaultCode.NOT_FOUND_BARE)
        return None


def _about(number: NHSNumber, status: str) -> dict[str, str]:
    return {"patient.identifier": f"{NHS_NUMBER}|{number}", "status": status}


def _of(cls: type[R], matches: Sequence[object]) -> tuple[R, ...]:
    return tuple({match.id: match for match in matches if isinstance(match, cls)}.values())


def _answered(subject: ChildRef, rounds: Sequence[_Held], mask: FieldMask, manifest: Manifest, today: date) -> Answered:
    """Return the answer from what is held under the number, and under the one that superseded it if there is one."""
    patient = rounds[-1].patient
    claim = trace(patient) if patient is not None else None
    shields = [shield(held.patient) for held in rounds if held.patient is not None]
    stated = [said for said in shields if said is not None]
    rows = {
        row.local_id: row
        for held in rounds
        for row in involvements(held.care_teams, held.episodes, held.pool, today=today, identity=claim)
        if answers.opened(mask, row.status)
    }
    flags = [(flag, held.pool) for held in rounds for flag in held.flags]
    return Answered(
        subject,
        involvements=tuple(rows.values()),
        trace=claim,
        shielded=any(stated) if stated else None,
        linked_adults=(),
        sections=sections(patient, flags, mask, manifest.agency, today),
        as_of=None,
    )


class HealthSettings(HTTPSettings):
    """The keys of driver `health`."""

    # sixteen lookups at a time, each of which makes up to seven calls at once
    max_asks: Annotated[int, Field(ge=1, le=1000)] = 16
    max_connections: Annotated[int, Field(ge=8, le=1000)] = 128


def from_settings(entry: Mapping[str, Any]) -> HealthConnector:
    """Return the connector of an entry; raises ConnectorMisconfigured."""
    settings = read_settings(HealthSettings, entry)
    client = source_client(settings, scope=SCOPE, byte_cap=BYTE_CAP)
    return HealthConnector(settings.manifest(holds=HOLDS), client, base_url=settings.base_url)
