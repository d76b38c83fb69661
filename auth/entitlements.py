"""What one caller may be told by each custodian for one purpose: a pure function of caller, purpose and agreements.

token scopes  ∩  that custodian's grants(organisation kind, role, purpose, relationship, assurance)  =  what opens
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property

from auth.caller import Caller
from auth.paths import INVOLVEMENTS, LINKED_ADULT, SCOPES
from auth.sharing import Agreement, AgreementSet, Custodian, Organisation
from auth.standing import NO_STANDING, Standing
from schema.vocabulary import Assurance, Purpose, Relationship, SourceReason, WithheldCode

_ENOUGH = {
    Assurance.STANDARD: frozenset({Assurance.STANDARD}),
    Assurance.STRONG: frozenset({Assurance.STANDARD, Assurance.STRONG}),
}


_ORDINARY: Standing = frozenset(Relationship) - {Relationship.OVERRIDE}


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What one custodian opens, by the relationship that each grant asks for."""

    custodian: Custodian
    opens: Mapping[Relationship, frozenset[str]]
    grants: Mapping[Relationship, frozenset[str]]  # which grants open them: AGREEMENT#NUMBER, as the file has them
    appointable: bool  # some grant waits for an appointment
    silent: bool  # every grant that opens the default answer asks for a silent read
    at_strong: frozenset[str]  # would open, for some relationship, after a stronger sign-in
    at_strong_now: frozenset[str]  # of those, what would open before anything is known of the child
    lapsed: frozenset[str]  # would open if the agreement had not lapsed, or the power had commenced
    other_purposes: frozenset[str]  # opens for this role under some other purpose
    not_asked: SourceReason | None
    _at: dict[Standing, frozenset[str]] = field(default_factory=dict, repr=False, compare=False)

    def at(self, standing: Standing) -> frozenset[str]:
        """Return the paths that are open for a standing: what the grants of all its relationships open together."""
        found = self._at.get(standing)
        if found is None:
            found = self._at[standing] = frozenset().union(*(self.opens[held] for held in standing))
        return found

    def grants_of(self, standing: Standing) -> list[str]:
        """Return which grants open something to a standing, each as AGREEMENT#NUMBER, sorted."""
        return sorted(frozenset().union(*(self.grants[held] for held in standing)))

    @property
    def ever(self) -> frozenset[str]:
        """The paths that some relationship of an ordinary lookup would open."""
        return self.at(_ORDINARY)


@dataclass(frozen=True)
class Entitlements:
    """One caller's entitlement at every custodian, in configured order. `version` is the agreement set's."""

    version: str
    organisation: Organisation | None
    by_custodian: Mapping[str, Entitlement]
    scopes: frozenset[str]
    floor: Standing  # how the caller stands before anything is known of the child: appointed, or by break-glass

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

    @cached_property
    def opens_default(self) -> bool:
        """Whether any custodian opens the default answer before anything is known of the child."""
        return any(INVOLVEMENTS in e.at(self.floor) for e in self.by_custodian.values())

    @cached_property
    def may_be_appointed(self) -> bool:
        """Whether some grant waits for an appointment, so that the register of appointments has to be read."""
        return any(e.appointable for e in self.by_custodian.values())

    def still_opens(self, earlier: Entitlements, standing: Standing) -> bool:
        """Return whether everything that was open to a standing earlier in a lookup is open still."""
        return all(
            before.at(standing) <= self.by_custodian[custodian].at(standing)
            for custodian, before in earlier.by_custodian.items()
        )

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
    floor: Standing = NO_STANDING,
) -> Entitlements:
    """Return what each custodian opens for this caller and purpose on this day; raises nothing.

    `floor` is how the caller stands before anything is known of the child: appointed, or by break-glass.
    """
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
    floor: Standing,
) -> Entitlement:
    opens: dict[Relationship, set[str]] = {relationship: set() for relationship in Relationship}
    grants: dict[Relationship, set[str]] = {relationship: set() for relationship in Relationship}
    appointable = False
    needed = LINKED_ADULT if custodian.about_adults else INVOLVEMENTS
    reads: list[bool] = []  # of every grant that opens the default answer now: whether it asks for silence
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
            for number, grant in enumerate(agreement.grants, start=1):
                if organisation.kind not in grant.kinds:
                    continue
                paths = agreements.opens(agreement, grant, custodian.kind, organisation.kind, purpose) & scoped
                for role in caller.effective_roles:
                    if not grant.admits(organisation, role, purpose):
                        for other in grant.purposes if live else ():
                            if grant.admits(organisation, role, other):
                                others |= scoped & agreements.opens(
                                    agreement, grant, custodian.kind, organisation.kind, other
                                )
                        continue
                    if not (live and commenced):
                        lapsed |= paths
                        continue
                    appointable = appointable or (grant.relationship is Relationship.APPOINTED and bool(paths))
                    if grant.assurance not in _ENOUGH[caller.assurance]:
                        at_strong |= paths
                        at_strong_now |= paths if grant.relationship in floor else set()
                    else:
                        opens[grant.relationship] |= paths
                        if paths:
                            grants[grant.relationship].add(f"{agreement.id}#{number}")
                        if needed in paths and grant.relationship in floor:
                            reads.append(grant.silent)
    entitlement = Entitlement(
        custodian=custodian,
        opens={relationship: frozenset(paths) for relationship, paths in opens.items()},
        grants={relationship: frozenset(names) for relationship, names in grants.items()},
        appointable=appointable,
        silent=bool(reads) and all(reads),
        at_strong=frozenset(at_strong),
        at_strong_now=frozenset(at_strong_now),
        lapsed=frozenset(lapsed),
        other_purposes=frozenset(others),
        not_asked=None,
    )
    if needed in entitlement.at(floor):
        return entitlement
    reason = SourceReason.OUT_OF_AREA if out_of_area else SourceReason.NO_AGREEMENT
    closed: dict[Relationship, frozenset[str]] = dict.fromkeys(Relationship, frozenset())
    return replace(entitlement, opens=closed, grants=closed, not_asked=reason, _at={})


def _speaks_of(agreement: Agreement, organisation: Organisation) -> bool:
    return any(
        organisation.kind in grant.kinds and (not grant.organisations or organisation.id in grant.organisations)
        for grant in agreement.grants
    )
