"""Practitioners as FHIR has them: a role, the person who holds it, and how they are reached at work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.health.resources import (
    CareTeam,
    CodeableConcept,
    Coding,
    EpisodeOfCare,
    HumanName,
    Identifier,
    PractitionerRole,
    Reference,
    Telecom,
)
from connectors.health.resources import Practitioner as FHIRPractitioner
from connectors.health.searchset import Pool
from schema.records import Practitioner, Registration

Contained = Iterable[Mapping[str, Any]]

# in the order in which they are preferred: a professional register says more than a smartcard
REGISTERS: Mapping[str, str] = {
    "https://fhir.hl7.org.uk/Id/nmc-number": "NMC",
    "https://fhir.hl7.org.uk/Id/gmc-number": "GMC",
    "https://fhir.nhs.uk/Id/sds-user-id": "SDS",
}

OUT_OF_HOURS = "https://contactpoint.example/fhir/out-of-hours"

_UNRANKED = 1_000
_NOT_FOR_WORK = frozenset({"home", "old"})
_USES = {"work": 0, "mobile": 1}
_PRACTITIONERS = frozenset({"PractitionerRole", "Practitioner"})


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody a reference leads to. Two with a key in common are the same; `key` is the first of them.

    `practitioner` is None when nobody can be named: not sent along, not a person, or no longer in that role.
    """

    key: str
    keys: frozenset[str]
    practitioner: Practitioner | None
    labels: tuple[Coding, ...]


def person(reference: Reference, pool: Pool, contained: Contained) -> Person:
    """Return whom a reference to a PractitionerRole or a Practitioner leads to. Raises SourceFailed."""
    role = pool.find(reference, PractitionerRole, contained)
    to_holder = role.practitioner if role is not None else reference
    holder = pool.find(to_holder, FHIRPractitioner, [*(role.contained if role else ()), *contained])
    registered = registration([*(holder.identifier if holder else ()), *(role.identifier if role else ())])
    # a contained practitioner has no id outside its container; a register number is the same everywhere
    keys = [f"{registered.body}/{registered.number}" if registered else None, pool.key(to_holder), pool.key(reference)]
    display = (to_holder.display if to_holder else None) or reference.display
    found = [key for key in (*keys, display) if key] or ["unnamed"]
    labels = tuple(label for resource in (role, holder) if resource is not None for label in resource.meta.security)
    return Person(found[0], frozenset(found), _practitioner(reference, pool, role, holder, display, registered), labels)


def _practitioner(
    reference: Reference,
    pool: Pool,
    role: PractitionerRole | None,
    holder: FHIRPractitioner | None,
    display: str | None,
    registered: Registration | None,
) -> Practitioner | None:
    kind = (pool.key(reference) or "").partition("/")[0]
    if role is None and holder is None and kind and kind not in _PRACTITIONERS:
        return None  # an organisation, or another team
    if (role is not None and role.active is False) or (holder is not None and holder.active is False):
        return None
    name = (_name(holder.name) if holder else None) or display
    if name is None:
        return None
    phone, email, _ = contact_of([*(role.telecom if role else ()), *(holder.telecom if holder else ())])
    return Practitioner(name, words(role.code) if role else None, registered, phone, email)


def roles_to_ask_for(care_teams: Iterable[CareTeam], episodes: Iterable[EpisodeOfCare], pool: Pool) -> tuple[str, ...]:
    """Return the ids of practitioner roles that did not come along, or came without the person who holds them.

    `_include=CareTeam:participant` brings the role; a server need not follow it to the practitioner.
    """
    referred = [(member.member, team.contained) for team in care_teams for member in team.participant]
    referred += [(episode.care_manager, episode.contained) for episode in episodes]
    missing = set()
    for reference, contained in referred:
        kind, _, logical_id = (pool.key(reference) or "").partition("/")
        if reference is None or kind != "PractitionerRole":
            continue
        role = pool.find(reference, PractitionerRole)
        holder = pool.find(role.practitioner, FHIRPractitioner, [*role.contained, *contained]) if role else None
        if role is None or (holder is None and role.active is not False):
            missing.add(logical_id)
    return tuple(sorted(missing))


def registration(identifiers: Iterable[Identifier]) -> Registration | None:
    """Return the registration that says most: a nursing or medical council's, else the smartcard's number."""
    numbers = {identifier.system: identifier.value for identifier in identifiers if identifier.value}
    return next((Registration(body, numbers[system]) for system, body in REGISTERS.items() if system in numbers), None)


def contact_of(telecoms: Iterable[Telecom]) -> tuple[str | None, str | None, str | None]:
    """Return telephone, e-mail and the telephone out of hours: those for work first, never those of somebody's home.

    FHIR has no word for out of hours; the extension is this project's own.
    """
    usable = [telecom for telecom in telecoms if telecom.use not in _NOT_FOR_WORK]
    ranked = sorted(usable, key=lambda telecom: (_USES.get(telecom.use or "", 2), telecom.rank or _UNRANKED))

    def first(system: str, *, out_of_hours: bool) -> str | None:
        return next(
            (
                telecom.value
                for telecom in ranked
                if telecom.system == system and telecom.value and _out_of_hours(telecom) is out_of_hours
            ),
            None,
        )

    return first("phone", out_of_hours=False), first("email", out_of_hours=False), first("phone", out_of_hours=True)


def _out_of_hours(telecom: Telecom) -> bool:
    return any(extension.url == OUT_OF_HOURS and extension.value_boolean for extension in telecom.extension)


def words(concepts: Iterable[CodeableConcept]) -> str | None:
    """Return the first words that a person can read: never a bare code."""
    for concept in concepts:
        for text in (concept.text, *(coding.display for coding in concept.coding)):
            if text:
                return text
    return None


def _name(names: Iterable[HumanName]) -> str | None:
    ranked = sorted(names, key=lambda name: (name.use in ("old", "maiden"), name.use not in ("usual", "official")))
    for name in ranked:
        spelled = " ".join([*name.given, *([name.family] if name.family else [])]) or name.text
        if spelled:
            return spelled
    return None
