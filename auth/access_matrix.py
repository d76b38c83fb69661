"""Who may see what, cell by cell: as rows of a table, and one cell explained, from the declarations that enforce it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from auth.access_words import hard_rule_words
from auth.paths import PRACTITIONER, SCOPES
from auth.sharing import AccessCell, Agreement, AgreementSet, Grant, Organisation, custodian_kind
from auth.standing import Standing, standing_of
from schema.vocabulary import AgencyKind, Assurance, Purpose, Relationship, Role

_NO_KINDS: Mapping[str, AgencyKind] = MappingProxyType({})

COLUMNS = (
    "custodian",
    "organisation_kind",
    "role",
    "purpose",
    "relationship",
    "assurance",
    "field",
    "scope",
    "organisations",
    "agreement",
)


def row_of(cell: AccessCell) -> tuple[str, ...]:
    """Return a cell as text, in the order of COLUMNS."""
    return (
        cell.custodian,
        cell.organisation_kind,
        cell.role,
        cell.purpose,
        cell.relationship,
        cell.assurance,
        cell.field,
        SCOPES[cell.field],
        " ".join(sorted(cell.organisations)) or "any",
        cell.agreement,
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of an explanation: a condition, whether it holds, and what it is about."""

    about: str
    holds: bool
    why: str


@dataclass(frozen=True, slots=True)
class Asked:
    """The decision to explain: one organisation, role and purpose at one custodian, and one path."""

    organisation: str
    role: Role
    purpose: Purpose
    relationship: Relationship
    assurance: Assurance
    custodian: str  # as agreements name it: a connector id, or kind:AGENCYKIND
    path: str
    appointed: bool = False
    override: bool = False

    @property
    def floor(self) -> Standing:
        """How the asker stands before anything is known of the child."""
        held = (self.appointed and Relationship.APPOINTED, self.override and Relationship.OVERRIDE)
        return standing_of(*(relationship for relationship in held if relationship))

    @property
    def standing(self) -> Standing:
        """How the asker stands to the child."""
        return self.floor | standing_of(self.relationship)


def explain(
    agreements: AgreementSet, asked: Asked, today: date, kinds: Mapping[str, AgencyKind] = _NO_KINDS
) -> tuple[bool, list[Verdict]]:
    """Return whether the path is open, and each condition's verdict in the order in which they are judged.

    `kinds` says of which kind each connector is: for a custodian that an agreement names by its id.
    """
    organisation = agreements.organisations.get(asked.organisation)
    basis = agreements.basis(asked.purpose, today)
    verdicts = [
        Verdict("organisation", organisation is not None, "listed among the parties" if organisation else "not listed"),
        Verdict("purpose", basis is not None, basis.gateway if basis else "no lawful basis that has commenced"),
    ]
    open_ = False
    for agreement in agreements.agreements:
        if agreement.custodian != asked.custodian:
            continue
        of_agreement = list(_of_agreement(agreement, organisation, today))
        verdicts += of_agreement
        for number, grant in enumerate(agreement.grants, start=1):
            if asked.path not in grant.opens:
                continue
            conditions = list(_of_grant(f"{agreement.id} grant {number}", grant, organisation, asked))
            conditions += _of_law(
                f"{agreement.id} grant {number}", agreements, agreement, grant, organisation, asked, kinds
            )
            verdicts += conditions
            all_hold = all(v.holds for v in (*of_agreement, *conditions))
            open_ = open_ or (all_hold and organisation is not None and basis is not None)
    return open_, verdicts


def _of_agreement(agreement: Agreement, organisation: Organisation | None, today: date) -> Iterator[Verdict]:
    live = agreement.in_force(today)
    yield Verdict(agreement.id, live, f"{'in force' if live else 'lapsed'}, review on {agreement.review_on}")
    if agreement.areas:
        covered = organisation is not None and agreement.covers_area(organisation)
        yield Verdict(agreement.id, covered, "covers the area" if covered else "does not cover the area")


def _of_law(
    name: str,
    agreements: AgreementSet,
    agreement: Agreement,
    grant: Grant,
    organisation: Organisation | None,
    asked: Asked,
    kinds: Mapping[str, AgencyKind],
) -> Iterator[Verdict]:
    if organisation is not None:
        custodian = custodian_kind(asked.custodian, kinds)
        broken = agreements.broken_rule(agreement, grant, custodian, organisation.kind, asked.purpose, asked.path)
        why = f"hard rule {broken}: {hard_rule_words(broken)}" if broken else "no hard rule stands against it"
        yield Verdict(name, broken is None, why)
        if asked.path == PRACTITIONER and organisation.kind in agreement.team_only:
            yield Verdict(name, False, f"names no practitioner to {organisation.kind} (team_only)")


def _of_grant(name: str, grant: Grant, organisation: Organisation | None, asked: Asked) -> Iterator[Verdict]:
    kind = organisation.kind if organisation else None
    named = not grant.organisations or asked.organisation in grant.organisations
    yield Verdict(name, kind in grant.kinds and named, f"for {', '.join(sorted(grant.kinds))}")
    yield Verdict(name, asked.role in grant.roles, f"role {asked.role}")
    yield Verdict(name, asked.purpose in grant.purposes, f"purpose {asked.purpose}")
    needs = grant.relationship
    yield Verdict(name, needs in asked.standing, f"relationship {needs} is needed")
    enough = grant.assurance is Assurance.STANDARD or asked.assurance is Assurance.STRONG
    yield Verdict(name, enough, f"sign-in {grant.assurance} is needed")
