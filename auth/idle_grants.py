"""Grants that can open nothing as things stand: a hard rule stands over them, or no purpose of theirs has commenced.

They are no faults: a purpose may commence later. But who wrote them should know that they open nothing today.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import product
from types import MappingProxyType

from auth.paths import PRACTITIONER
from auth.sharing import Agreement, AgreementSet, Grant, custodian_kind
from schema.vocabulary import AgencyKind

_NONE_KNOWN: Mapping[str, AgencyKind] = MappingProxyType({})


class Idleness(StrEnum):
    """Why a grant opens nothing to anybody."""

    NO_PARTY = "NO_PARTY"
    """It names no party of its kinds."""
    HARD_RULE = "HARD_RULE"
    """Hard rules close all of it."""
    TEAM_ONLY = "TEAM_ONLY"
    """Its agreement names teams only, and it would name practitioners."""
    NOT_COMMENCED = "NOT_COMMENCED"
    """None of its purposes has commenced."""


@dataclass(frozen=True, slots=True)
class IdleGrants:
    """Grants that open nothing for one and the same reason."""

    idleness: Idleness
    why: str
    grants: tuple[str, ...]
    """The agreement of each, and its number there."""

    def __str__(self) -> str:
        return f"these grants open nothing, {self.why}: {', '.join(self.grants)}"


def idle_grants(
    agreements: AgreementSet, today: date, connectors: Mapping[str, AgencyKind] = _NONE_KNOWN
) -> list[IdleGrants]:
    """Return for each cause the grants that open nothing to anybody because of it.

    `connectors` says of which kind each connector is. A grant of any other is named only if it is idle at every kind.
    """
    found: dict[tuple[str, Idleness], list[str]] = defaultdict(list)
    for agreement in sorted(agreements.agreements, key=lambda a: a.id):
        for number, grant in enumerate(agreement.grants, start=1):
            why = _why_idle(agreements, agreement, grant, today, connectors)
            if why is not None:
                found[why].append(f"{agreement.id} {number}")
    return [IdleGrants(idleness, why, tuple(grants)) for (why, idleness), grants in sorted(found.items())]


def _why_idle(
    agreements: AgreementSet, agreement: Agreement, grant: Grant, today: date, connectors: Mapping[str, AgencyKind]
) -> tuple[str, Idleness] | None:
    parties = (agreements.organisations.get(name) for name in grant.organisations)
    if grant.organisations and not any(party is not None and party.kind in grant.kinds for party in parties):
        return "for they name no party of their kinds", Idleness.NO_PARTY
    kind = custodian_kind(agreement.custodian, connectors)
    custodians = [kind] if kind is not None else list(AgencyKind)
    reached = [
        (custodian, to, purpose)
        for custodian, to, purpose in product(custodians, sorted(grant.kinds), sorted(grant.purposes))
        if agreements.opens(agreement, grant, custodian, to, purpose)
    ]
    if not reached:
        rules = {
            agreements.broken_rule(agreement, grant, custodian, to, purpose, path)
            for custodian, to, purpose, path in product(custodians, grant.kinds, grant.purposes, grant.opens)
        }
        found = sorted(rule.value for rule in rules if rule is not None)
        if found:
            return f"for the hard rule {', '.join(found)}", Idleness.HARD_RULE
        return f"for team_only closes {PRACTITIONER}", Idleness.TEAM_ONLY
    if not any(agreements.basis(purpose, today) for _, _, purpose in reached):
        waiting = ", ".join(sorted({purpose.value for _, _, purpose in reached}))
        return f"for no purpose of theirs has commenced ({waiting})", Idleness.NOT_COMMENCED
    return None
