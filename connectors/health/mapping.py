"""Care teams and episodes of care to involvements: one row for each piece of work of one practitioner, or of a team.

Pure: what was read goes in, records come out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from connectors.health.labels import disclosure_basis, refusal, sensitivity
from connectors.health.people import Person, contact_of, person, words
from connectors.health.resources import (
    CareTeam,
    EpisodeOfCare,
    Organization,
    Participant,
    Period,
    whole_date,
)
from connectors.health.searchset import Pool
from schema.records import IdentityClaim, Involvement, Service, Team
from schema.vocabulary import ContactMode, DisclosureBasis, InvolvementRelationship, InvolvementStatus, Sensitivity

# FHIR CareTeam.status and EpisodeOfCare.status; the rest (proposed, planned, waitlist, cancelled, entered-in-error) is
# no work with the child
_CURRENT = frozenset({"active", "suspended", "onhold"})
_PREVIOUS = frozenset({"inactive", "finished"})
_NOT_TOLD = frozenset({"Patient", "RelatedPerson"})  # family and friends may stand in a care team

Member = tuple[Person, Participant | None]


@dataclass(frozen=True, slots=True)
class _Work:
    """A care team with its episodes, or an episode whose team did not come along."""

    key: str
    care_team: CareTeam | None
    episodes: tuple[EpisodeOfCare, ...]
    status: InvolvementStatus

    @property
    def sources(self) -> list[CareTeam | EpisodeOfCare]:
        return [*([self.care_team] if self.care_team else []), *self.episodes]


def involvements(
    care_teams: Sequence[CareTeam],
    episodes: Sequence[EpisodeOfCare],
    pool: Pool,
    *,
    today: date,
    identity: IdentityClaim | None,
) -> tuple[Involvement, ...]:
    """Return the rows, ordered by their keys. `identity` is set on each: the record on which it hangs."""
    rows: dict[str, Involvement] = {}
    for work in _pieces_of_work(care_teams, episodes, pool, today):
        for row in _rows(work, pool, today, identity):
            rows[row.local_id] = row
    return tuple(rows[key] for key in sorted(rows))


def _pieces_of_work(
    care_teams: Sequence[CareTeam], episodes: Sequence[EpisodeOfCare], pool: Pool, today: date
) -> Iterable[_Work]:
    status_of = {f"CareTeam/{team.id}": _status(team.status, team.period, today) for team in care_teams}
    of_team: dict[str, list[EpisodeOfCare]] = {key: [] for key in status_of}
    for episode in episodes:
        status = _status(episode.status, episode.period, today)
        if status is None:
            continue
        # with a team of another status it is work of its own: what is over must not label what goes on
        here = {key for reference in episode.team if status_of.get(key := pool.key(reference) or "") is status}
        for key in here:
            of_team[key].append(episode)
        if not here:
            yield _Work(f"EpisodeOfCare/{episode.id}", None, (episode,), status)
    for care_team in care_teams:
        key = f"CareTeam/{care_team.id}"
        status = status_of[key]
        if status is not None:
            yield _Work(key, care_team, tuple(of_team[key]), status)


def _status(stated: str | None, period: Period | None, today: date) -> InvolvementStatus | None:
    """Return the status as stated, by the period only if none is stated; None: this is no work with the child."""
    if stated is None:
        return InvolvementStatus.PREVIOUS if _over(period, today) else InvolvementStatus.CURRENT
    if stated in _PREVIOUS:
        return InvolvementStatus.PREVIOUS
    return InvolvementStatus.CURRENT if stated in _CURRENT else None


def _over(period: Period | None, today: date) -> bool:
    ended = whole_date(period.end) if period else None
    return ended is not None and ended < today


def _rows(work: _Work, pool: Pool, today: date, identity: IdentityClaim | None) -> Iterable[Involvement]:
    team = _team(work, pool)
    members = _members(work, pool)
    managers = _care_managers(work, pool)
    manager_keys = frozenset(key for manager in managers for key in manager.keys)
    in_team = frozenset(key for someone, _ in members for key in someone.keys)
    members += [(manager, None) for manager in managers if not manager.keys & in_team]
    named = [member for member in members if member[0].practitioner is not None]
    for someone, participant in named:
        lead = bool(someone.keys & manager_keys)
        yield _row(work, team, someone, participant, lead=lead, today=today, identity=identity)
    if not named or len(named) < len(members):
        # somebody who is not named works with the child, or the team as such does: the team speaks for them
        yield _row(work, team, None, None, lead=False, today=today, identity=identity)


def _members(work: _Work, pool: Pool) -> list[Member]:
    found: list[Member] = []
    for participant in work.care_team.participant if work.care_team else ():
        kind = (pool.key(participant.member) or "").partition("/")[0]
        if participant.member is None or kind in _NOT_TOLD:
            continue
        contained = work.care_team.contained if work.care_team else ()
        someone = person(participant.member, pool, contained)
        # the same person in two roles is one row
        if not any(someone.keys & other.keys for other, _ in found):
            found.append((someone, participant))
    return found


def _care_managers(work: _Work, pool: Pool) -> list[Person]:
    found: dict[str, Person] = {}
    for episode in work.episodes:
        if episode.care_manager is not None:
            manager = person(episode.care_manager, pool, episode.contained)
            found.setdefault(manager.key, manager)
    return list(found.values())


def _row(
    work: _Work,
    team: Team | None,
    someone: Person | None,
    participant: Participant | None,
    *,
    lead: bool,
    today: date,
    identity: IdentityClaim | None,
) -> Involvement:
    practitioner = someone.practitioner if someone else None
    own = participant.period if participant else None
    periods = [period for period in (own, *(source.period for source in work.sources)) if period is not None]
    labels = [label for source in work.sources for label in source.meta.security]
    labels += someone.labels if someone else ()
    basis, basis_until = _basis(work)
    return Involvement(
        local_id=f"{work.key}/{someone.key if someone else 'team'}",
        practitioner=practitioner,
        role=(words(participant.role) if participant else None) or (practitioner.role if practitioner else None),
        team=team,
        service=_service(work),
        contact_mode=_contact_mode(someone, team),
        expected_response=None,
        status=InvolvementStatus.PREVIOUS if _over(own, today) else work.status,
        started_on=next((day for period in periods if (day := whole_date(period.start))), None),
        ended_on=next((day for period in periods if (day := whole_date(period.end))), None),
        lead=lead,
        relationship=InvolvementRelationship.CHILD,
        last_confirmed_at=None,
        sensitivity=sensitivity(labels),
        basis=basis,
        basis_until=basis_until,
        refusal=refusal(labels, basis),
        identity=identity,
    )


def _basis(work: _Work) -> tuple[DisclosureBasis | None, date | None]:
    labelled = [episode for episode in work.episodes if sensitivity(episode.meta.security) is not Sensitivity.STANDARD]
    if len(labelled) > 1:
        # a basis for one sensitive service is none for the other that the same team gives
        stated = {disclosure_basis([episode.extension]) for episode in labelled}
        return stated.pop() if len(stated) == 1 else (None, None)
    return disclosure_basis([source.extension for source in work.sources])


def _contact_mode(someone: Person | None, team: Team | None) -> ContactMode:
    practitioner = someone.practitioner if someone else None
    if practitioner is not None and (practitioner.phone or practitioner.email):
        return ContactMode.DIRECT
    return ContactMode.TEAM_ONLY if team is not None and (team.phone or team.email) else ContactMode.NONE


def _team(work: _Work, pool: Pool) -> Team | None:
    """Return the care team, or what is said of it: an episode's display of it, or the organisation behind it."""
    care_team = work.care_team
    contained = [raw for source in work.sources for raw in source.contained]
    managing = [*(care_team.managing_organization if care_team else ())]
    managing += [episode.managing_organization for episode in work.episodes if episode.managing_organization]
    found = [pool.find(reference, Organization, contained) for reference in managing]
    organisation = next((one for one in found if one is not None), None)
    telecom = (care_team.telecom if care_team else ()) or (organisation.telecom if organisation else ())
    names = [
        care_team.name if care_team else None,
        *(reference.display for episode in work.episodes for reference in episode.team),
        organisation.name if organisation else None,
        *(reference.display for reference in managing),
    ]
    name = next((name for name in names if name), None)
    return Team(name, *contact_of(telecom)) if name else None


def _service(work: _Work) -> Service | None:
    concepts = [concept for episode in work.episodes for concept in episode.type]
    concepts += work.care_team.category if work.care_team else ()
    for concept in concepts:
        name = words([concept])
        if name is not None:
            return Service(next((coding.code for coding in concept.coding if coding.code), None), name)
    return None
