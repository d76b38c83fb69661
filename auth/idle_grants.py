"""Grants that can open nothing as things stand: a hard rule stands over them, or no purpose of theirs has commenced.

They are no faults: a purpose may commence later. But who wrote them should know that they open nothing today.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from itertools import product
from types import MappingProxyType

from auth.paths import PRACTITIONER
from auth.sharing import Agreement, AgreementSet, Grant, custodian_kind
from schema.vocabulary import AgencyKind

_NONE_KNOWN: Mapping[str, AgencyKind] = MappingProxyType({})


def idle_grants(agreements: AgreementSet, today: date, connectors: Mapping[str, AgencyKind] = _NONE_KNOWN) -> list[str]:
    """Return a line for each cause for which grants open nothing to anybody, with the grants.

    `connectors` says of which kind each connector is. A grant of any other is named only if it is idle at every kind.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for agreement in sorted(agreements.agreements, key=lambda a: a.id):
        for number, grant in enumerate(agreement.grants, start=1):
            why = _why_idle(agreements, agreement, grant, today, connectors)
            if why is not None:
                found[why].append(f"{agreement.id} {number}")
    return [f"these grants open nothing, {why}: {', '.join(grants)}" for why, grants in sorted(found.items())]


def _why_idle(
    agreements: AgreementSet, agreement: Agreement, grant: Grant, today: date, connectors: Mapping[str, AgencyKind]
) -> str | None:
    parties = (agreements.organisations.get(name) for name in grant.organisations)
    if grant.organisations and not any(party is not None and party.kind in grant.kinds for party in parties):
        return "for they name no party of their kinds"
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
        return f"for the hard rule {', '.join(found)}" if found else f"for team_only closes {PRACTITIONER}"
    if not any(agreements.basis(purpose, today) for _, _, purpose in reached):
        waiting = ", ".join(sorted({purpose.value for _, _, purpose in reached}))
        return f"for no purpose of theirs has commenced ({waiting})"
    return None
