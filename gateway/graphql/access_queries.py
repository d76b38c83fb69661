"""The access model over GraphQL, for those who answer for it (`access:read`).

They read the configuration and nothing of any child, so no record is made of what they read; a refusal is recorded
like every other. Raises BadUserInput in fixed sentences, and Forbidden is raised before anything here is called.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import time
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import strawberry

from auth.access_matrix import Asked, row_of
from auth.paths import SCOPES
from auth.sharing import Agreement, AgreementSet, open_cells
from gateway.errors import BadUserInput
from gateway.explaining import explain_child
from gateway.remembered import Remembered
from schema import access_types as told
from schema.declaring import Disclosure, shown
from schema.vocabulary import AgencyKind, Assurance, Purpose, Relationship, Role, Scope

_MOST = 50
_BINDING_CHARACTERS = 16
_SETS = 2  # the set in force, and the one before it

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AccessModel:
    """What the fields below read: the agreements that count, the legal day, and of which kind each connector is."""

    agreements: Callable[[], AgreementSet]
    today: Callable[[], date]
    kinds: Mapping[str, AgencyKind]
    _rows: Remembered[tuple[str, date], tuple[Row, ...]] = field(default_factory=lambda: Remembered(_SETS))

    def rows(self, agreements: AgreementSet) -> tuple[Row, ...]:
        """Return every open cell of today in the order of its columns; worked out once for a version and day.

        Aliases and pages ask for the same again, and the cells of a large set take long to find.
        """
        at = (agreements.version, self.today())
        if (rows := self._rows.get(at)) is None:
            rows = tuple(sorted({row_of(cell) for cell in open_cells(agreements, at[1], self.kinds)}))
            self._rows.keep(at, rows)
        return rows


def agreement_summaries(model: AccessModel) -> list[told.AgreementSummary]:
    """Return every agreement of the set, by custodian and id."""
    agreements, today = model.agreements(), model.today()
    listed = sorted(agreements.agreements, key=lambda a: (a.custodian, a.id))
    return [_summary(agreements, agreement, today) for agreement in listed]


def access_page(
    model: AccessModel, wanted: told.AccessFilter | None, first: int | None, after: str | None
) -> told.AccessCellConnection:
    """Return so many cells after a cursor, in the order of their columns. Raises BadUserInput."""
    count = _MOST if first is None else first
    if not 1 <= count <= _MOST:
        raise BadUserInput("`first` must be from 1 to 50.")
    agreements = model.agreements()
    filters = _filters(wanted)
    rows = [row for row in model.rows(agreements) if all(row[place] == word for place, word in filters.items())]
    binding = _binding(agreements.version, filters)
    start = bisect_right(rows, _position(after, binding)) if after is not None else 0
    page = rows[start : start + count]
    edges = [told.AccessCellEdge(cursor=_cursor(row, binding), node=_cell(row)) for row in page]
    return told.AccessCellConnection(
        edges=edges,
        page_info=told.AccessPageInfo(
            has_next_page=start + count < len(rows), end_cursor=edges[-1].cursor if edges else None
        ),
        total_count=len(rows),
        version=agreements.version,
    )


def access_explanation(model: AccessModel, asked: told.ExplainAccess) -> told.AccessExplanation:
    """Return why a field would be told of an imagined child, or not. Raises BadUserInput."""
    agreements = model.agreements()
    if asked.role not in set(Role):
        raise BadUserInput("`role` is not a role.")
    if asked.field not in SCOPES:
        raise BadUserInput("`field` is not a path that agreements can open.")
    custodians = {f"kind:{kind}" for kind in AgencyKind} | {*model.kinds} | {a.custodian for a in agreements.agreements}
    if asked.custodian not in custodians:
        raise BadUserInput("`custodian` is neither a connector nor `kind:` and a kind of agency.")
    own = any(agreement.custodian == asked.custodian for agreement in agreements.agreements)
    custodian = asked.custodian if own or asked.custodian not in model.kinds else f"kind:{model.kinds[asked.custodian]}"
    explained = explain_child(
        agreements,
        Asked(
            organisation=asked.organisation,
            role=Role(asked.role),
            purpose=asked.purpose,
            relationship=asked.relationship,
            assurance=asked.assurance,
            custodian=custodian,
            path=asked.field,
            appointed=asked.appointed,
            override=asked.override,
        ),
        asked.child,
        model.today(),
        now=time.time(),
        kinds=model.kinds,
    )
    return told.AccessExplanation(
        open=explained.open,
        told=explained.told,
        scope=SCOPES[asked.field],
        verdicts=[told.AccessVerdict(about=v.about, holds=v.holds, why=v.why) for v in explained.verdicts],
    )


def _summary(agreements: AgreementSet, agreement: Agreement, today: date) -> told.AgreementSummary:
    purposes = {purpose for grant in agreement.grants for purpose in grant.purposes}
    bases = [agreements.bases[purpose] for purpose in Purpose if purpose in purposes and purpose in agreements.bases]
    return told.AgreementSummary(
        id=strawberry.ID(agreement.id),
        title=agreement.title,
        custodian=agreement.custodian,
        controller=agreement.controller,
        owner=agreement.owner,
        approver=agreement.approver,
        lawful_bases=[
            told.LawfulBasisSummary(
                purpose=basis.purpose,
                gateway=basis.gateway,
                regime=basis.regime,
                recipient_regime=basis.recipient_regime,
                commenced=basis.commenced,
            )
            for basis in bases
        ],
        approved_on=agreement.approved_on,
        review_on=agreement.review_on,
        in_force=agreement.in_force(today),
        areas=sorted(agreement.areas),
    )


def _cell(row: Row) -> told.AccessCell:
    custodian, kind, role, purpose, relationship, assurance, field, scope, organisations, agreement = row
    return told.AccessCell(
        custodian=custodian,
        organisation_kind=AgencyKind(kind),
        role=role,
        purpose=Purpose(purpose),
        relationship=Relationship(relationship),
        assurance=Assurance(assurance),
        field=field,
        scope=scope,
        organisations=[] if organisations == "any" else organisations.split(),
        agreement=strawberry.ID(agreement),
    )


def _filters(wanted: told.AccessFilter | None) -> Mapping[int, str]:
    """Return the words wanted, by the place of their column."""
    if wanted is None:
        return {}
    columns = (wanted.custodian, wanted.organisation_kind, wanted.role, wanted.purpose, None, None, wanted.field)
    return {place: str(word) for place, word in enumerate(columns) if isinstance(word, str)}


def _binding(version: str, filters: Mapping[int, str]) -> str:
    """Return what a cursor must share with the list: the version of the agreements, and the filter."""
    text = json.dumps([version, sorted(filters.items())])
    return hashlib.sha256(text.encode()).hexdigest()[:_BINDING_CHARACTERS]


def _cursor(row: Row, binding: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([binding, *row]).encode()).decode("ascii")


def _position(cursor: str, binding: str) -> Row:
    try:
        read: Sequence[object] = json.loads(base64.b64decode(cursor.encode("ascii"), b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        read = ()
    if not isinstance(read, list) or not all(isinstance(part, str) for part in read) or read[:1] != [binding]:
        raise BadUserInput("`after` is not a cursor of this list: the agreements or the filter are others.")
    return tuple(str(part) for part in read[1:])


def _agreements(info: strawberry.Info) -> list[told.AgreementSummary]:
    return agreement_summaries(info.context.access_model)


def _matrix(
    info: strawberry.Info,
    filter: told.AccessFilter | None = None,
    first: int | None = _MOST,
    after: str | None = None,
) -> told.AccessCellConnection:
    return access_page(info.context.access_model, filter, first, after)


def _explained(info: strawberry.Info, asked: told.ExplainAccess) -> told.AccessExplanation:
    return access_explanation(info.context.access_model, asked)


@strawberry.type
class AccessQueries:
    """The access model: configuration alone, so that reading it leaves no record."""

    agreements: list[told.AgreementSummary] = shown(
        Disclosure.ACCESS,
        "Every sharing agreement, lapsed ones too, and who answers for it.",
        scope=Scope.ACCESS,
        resolver=_agreements,
    )
    access_matrix: told.AccessCellConnection = shown(
        Disclosure.ACCESS,
        "Every open cell: who may see which field at which custodian, for which purpose. `first` is 1 to 50.",
        scope=Scope.ACCESS,
        resolver=_matrix,
    )
    explain_access: told.AccessExplanation = shown(
        Disclosure.ACCESS,
        "Why a field would be told of an imagined child, or not. Nobody is looked up.",
        scope=Scope.ACCESS,
        resolver=_explained,
    )
