"""Supervision of a linked adult to involvements: the officer in the community and the one in prison, a row each.

Pure: decoded answers go in, records come out, and nothing of the adult is in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from msgspec import UNSET

from connectors.faults import FaultCode, SourceFailed
from connectors.probation.messages import (
    AccessLimitations,
    CommunityOffenderManager,
    OfficerTeam,
    Person,
    Persons,
    PrisonOffenderManager,
    ResponsibleOfficer,
    shown,
)
from schema.identifiers import CRN, InvalidIdentifier, PrisonNumber
from schema.records import Involvement, Practitioner, Team
from schema.vocabulary import ContactMode, InvolvementRelationship, InvolvementStatus, RefusalReason, Sensitivity

Identifier = CRN | PrisonNumber

COMMUNITY = "Community offender manager"
PRISON = "Prison offender manager"

_LOCATION = re.compile(r"(?:https?://[^/?#]+)?(?:/[^?#]*)?/v1/persons/([A-Za-z0-9]{7,8})")
_UNALLOCATED = "unallocated"  # as a surname, or as the forename before "Staff"


@dataclass(frozen=True, slots=True)
class Officers:
    """Who is responsible for the adult; None where the source names none."""

    community: CommunityOffenderManager | None
    prison: PrisonOffenderManager | None


def merged_into(location: str | None) -> Identifier:
    """Return the identifier that a merge leads to; of the address, only this is used. Raises SourceFailed."""
    found = _LOCATION.fullmatch(location or "")
    for kind in (CRN, PrisonNumber):
        try:
            return kind(found[1]) if found else _no_merge()
        except InvalidIdentifier:
            continue
    return _no_merge()


def _no_merge() -> Identifier:
    raise SourceFailed(FaultCode.REDIRECT)


def must_be_about(persons: Persons, asked: Identifier) -> None:
    """Raise SourceFailed with MISMATCH unless the answer echoes the identifier asked about, and both halves agree."""
    halves = [
        half for half in (persons.prisoner_offender_search, persons.probation_offender_search) if half is not None
    ]
    stated = [half.identifiers for half in halves if half.identifiers is not None]
    crns = {crn.upper() for one in stated if (crn := shown(one.delius_crn))}
    prison_numbers = {number.upper() for one in stated if (number := shown(one.nomis_number))}
    echoed = {echo.upper() for half in halves if (echo := shown(half.hmpps_id))} | crns | prison_numbers
    if str(asked) not in echoed or len(crns) > 1 or len(prison_numbers) > 1:
        raise SourceFailed(FaultCode.MISMATCH)


def officers_of(answer: ResponsibleOfficer | None) -> Officers:
    """Return the officers. Raises SourceFailed if neither kind is mentioned, not even to say that there is none."""
    if answer is None:
        return Officers(None, None)
    community, prison = answer.community_offender_manager, answer.prison_offender_manager
    if community is UNSET and prison is UNSET:
        raise SourceFailed(FaultCode.SCHEMA)
    return Officers(community or None, prison or None)


def limited(persons: Persons, limitations: AccessLimitations | None) -> bool:
    """Return whether anybody is excluded from the record, or it is restricted to anybody: then no row is shared.

    Raises SourceFailed if a record in Delius has no answer about limitations, since those are kept there.
    """
    halves: Iterable[Person | None] = (persons.prisoner_offender_search, persons.probation_offender_search)
    if any(half is not None and (half.current_restriction or half.current_exclusion) for half in halves):
        return True
    if limitations is None:
        if persons.probation_offender_search is not None:
            raise SourceFailed(FaultCode.SCHEMA)
        return False
    lists = (limitations.excluded_from, limitations.restricted_to)
    messages = (limitations.exclusion_message, limitations.restriction_message)
    # a list that is withheld does not say that it is empty
    return any(one is None or len(one) > 0 for one in lists) or any(messages)


def involvements(persons: Persons, officers: Officers, *, refusal: RefusalReason | None) -> tuple[Involvement, ...]:
    """Return the rows. Supervision without a stated officer still gives one, without practitioner or team."""
    rows = []
    probation = persons.probation_offender_search
    supervised = None if probation is None else probation.under_active_supervision
    if officers.community is not None or supervised:
        over = supervised is False
        rows.append(_community(officers.community, over=over, refusal=refusal))
    if officers.prison is not None:
        rows.append(_prison(officers.prison, refusal=refusal))
    return tuple(rows)


def _community(officer: CommunityOffenderManager | None, *, over: bool, refusal: RefusalReason | None) -> Involvement:
    name = officer.name if officer else None
    full_name = _name(name.forename, name.surname) if name else None
    practitioner = None
    if officer is not None and full_name is not None and officer.allocated is not False:
        practitioner = Practitioner(full_name, COMMUNITY, None, shown(officer.telephone_number), shown(officer.email))
    team = _team(officer.team) if officer else None
    status = InvolvementStatus.PREVIOUS if over else InvolvementStatus.CURRENT
    return _row("community", practitioner, COMMUNITY, team, status, refusal=refusal)


def _prison(officer: PrisonOffenderManager, *, refusal: RefusalReason | None) -> Involvement:
    full_name = _name(officer.forename, officer.surname)
    practitioner = Practitioner(full_name, PRISON) if full_name else None
    code = shown(officer.prison.code) if officer.prison else None
    team = Team(f"Offender management unit, {code}") if code else None
    return _row("prison", practitioner, PRISON, team, InvolvementStatus.CURRENT, refusal=refusal)


def _row(
    key: str,
    practitioner: Practitioner | None,
    role: str,
    team: Team | None,
    status: InvolvementStatus,
    *,
    refusal: RefusalReason | None,
) -> Involvement:
    direct = practitioner is not None and bool(practitioner.phone or practitioner.email)
    through_team = ContactMode.TEAM_ONLY if team is not None else ContactMode.NONE
    return Involvement(
        local_id=key,
        practitioner=practitioner,
        role=role,
        team=team,
        service=None,
        contact_mode=ContactMode.DIRECT if direct else through_team,
        expected_response=None,
        status=status,
        started_on=None,
        ended_on=None,
        lead=False,
        relationship=InvolvementRelationship.LINKED_ADULT,
        last_confirmed_at=None,
        sensitivity=Sensitivity.STANDARD,
        basis=None,
        basis_until=None,
        refusal=refusal,
        identity=None,
    )


def _name(forename: str | None, surname: str | None) -> str | None:
    """Return the officer's name; None if any part is withheld, or if nobody has been allocated."""
    parts = [shown(forename), shown(surname)]
    if parts[1] is None or (forename is not None and parts[0] is None):
        return None
    if any(part is not None and part.casefold() == _UNALLOCATED for part in parts):
        return None
    return " ".join(part for part in parts if part)


def _team(team: OfficerTeam | None) -> Team | None:
    if team is None:
        return None
    name = shown(team.description) or shown(team.code)
    return Team(name, shown(team.telephone_number), shown(team.email)) if name else None
