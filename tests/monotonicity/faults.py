"""Seeded faults: small, plausible changes of the product after which somebody is told more for having less.

Each takes pytest's MonkeyPatch and makes its change; the trial must notice it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from auth import disclosure, entitlements
from auth.caller import Caller
from auth.disclosure import SourceFacts
from auth.entitlements import Entitlement, Entitlements
from auth.paths import SCOPES, SENSITIVE
from auth.sharing import Agreement, AgreementSet, Custodian
from auth.standing import Standing, strongest
from gateway import plan
from gateway.federation import gathering
from schema import types
from schema.records import Involvement
from schema.vocabulary import Assurance, HeldBack, Relationship, Scope, Sensitivity, SourceStatus

_IDENTITY = frozenset(path for path in SCOPES if path.startswith("identity."))


def only_the_strongest_relationship_counts(patch: pytest.MonkeyPatch) -> None:
    """Grants of one relationship alone open, so that an override hides what anybody would be told."""
    patch.setattr(Entitlement, "at", lambda self, standing: self.opens[strongest(standing)])


def a_strong_sign_in_is_another_class(patch: pytest.MonkeyPatch) -> None:
    """A strongly signed-in caller gets the grants for STRONG in place of those for STANDARD."""
    patch.setattr(entitlements, "_ENOUGH", {each: frozenset({each}) for each in Assurance})


def one_role_decides(patch: pytest.MonkeyPatch) -> None:
    """Of several roles the first in the alphabet is taken."""
    patch.setattr(Caller, "effective_roles", property(lambda self: frozenset(sorted(self.roles)[:1])))


def a_scope_restricts(patch: pytest.MonkeyPatch) -> None:
    """Who holds the scope for overrides is not given the section on identity outside one."""
    entitle = plan.entitle

    def entitled(*args: Any, floor: Standing, **rest: Any) -> Entitlements:
        found = entitle(*args, floor=floor, **rest)
        if Scope.OVERRIDE not in found.scopes or Relationship.OVERRIDE in floor:
            return found
        less = {
            name: replace(each, opens={r: opens - _IDENTITY for r, opens in each.opens.items()}, _at={})
            for name, each in found.by_custodian.items()
        }
        return replace(found, by_custodian=less)

    patch.setattr(plan, "entitle", entitled)


def without_the_scope_a_sensitive_row_is_an_ordinary_one(patch: pytest.MonkeyPatch) -> None:
    """Only who may hear of sensitive services is given them masked."""
    judged = disclosure.why_held_back

    def why(row: Involvement, entitlement: Entitlement, standing: Standing, today: date) -> HeldBack | None:
        if SENSITIVE not in entitlement.at(standing):
            row = replace(row, sensitivity=Sensitivity.STANDARD)
        return judged(row, entitlement, standing, today)

    patch.setattr(disclosure, "why_held_back", why)


def a_lapsed_agreement_gives_way_to_its_kinds(patch: pytest.MonkeyPatch) -> None:
    """A custodian whose own agreement has lapsed is judged by that of its kind."""

    def of(self: AgreementSet, custodian: Custodian) -> tuple[Agreement, ...]:
        own = tuple(a for a in self.agreements if a.custodian == custodian.id and a.in_force(date.today()))  # noqa: DTZ011
        return own or tuple(a for a in self.agreements if a.custodian == f"kind:{custodian.kind}")

    patch.setattr(AgreementSet, "of", of)


def a_shield_hides_from_those_who_work_with_the_child(patch: pytest.MonkeyPatch) -> None:
    """A shield is taken for one against the people named in the record."""

    def sees(caller: Caller, standing: Standing, shielding: Iterable[Custodian]) -> bool:
        return Relationship.PRACTITIONER not in standing

    patch.setattr(gathering, "sees_through", sees)


def one_source_alone_needs_no_proof(patch: pytest.MonkeyPatch) -> None:
    """Who asks a single source is believed to mean this child."""
    judged = gathering.corroborated

    def believed(facts: Sequence[SourceFacts], *rest: Any) -> bool:
        return len(facts) <= 2 or judged(facts, *rest)

    patch.setattr(gathering, "corroborated", believed)


def only_the_first_entries_are_shown(patch: pytest.MonkeyPatch) -> None:
    """A list that is cut at two shows the third to whom the first is closed."""
    merged = gathering.merge
    patch.setattr(gathering, "merge", lambda rows: merged(rows)[:2])


def the_last_grant_of_an_agreement_decides(patch: pytest.MonkeyPatch) -> None:
    """A later grant is read as taking the place of the earlier ones."""
    agreements = AgreementSet.of

    def of(self: AgreementSet, custodian: Custodian) -> tuple[Agreement, ...]:
        return tuple(replace(each, grants=each.grants[-1:]) for each in agreements(self, custodian))

    patch.setattr(AgreementSet, "of", of)


def who_may_not_ask_is_told_that_a_source_answered(patch: pytest.MonkeyPatch) -> None:
    """A source that was not asked is shown, to the weakly signed in, as one that answered."""
    told = gathering.Gathering._source_answer

    def answered(self: gathering.Gathering, source: Any) -> types.SourceAnswer:
        found = told(self, source)
        weak = self._caller.assurance is Assurance.STANDARD
        return replace(found, status=SourceStatus.ANSWERED, reason=None) if weak else found

    patch.setattr(gathering.Gathering, "_source_answer", answered)


def _named(*faults: Callable[[pytest.MonkeyPatch], None]) -> Mapping[str, Callable[[pytest.MonkeyPatch], None]]:
    return {fault.__name__.replace("_", " "): fault for fault in faults}


FAULTS = _named(
    only_the_strongest_relationship_counts,
    a_strong_sign_in_is_another_class,
    one_role_decides,
    a_scope_restricts,
    without_the_scope_a_sensitive_row_is_an_ordinary_one,
    a_lapsed_agreement_gives_way_to_its_kinds,
    a_shield_hides_from_those_who_work_with_the_child,
    one_source_alone_needs_no_proof,
    only_the_first_entries_are_shown,
    the_last_grant_of_an_agreement_decides,
    who_may_not_ask_is_told_that_a_source_answered,
)
