"""What those who answer for the access model may ask of it, and are told: configuration, and nothing of any child."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

import strawberry

from schema import types as _types  # noqa: F401 - makes the enums of the schema, before fields here name them
from schema import vocabulary
from schema.declaring import Disclosure, shown
from schema.vocabulary import AgencyKind, Assurance, Purpose, Relationship

_ACCESS = Disclosure.ACCESS

strawberry.enum(vocabulary.Regime, description="A data-protection regime.")


@strawberry.enum(description="What the explained custodian holds of an imagined child; nobody is looked up.")
class ChildState(StrEnum):
    """What is held of an imagined child, for an explanation."""

    ORDINARY = "ORDINARY"
    SHIELDED = "SHIELDED"
    SHIELDED_BY_OWN_AUTHORITY = "SHIELDED_BY_OWN_AUTHORITY"
    SENSITIVE = "SENSITIVE"
    SENSITIVE_WITH_CONSENT = "SENSITIVE_WITH_CONSENT"
    SENSITIVE_CONSENT_ENDED = "SENSITIVE_CONSENT_ENDED"
    SIGNIFICANT_HARM = "SIGNIFICANT_HARM"
    UNKNOWN_SENSITIVITY = "UNKNOWN_SENSITIVITY"
    LINKED_ADULT = "LINKED_ADULT"
    PREVIOUS = "PREVIOUS"
    REFUSED = "REFUSED"
    UNBORN = "UNBORN"
    UNCORROBORATED = "UNCORROBORATED"
    UNKNOWN = "UNKNOWN"


@strawberry.type(description="The legal gateway behind a purpose.")
class LawfulBasisSummary:
    purpose: Purpose = shown(_ACCESS)
    gateway: str = shown(_ACCESS)
    regime: vocabulary.Regime = shown(_ACCESS, "On the custodian's side, unless it is a competent authority.")
    recipient_regime: vocabulary.Regime = shown(_ACCESS, "On the recipient's side, likewise.")
    commenced: date | None = shown(_ACCESS, "Null: not commenced, so nothing opens.")


@strawberry.type(description="One sharing agreement, and who answers for it.")
class AgreementSummary:
    id: strawberry.ID = shown(_ACCESS)
    title: str = shown(_ACCESS)
    custodian: str = shown(_ACCESS, "A connector's id, or kind:AGENCYKIND.")
    controller: str = shown(_ACCESS)
    owner: str = shown(_ACCESS)
    approver: str = shown(_ACCESS)
    lawful_bases: list[LawfulBasisSummary] = shown(_ACCESS, "Of the purposes that its grants name.")
    approved_on: date = shown(_ACCESS)
    review_on: date = shown(_ACCESS)
    in_force: bool = shown(_ACCESS)
    areas: list[str] = shown(_ACCESS, "Empty: wherever the caller's organisation is.")


@strawberry.type(description="One open cell of the access matrix. What is in no cell is closed.")
class AccessCell:
    custodian: str = shown(_ACCESS, "A connector's id, or kind:AGENCYKIND.")
    organisation_kind: AgencyKind = shown(_ACCESS)
    role: str = shown(_ACCESS)
    purpose: Purpose = shown(_ACCESS)
    relationship: Relationship = shown(_ACCESS, "The least that is needed.")
    assurance: Assurance = shown(_ACCESS, "The least that is needed.")
    field: str = shown(_ACCESS, "The path inside a lookup, for example police.events.")
    scope: str = shown(_ACCESS, "What the token needs besides.")
    organisations: list[str] = shown(_ACCESS, "Empty: every organisation of the kind.")
    agreement: strawberry.ID = shown(_ACCESS)


@strawberry.type(description="A cell and its place.")
class AccessCellEdge:
    cursor: str = shown(_ACCESS)
    node: AccessCell = shown(_ACCESS)


@strawberry.type(description="Where a page of cells ends.")
class AccessPageInfo:
    has_next_page: bool = shown(_ACCESS)
    end_cursor: str | None = shown(_ACCESS)


@strawberry.type(description="A page of cells.")
class AccessCellConnection:
    edges: list[AccessCellEdge] = shown(_ACCESS)
    page_info: AccessPageInfo = shown(_ACCESS)
    total_count: int = shown(_ACCESS)
    version: str = shown(_ACCESS, "Of the agreements; a cursor of another version is refused.")


@strawberry.input(description="Only cells that agree with every member that is given.")
class AccessFilter:
    custodian: str | None = strawberry.UNSET
    organisation_kind: AgencyKind | None = strawberry.UNSET
    role: str | None = strawberry.UNSET
    purpose: Purpose | None = strawberry.UNSET
    field: str | None = strawberry.UNSET


@strawberry.input(description="One asker, one custodian, one field and one imagined child.")
class ExplainAccess:
    organisation: strawberry.ID
    role: str
    purpose: Purpose
    custodian: str
    field: str
    relationship: Relationship = Relationship.NONE
    assurance: Assurance = Assurance.STRONG
    child: ChildState = ChildState.ORDINARY
    appointed: bool = False
    override: bool = False


@strawberry.type(description="One condition, and whether it holds.")
class AccessVerdict:
    about: str = shown(_ACCESS)
    holds: bool = shown(_ACCESS)
    why: str = shown(_ACCESS)


@strawberry.type(description="Why a field is told, or not: every condition in the order in which it is judged.")
class AccessExplanation:
    open: bool = shown(_ACCESS, "Whether a grant opens the field to the asker.")
    told: bool = shown(_ACCESS, "Whether it would be told of the imagined child.")
    scope: str = shown(_ACCESS)
    verdicts: list[AccessVerdict] = shown(_ACCESS)
