"""Information-sharing agreements as data: who may open what, at which custodian, on what lawful basis.

A set is loaded once from a directory of TOML files and never changes; a reload makes another set with another version.
No policy language: grants are rows of a finite table that can be enumerated, printed and diffed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from auth.hard_rules import HardRule, broken_by
from schema.vocabulary import AgencyKind, Assurance, Purpose, Regime, Relationship, Role


@dataclass(frozen=True, slots=True)
class Organisation:
    """A party: an organisation whose people may ask. An organisation that is not listed opens nothing."""

    id: str
    name: str
    kind: AgencyKind
    area: str | None
    appoints: frozenset[Purpose] = frozenset()  # for which purposes it may register appointments to a child


@dataclass(frozen=True, slots=True)
class LawfulBasis:
    """The legal gateway behind a purpose, with the regime on each side. Not commenced: it opens nothing."""

    purpose: Purpose
    gateway: str
    regime: Regime
    recipient_regime: Regime
    commenced: date | None


@dataclass(frozen=True, slots=True)
class Grant:
    """What opens for whom. Every condition must hold."""

    kinds: frozenset[AgencyKind]
    organisations: frozenset[str]  # empty: every organisation of those kinds
    roles: frozenset[Role]
    purposes: frozenset[Purpose]
    relationship: Relationship
    assurance: Assurance
    opens: frozenset[str]
    silent: bool = False  # the source is asked not to tell the child's workers that somebody looked

    def admits(self, organisation: Organisation, role: Role, purpose: Purpose) -> bool:
        """Return whether this grant speaks of such an asker; relationship and assurance are judged apart."""
        return (
            organisation.kind in self.kinds
            and (not self.organisations or organisation.id in self.organisations)
            and role in self.roles
            and purpose in self.purposes
        )


@dataclass(frozen=True, slots=True)
class Agreement:
    """One agreement of one custodian, or of every custodian of a kind."""

    id: str
    title: str
    custodian: str  # a connector id, or kind:AGENCYKIND
    controller: str
    owner: str
    approver: str
    approved_on: date
    review_on: date
    areas: frozenset[str]  # empty: wherever the caller's organisation is
    impact_assessment: str | None  # where the data protection impact assessment is; some organisations need one
    grants: tuple[Grant, ...]

    def in_force(self, today: date) -> bool:
        """Return whether the review date has not passed; a lapsed agreement opens nothing."""
        return self.approved_on <= today <= self.review_on

    def covers_area(self, organisation: Organisation) -> bool:
        """Return whether the agreement covers the area of the caller's organisation, never the child's."""
        return not self.areas or organisation.area in self.areas


@dataclass(frozen=True, slots=True)
class Custodian:
    """A source as the access model sees it: who holds the fact, and which paths it can answer."""

    id: str
    kind: AgencyKind
    organisation: str
    holds: frozenset[str]
    about_adults: bool
    retention_days: int | None = None  # how long ended work may be told; None: as long as the source tells it


@dataclass(frozen=True)
class AgreementSet:
    """Every agreement in one version. `version` is a digest of the files, recorded with each decision."""

    version: str
    organisations: Mapping[str, Organisation]
    bases: Mapping[Purpose, LawfulBasis]
    agreements: tuple[Agreement, ...]

    def of(self, custodian: Custodian) -> tuple[Agreement, ...]:
        """Return the custodian's own agreements; only if it has none, those of its kind. An id beats its kind."""
        own = tuple(a for a in self.agreements if a.custodian == custodian.id)
        return own or tuple(a for a in self.agreements if a.custodian == f"kind:{custodian.kind}")

    def broken_rule(
        self, agreement: Agreement, grant: Grant, custodian: AgencyKind | None, kind: AgencyKind, purpose: Purpose
    ) -> HardRule | None:
        """Return the hard rule that a grant would break for an organisation of a kind and a purpose, or None."""
        basis = self.bases.get(purpose)
        return broken_by(
            purpose=purpose,
            regimes=(basis.regime, basis.recipient_regime) if basis else None,
            custodian=custodian,
            organisation=kind,
            relationship=grant.relationship,
            named=bool(grant.organisations),
            impact_assessment=agreement.impact_assessment,
        )

    def basis(self, purpose: Purpose, today: date) -> LawfulBasis | None:
        """Return the lawful basis of a purpose if it has commenced, else None."""
        found = self.bases.get(purpose)
        if found is None or found.commenced is None or found.commenced > today:
            return None
        return found


@dataclass(frozen=True, slots=True)
class AccessCell:
    """One open cell of the access matrix."""

    custodian: str
    organisation_kind: AgencyKind
    role: Role
    purpose: Purpose
    relationship: Relationship
    assurance: Assurance
    field: str
    organisations: frozenset[str]  # empty: every organisation of the kind
    agreement: str


def open_cells(agreements: AgreementSet, today: date) -> Iterable[AccessCell]:
    """Yield every open cell of every agreement in force, in a stable order; nothing that has not commenced."""
    for agreement in sorted(agreements.agreements, key=lambda a: (a.custodian, a.id)):
        if not agreement.in_force(today):
            continue
        named = agreement.custodian.removeprefix("kind:")
        custodian = AgencyKind(named) if named != agreement.custodian else None
        for grant in agreement.grants:
            for kind in sorted(grant.kinds):
                for role in sorted(grant.roles):
                    for purpose in sorted(p for p in grant.purposes if agreements.basis(p, today)):
                        if agreements.broken_rule(agreement, grant, custodian, kind, purpose):
                            continue
                        for field in sorted(grant.opens):
                            yield AccessCell(
                                agreement.custodian,
                                kind,
                                role,
                                purpose,
                                grant.relationship,
                                grant.assurance,
                                field,
                                grant.organisations,
                                agreement.id,
                            )
