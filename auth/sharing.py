"""Information-sharing agreements as data: who may open what, at which custodian, on what lawful basis.

A set is loaded once from a directory of TOML files and never changes; a reload makes another set with another version.
No policy language: grants are rows of a finite table that can be enumerated, printed and diffed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final

from auth.hard_rules import HardRule, broken_by
from auth.paths import PRACTITIONER
from auth.purposes import regime_of
from schema.vocabulary import AgencyKind, Assurance, Purpose, Regime, Relationship, Role

EVERY_ORGANISATION: Final = "*"


@dataclass(frozen=True, slots=True)
class Organisation:
    """A party: an organisation whose people may ask. An organisation that is not listed opens nothing."""

    id: str
    name: str
    kind: AgencyKind
    area: str | None
    appoints: frozenset[Purpose] = frozenset()  # for which purposes it may register appointments to a child
    audits: frozenset[str] = frozenset()  # whose events its auditors may read beside its own; EVERY_ORGANISATION: all


@dataclass(frozen=True, slots=True)
class LawfulBasis:
    """The legal gateway behind a purpose. Not commenced: it opens nothing.

    `regime` and `recipient_regime` hold for a side that is no competent authority; see `AgreementSet.regimes`.
    """

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
    team_only: frozenset[AgencyKind] = frozenset()  # to whom it names no practitioner, whatever a grant of it opens

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

    def opens(
        self, agreement: Agreement, grant: Grant, custodian: AgencyKind | None, kind: AgencyKind, purpose: Purpose
    ) -> frozenset[str]:
        """Return what a grant opens to organisations of a kind for a purpose, once the law and the agreement allow it.

        Whether the grant speaks of them, and whether it is in force, is judged apart.
        """
        if self.broken_rule(agreement, grant, custodian, kind, purpose):
            return frozenset()
        capped = {PRACTITIONER} if kind in agreement.team_only else set()
        return frozenset(
            path
            for path in grant.opens - capped
            if self.broken_rule(agreement, grant, custodian, kind, purpose, path) is None
        )

    def broken_rule(
        self,
        agreement: Agreement,
        grant: Grant,
        custodian: AgencyKind | None,
        kind: AgencyKind,
        purpose: Purpose,
        path: str | None = None,
    ) -> HardRule | None:
        """Return the hard rule that a grant would break for an organisation of a kind and a purpose, or None.

        `custodian` is None where its kind is not known. Without `path` the rules about single paths are left out.
        """
        basis = self.bases.get(purpose)
        return broken_by(
            purpose=purpose,
            regimes=(basis.regime, basis.recipient_regime) if basis else None,
            custodian=custodian,
            organisation=kind,
            relationship=grant.relationship,
            named=bool(grant.organisations),
            impact_assessment=agreement.impact_assessment,
            path=path,
        )

    def regimes(self, purpose: Purpose, custodian: AgencyKind, organisation: AgencyKind) -> tuple[Regime, Regime]:
        """Return the regime on the custodian's and on the recipient's side of one disclosure."""
        basis = self.bases.get(purpose)
        said = (basis.regime, basis.recipient_regime) if basis else (Regime.UK_GDPR, Regime.UK_GDPR)
        law = (regime_of(purpose, custodian), regime_of(purpose, organisation))
        first, second = (
            Regime.DPA_PART_3 if Regime.DPA_PART_3 in side else Regime.UK_GDPR for side in zip(said, law, strict=True)
        )
        return first, second

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


def custodian_kind(custodian: str, connectors: Mapping[str, AgencyKind]) -> AgencyKind | None:
    """Return the kind of a custodian as an agreement names it; None for a connector that is not among these."""
    named = custodian.removeprefix("kind:")
    return AgencyKind(named) if named != custodian else connectors.get(custodian)


def open_cells(
    agreements: AgreementSet, today: date, connectors: Mapping[str, AgencyKind] = MappingProxyType({})
) -> Iterable[AccessCell]:
    """Yield every open cell of every agreement in force, in a stable order; nothing that has not commenced.

    `connectors` says of which kind each connector is. One that is not among them is taken for what the law closes most.
    """
    for agreement in sorted(agreements.agreements, key=lambda a: (a.custodian, a.id)):
        if not agreement.in_force(today):
            continue
        custodian = custodian_kind(agreement.custodian, connectors)
        for grant in agreement.grants:
            for kind in sorted(grant.kinds):
                for role in sorted(grant.roles):
                    for purpose in sorted(p for p in grant.purposes if agreements.basis(p, today)):
                        for field in sorted(agreements.opens(agreement, grant, custodian, kind, purpose)):
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
