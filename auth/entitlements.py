"""What one caller may be told by each custodian for one purpose: a pure function of caller, purpose and agreements.

token scopes  ∩  that custodian's grants(organisation kind, role, purpose, relationship, assurance)  =  what opens
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from auth.caller import Caller
from auth.paths import INVOLVEMENTS, LINKED_ADULT, SCOPES
from auth.sharing import COVERS, Agreement, AgreementSet, Custodian, Organisation
from schema.vocabulary import Assurance, Purpose, Relationship, SourceReason, WithheldCode

_ENOUGH = {
    Assurance.STANDARD: frozenset({Assurance.STANDARD}),
    Assurance.STRONG: frozenset({Assurance.STANDARD, Assurance.STRONG}),
}


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What one custodian opens, for each relationship the caller might turn out to have."""

    custodian: Custodian
    opens: Mapping[Relationship, frozenset[str]]
    at_strong: frozenset[str]  # would open, for some relationship, after a stronger sign-in
    at_strong_now: frozenset[str]  # of those, what would open before anything is known of the child
    lapsed: frozenset[str]  # would open if the agreement had not lapsed, or the power had commenced
    other_purposes: frozenset[str]  # opens for this role under some other purpose
    not_asked: SourceReason | None

    def at(self, relationship: Relationship) -> frozenset[str]:
        """Return the paths that are open for a relationship."""
        return self.opens[relationship]

    @property
    def ever(self) -> frozenset[str]:
        """The paths that some relationship of an ordinary lookup would open."""
        ordinary = (Relationship.NONE, Relationship.ORGANISATION, Relationship.PRACTITIONER, Relationship.APPOINTED)
        return frozenset().union(*(self.opens[r] for r in ordinary))


@dataclass(frozen=True)
class Entitlements:
    """One caller's entitlement at every custodian, in configured order. `version` is the agreement set's."""

    version: str
    organisation: Organisation | None
    by_custodian: Mapping[str, Entitlement]
    scopes: frozenset[str]
    floor: Relationship  # what the caller has before anything is known of the child: NONE, or OVERRIDE

    def withheld(self, path: str, only: Entitlement | None = None) -> tuple[WithheldCode, tuple[str, ...]] | None:
        """Return why a path is withheld from this caller, with the scopes it lacks; None if some custodian opens it.

        Computed from the caller alone, never from the child. `only` asks about one custodian instead of all.
        """
        scope = SCOPES[path]
        if scope not in self.scopes:
            return WithheldCode.MISSING_SCOPE, (scope.value,)
        asked = self.by_custodian.values() if only is None else (only,)
        held = [e for e in asked if path in e.custodian.holds]
        if any(path in e.ever or path in e.at(self.floor) for e in held):
            return None
        if any(path in e.at_strong for e in held):
            return WithheldCode.STEP_UP_REQUIRED, ()
        if any(path in e.lapsed for e in held):
            return WithheldCode.AGREEMENT_LAPSED, ()
        if any(path in e.other_purposes for e in held):
            return WithheldCode.PURPOSE_NOT_GRANTED, ()
        return WithheldCode.ROLE_NOT_GRANTED, ()

    def opens_default(self) -> bool:
        """Return whether any custodian opens the default answer before anything is known of the child."""
        return any(INVOLVEMENTS in e.at(self.floor) for e in self.by_custodian.values())

    def default_at_strong(self) -> bool:
        """Return whether some custodian would open the default answer after a stronger sign-in."""
        return any(INVOLVEMENTS in e.at_strong_now for e in self.by_custodian.values())


def entitle(
    agreements: AgreementSet,
    custodians: Iterable[Custodian],
    caller: Caller,
    purpose: Purpose,
    today: date,
    *,
    override: bool = False,
) -> Entitlements:
    """Return what each custodian opens for this caller and purpose on this day; raises nothing.

    `override` is break-glass: its own argument, set by the override rule alone.
    """
    floor = Relationship.OVERRIDE if override else Relationship.NONE
    organisation = agreements.organisations.get(caller.organisation)
    return Entitlements(
        version=agreements.version,
        organisation=organisation,
        by_custodian={
            c.id: _entitlement(agreements, c, organisation, caller, purpose, today, floor) for c in custodians
        },
        scopes=caller.scopes,
        floor=floor,
    )


def _entitlement(
    agreements: AgreementSet,
    custodian: Custodian,
    organisation: Organisation | None,
    caller: Caller,
    purpose: Purpose,
    today: date,
    floor: Relationship,
) -> Entitlement:
    opens: dict[Relationship, set[str]] = {relationship: set() for relationship in Relationship}
    at_strong: set[str] = set()
    at_strong_now: set[str] = set()
    lapsed: set[str] = set()
    others: set[str] = set()
    out_of_area = False
    scoped = frozenset(path for path, scope in SCOPES.items() if scope in caller.scopes) & custodian.holds
    commenced = agreements.basis(purpose, today) is not None
    if organisation is not None:
        for agreement in agreements.of(custodian):
            live = agreement.in_force(today)
            if not agreement.covers_area(organisation):
                out_of_area = out_of_area or (live and _speaks_of(agreement, organisation))
                continue
            for grant in agreement.grants:
                for role in caller.effective_roles:
                    paths = grant.opens & scoped
                    if agreements.broken_rule(agreement, grant, custodian.kind, organisation.kind, purpose):
                        continue
                    if not grant.admits(organisation, role, purpose):
                        if live and any(grant.admits(organisation, role, p) for p in grant.purposes):
                            others |= paths
                    elif not (live and commenced):
                        lapsed |= paths
                    elif grant.assurance not in _ENOUGH[caller.assurance]:
                        at_strong |= paths
                        at_strong_now |= paths if floor in COVERS[grant.relationship] else set()
                    else:
                        for relationship in COVERS[grant.relationship]:
                            opens[relationship] |= paths
    entitlement = Entitlement(
        custodian=custodian,
        opens={relationship: frozenset(paths) for relationship, paths in opens.items()},
        at_strong=frozenset(at_strong),
        at_strong_now=frozenset(at_strong_now),
        lapsed=frozenset(lapsed),
        other_purposes=frozenset(others),
        not_asked=None,
    )
    needed = LINKED_ADULT if custodian.about_adults else INVOLVEMENTS
    if needed in entitlement.at(floor):
        return entitlement
    reason = SourceReason.OUT_OF_AREA if out_of_area else SourceReason.NO_AGREEMENT
    return Entitlement(
        entitlement.custodian,
        dict.fromkeys(Relationship, frozenset()),
        entitlement.at_strong,
        entitlement.at_strong_now,
        entitlement.lapsed,
        entitlement.other_purposes,
        reason,
    )


def _speaks_of(agreement: Agreement, organisation: Organisation) -> bool:
    return any(
        organisation.kind in grant.kinds and (not grant.organisations or organisation.id in grant.organisations)
        for grant in agreement.grants
    )
