"""The page "who sees what" as headings, sentences and tables, whatever it is printed as."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from auth.access_page import AtCustodian, Line, Page
from auth.access_words import (
    ASSURANCE_WORDS,
    NEVER_OPENED,
    PURPOSE_MARKS,
    RELATIONSHIP_WORDS,
    custodian_words,
    field_words,
    hard_rule_words,
    kind_words,
    role_words,
)
from auth.hard_rules import HardRule
from auth.paths import SCOPES
from schema.vocabulary import AgencyKind, Relationship, Role

TITLE = "Who sees what"
COMMAND = "contactpoint access matrix"


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading below the title."""

    text: str


@dataclass(frozen=True, slots=True)
class Sentences:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Points:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column names its rows. An empty first cell belongs to the row above."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Block = Heading | Sentences | Points | Table


def sheet_of(page: Page) -> Iterator[Block]:
    """Yield the page, top to bottom."""
    yield Sentences(
        f"{page.cells} open cells, agreements {page.version}{_holds(page)}. What is not on this page is closed. "
        "Each line also needs the scope of its field in the token, and a lookup that the asker gives a reason for."
    )
    yield Heading("At a glance")
    yield _glance(page)
    for part in page.custodians:
        yield Heading(f"{custodian_words(part.custodian)}: what it tells")
        yield _rights(part)
    yield Heading("What no agreement can open")
    yield Points((*(hard_rule_words(rule) for rule in HardRule), *NEVER_OPENED))
    yield Heading("Words for fields")
    opened = {
        field for part in page.custodians for group in part.askers for line in group.lines for field in line.fields
    }
    yield Table(
        "The fields of this page, as agreements and tokens name them",
        ("Sees", "Path in agreements", "Scope in tokens"),
        tuple((field_words(path), path, scope.value) for path, scope in SCOPES.items() if path in opened),
    )
    yield Heading("Purposes")
    yield Table(
        "The purposes, their lawful basis and its commencement",
        ("Mark", "Purpose", "Lawful basis", "Commenced"),
        tuple(
            (
                PURPOSE_MARKS[purpose],
                purpose.value,
                basis.gateway,
                basis.commenced.isoformat() if basis.commenced and commenced else "NO: opens nothing",
            )
            for purpose, basis, commenced in page.bases
            if basis
        ),
    )
    without = ", ".join(purpose.value for purpose, basis, _ in page.bases if basis is None)
    if without:
        yield Sentences(f"No lawful basis in this set, so nothing opens: {without}.")
    yield Heading("Agreements")
    yield Table(
        "The agreements, who answers for them and when they are reviewed",
        (
            "Agreement",
            "Whose records",
            "In force",
            "Approved",
            "Review",
            "Controller",
            "Owner",
            "Approver",
            "Areas",
            "Names nobody to",
        ),
        tuple(
            (
                agreement.id,
                custodian_words(agreement.custodian),
                "yes" if live else "NO: opens nothing",
                agreement.approved_on.isoformat(),
                agreement.review_on.isoformat(),
                agreement.controller,
                agreement.owner,
                agreement.approver,
                ", ".join(sorted(agreement.areas)) or "any",
                ", ".join(kind_words(kind) for kind in sorted(agreement.team_only)) or "-",
            )
            for agreement, live in page.agreements
        ),
    )


def _holds(page: Page) -> str:
    if page.holds_from is None:
        return ""
    until = f" until {page.holds_until.isoformat()}" if page.holds_until else ""
    return f"; they stand like this from {page.holds_from.isoformat()}{until}"


def _glance(page: Page) -> Table:
    """The deepest of what opens: `team` that it is involved, `name` who the practitioner is, `+` deeper records."""
    askers = sorted({(group.kind, role) for part in page.custodians for group in part.askers for role in group.roles})
    opened: dict[tuple[str, ...], list[str]] = {}
    for kind, role in askers:
        cells = tuple(_deepest(part, kind, role) for part in page.custodians)
        opened.setdefault((kind_words(kind), *cells), []).append(role_words(role))
    return Table(
        "For each asker, what each custodian tells at most: team = that it is involved; name = who the practitioner "
        "is; + = deeper records too; - = nothing",
        ("Who asks", *(custodian_words(part.custodian) for part in page.custodians)),
        tuple((f"{kind}: {', '.join(roles)}", *cells) for (kind, *cells), roles in opened.items()),
    )


def _deepest(part: AtCustodian, kind: str, role: str) -> str:
    fields = {
        field
        for group in part.askers
        if group.kind == kind and role in group.roles
        for line in group.lines
        for field in line.fields
    }
    if not fields:
        return "-"
    who = "name" if "involvements.practitioner" in fields else "team"
    return f"{who} +" if any(not field.startswith("involvements") for field in fields) else who


def _rights(part: AtCustodian) -> Table:
    alike: dict[tuple[Line, ...], dict[tuple[Role, ...], list[AgencyKind]]] = {}
    for group in part.askers:
        alike.setdefault(group.lines, {}).setdefault(group.roles, []).append(group.kind)
    rows = []
    for lines, askers in alike.items():
        who = "; ".join(
            f"{', '.join(map(kind_words, kinds))}: {', '.join(map(role_words, roles))}"
            for roles, kinds in askers.items()
        )
        for line in lines:
            rows.append(
                (
                    who,
                    ", ".join(PURPOSE_MARKS[purpose] for purpose in line.purposes),
                    needs_words(line),
                    "; ".join(field_words(field) for field in line.fields),
                )
            )
            who = ""
    return Table(
        f"{custodian_words(part.custodian)}, under: {', '.join(part.agreements)}",
        ("Who asks", "For", "Needs", "Sees"),
        tuple(rows),
    )


def needs_words(line: Line) -> str:
    """Return what a line asks of sign-in, relationship and organisation."""
    conditions = [ASSURANCE_WORDS[line.assurance]]
    if line.relationship is not Relationship.NONE:
        conditions.append(RELATIONSHIP_WORDS[line.relationship])
    if line.organisations:
        conditions.append(f"only {', '.join(line.organisations)}")
    return "; ".join(conditions)
