"""The plan of one lookup: operation x entitlement, before anything is executed or asked.

From it come what each source is asked for, which sections may be told, and what is withheld and why. It depends on the
operation, the caller and the agreements, never on the child, so it is cached.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

from auth.caller import Caller
from auth.entitlements import Entitlements, entitle
from auth.paths import INVOLVEMENT_PATHS, PREVIOUS
from auth.sharing import AgreementSet, Custodian
from auth.standing import NO_STANDING, Standing, standing_of
from connectors.base import FieldMask
from gateway.graphql.documents import Operation
from gateway.graphql.selection import Selection, select, selection_key
from gateway.remembered import Remembered
from schema.vocabulary import InvolvementStatus, Purpose, Relationship


@dataclass(frozen=True, slots=True)
class Withheld:
    """One entry of `extensions.disclosure.withheld`."""

    path: str
    code: str
    required_scopes: tuple[str, ...]

    def formatted(self) -> dict[str, Any]:
        """Return the entry as callers see it."""
        return {"path": self.path, "code": self.code, "requiredScopes": list(self.required_scopes)}


@dataclass(frozen=True)
class Plan:
    """What this caller's operation may ask of each custodian."""

    selection: Selection
    entitlements: Entitlements
    withheld: tuple[Withheld, ...]
    masks: Mapping[str, FieldMask]  # custodian id -> first wave; a custodian that is not asked is absent
    _grants: dict[Standing, Mapping[str, list[str]]] = field(default_factory=dict, repr=False, compare=False)

    def more(self, standing: Standing) -> Mapping[str, FieldMask]:
        """Return what opens beyond the first wave once the standing is known, for the custodians where any does."""
        known = self._more.get(standing)
        if known is not None:
            return known
        found = {}
        for custodian, first in self.masks.items():
            entitlement = self.entitlements.by_custodian[custodian]
            extra = _asked_for(self.selection, entitlement.at(standing)) - first.paths
            if extra:
                found[custodian] = FieldMask(extra)
        # a standing is a set of a few relationships, so these are few
        self._more[standing] = found
        return found

    @cached_property
    def _more(self) -> dict[Standing, Mapping[str, FieldMask]]:
        return {}

    @cached_property
    def extensions(self) -> dict[str, Any]:
        """What every answer says of what is withheld from the caller, whatever is found."""
        return {"disclosure": {"withheld": [each.formatted() for each in self.withheld]}}

    @cached_property
    def silent(self) -> frozenset[str]:
        """The custodians whose agreements ask for a silent read: who holds the record is not notified."""
        by_custodian = self.entitlements.by_custodian
        return frozenset(custodian for custodian in self.masks if by_custodian[custodian].silent)

    def grants(self, standing: Standing) -> Mapping[str, list[str]]:
        """Return which grants open something to a standing, at every custodian that is asked."""
        found = self._grants.get(standing)
        if found is None:
            by_custodian = self.entitlements.by_custodian
            found = self._grants[standing] = {name: by_custodian[name].grants_of(standing) for name in self.masks}
        return found

    @cached_property
    def further(self) -> Mapping[str, frozenset[str]]:
        """The most that a second wave could ask for beyond the first, whatever relationship is found."""
        most = self.entitlements.floor | standing_of(Relationship.PRACTITIONER)
        return {custodian: mask.paths for custodian, mask in self.more(most).items()}


class Planner:
    """Makes plans for one set of custodians; remembers the last so many."""

    def __init__(self, custodians: Sequence[Custodian], *, remembered: int = 1024) -> None:
        self._custodians = tuple(custodians)
        self._entitlements: Remembered[Hashable, Entitlements] = Remembered(remembered, counted_as="entitlements")
        self._plans: Remembered[Hashable, Plan] = Remembered(remembered, counted_as="plans")

    def entitlements(
        self, agreements: AgreementSet, caller: Caller, purpose: Purpose, today: date, floor: Standing = NO_STANDING
    ) -> Entitlements:
        """Return the caller's entitlements; the same object for the same circumstances."""
        key = _circumstances(agreements, caller, purpose, today, floor)
        found = self._entitlements.get(key)
        if found is None:
            found = entitle(agreements, self._custodians, caller, purpose, today, floor=floor)
            self._entitlements.keep(key, found)
        return found

    def plan(self, operation: Operation, variables: Mapping[str, Any], entitlements: Entitlements) -> Plan:
        """Return the plan; from memory if nothing that decides it differs: what is selected, and these entitlements."""
        selecting = selection_key(operation, variables)
        if selecting is None:
            return _plan(select(operation, variables), entitlements)
        # the entitlements of the same circumstances are one object, which its plan keeps: no other can have its id
        key = (selecting, id(entitlements))
        found = self._plans.get(key)
        if found is None:
            found = _plan(select(operation, variables), entitlements)
            self._plans.keep(key, found)
        return found


def _plan(selection: Selection, entitlements: Entitlements) -> Plan:
    asked = set(selection.section_paths)
    if InvolvementStatus.PREVIOUS in selection.statuses:
        asked.add(PREVIOUS)
    reasons = ((path, entitlements.withheld(path)) for path in sorted(asked))
    withheld = tuple(Withheld(f"child.{path}", why[0].value, why[1]) for path, why in reasons if why is not None)
    masks = {}
    for custodian, entitlement in entitlements.by_custodian.items():
        if entitlement.not_asked is None:
            masks[custodian] = FieldMask(_asked_for(selection, entitlement.at(entitlements.floor)))
    return Plan(selection, entitlements, withheld, masks)


def _asked_for(selection: Selection, opens: frozenset[str]) -> frozenset[str]:
    """What is both open and wanted. The default answer is always wanted: a lookup asks whether anybody is involved."""
    wanted = INVOLVEMENT_PATHS | selection.section_paths
    if InvolvementStatus.PREVIOUS not in selection.statuses:
        wanted = wanted - {PREVIOUS}
    return opens & wanted


def _circumstances(
    agreements: AgreementSet, caller: Caller, purpose: Purpose, today: date, floor: Standing
) -> tuple[Hashable, ...]:
    return (
        agreements.version,
        caller.organisation,
        caller.effective_roles,
        caller.scopes,
        caller.assurance,
        purpose,
        today,
        floor,
    )
