"""Reports that go to the person whom they are about: who looked at a child's record, and who was told of somebody.

Each exists in two copies. The one that leaves holds what may leave, and is in its form the same whether or not anything
was kept out. The approver's holds all of it, and says of each what keeps it out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from auth.sharing import AgreementSet
from gateway.audit.events_query import Event
from gateway.audit.index_tables import Flag
from gateway.audit.reports.decisions import Decisions
from gateway.audit.reports.exemptions import READING, Circumstances, Exemption, Look, kept_out
from gateway.audit.reports.report import Cell, Report, Table, moment
from schema.vocabulary import AgencyKind, Purpose

WORDS: Final[Mapping[Purpose, str]] = {
    Purpose.CP_S47: "a child protection enquiry",
    Purpose.CIN_S17: "help for a child in need",
    Purpose.SAFEGUARD_S16LA: "keeping a child safe",
    Purpose.COOP_S10: "working together for the well-being of a child",
    Purpose.S11_FUNCTION: "an organisation's own work to keep children safe",
    Purpose.CHILD_DEATH_REVIEW: "the review of a child's death",
    Purpose.MAPPA_S325: "public protection",
    Purpose.OMA_S14: "the management of offenders",
    Purpose.CDA_S115: "the prevention of crime",
    Purpose.SERIOUS_VIOLENCE_S16: "the prevention of serious violence",
    Purpose.UKVI_S55: "immigration",
    Purpose.HOMELESSNESS_S213B: "help with homelessness",
    Purpose.CAFCASS_S42: "a guardian's work for the court",
    Purpose.COURT_ORDER: "an order of a court",
    Purpose.PREVENT_CHANNEL: "Prevent",
    Purpose.VITAL_INTERESTS: "an emergency",
    Purpose.PUBLIC_TASK_REQUEST: "a task of a public body",
    Purpose.CONSENT: "consent",
    Purpose.SYSTEM_TEST: "a test of the system",
}
NOT_NAMED: Final = "not named"

NEITHER_CONFIRMED_NOR_DENIED: Final = (
    "The law lets some look-ups be kept out of a report like this one, for example where it could put somebody at "
    "risk. We do not say whether any were kept out of yours: this sentence stands in every report."
)
HOW_TO_COMPLAIN: Final = (
    "You can ask us to look at this again, and you can complain to the Information Commissioner or go to court."
)


@dataclass(frozen=True, slots=True)
class Order:
    """On whose behalf and on what authority a report is made, and who approved it."""

    requested_by: str
    approved_by: str
    authority: str
    since_ms: int | None
    until_ms: int | None


@dataclass(frozen=True, slots=True)
class Judged:
    """A look-up with what was decided of it."""

    event: Event
    look: Look
    exemption: Exemption | None
    names_person: bool
    gives_reason: bool
    note: str  # of the approver's decision


@dataclass(frozen=True, slots=True)
class Copies:
    """Both copies of a report, and what a READ record says of what was kept out."""

    leaving: Report
    approvers: Report
    told: Sequence[Judged] = field(repr=False)
    judged: Sequence[Judged] = field(repr=False)

    def withheld(self) -> dict[str, int]:
        """Return how many were kept out, by exemption."""
        return dict(sorted(Counter(j.exemption.value for j in self.judged if j.exemption is not None).items()))


def look_of(event: Event, agreements: AgreementSet) -> Look:
    """Return what decides over an event; a word that is not known becomes None."""
    row = event.row
    party = agreements.organisations.get(row["organisation"] or "")
    return Look(
        receipt=row["receipt"] or "",
        at_ms=row["at_ms"],
        subject=row["subject"] or "",
        organisation=party.name if party is not None else row["organisation"] or "",
        organisation_kind=party.kind if party is not None else None,
        purpose=Purpose(row["purpose"]) if row["purpose"] in Purpose.__members__ else None,
        flags=event.flags,
    )


def named_kinds(agreements: AgreementSet, kinds: Mapping[str, AgencyKind]) -> frozenset[AgencyKind]:
    """Return the kinds of organisation that keep their practitioners' names from nobody (no `team_only` anywhere).

    A kind of which no agreement speaks names nobody. `kinds` is that of each connector.
    """
    spoken: dict[AgencyKind, bool] = {}
    for agreement in agreements.agreements:
        named = agreement.custodian.removeprefix("kind:")
        kind = AgencyKind(named) if named != agreement.custodian else kinds.get(agreement.custodian)
        if kind is not None:
            spoken[kind] = spoken.get(kind, True) and not agreement.team_only
    return frozenset(kind for kind, names in spoken.items() if names)


def judge(
    events: Sequence[Event],
    agreements: AgreementSet,
    around: Mapping[str, Circumstances],
    decisions: Decisions,
    names: Collection[AgencyKind],
) -> list[Judged]:
    """Return every look-up with its exemption: by rule, and over it by the approver's decision."""
    found = []
    for event in events:
        look = look_of(event, agreements)
        exemption = kept_out(look, around[look.subject])
        release, withhold = decisions.released.get(look.receipt), decisions.withheld.get(look.receipt)
        if withhold is not None:
            exemption = exemption or Exemption.DECIDED
        found.append(
            Judged(
                event,
                look,
                None if release is not None else exemption,
                names_person=look.organisation_kind in names or (release is not None and release.person),
                gives_reason=release is not None and release.reason,
                note=release.why if release is not None else withhold.why if withhold is not None else "",
            )
        )
    return found


def of_a_child(judged: Sequence[Judged], order: Order, made_at: str) -> Copies:
    """Return who looked at a child's record and why."""
    title = "Who looked at this child's record, and why"
    told = [j for j in judged if j.exemption is None]
    leaving = Report(
        "subject",
        title,
        made_at,
        _leaving_facts(order),
        _leaving_notes("You asked who looked up who works with this child."),
        [
            Table(
                "Look-ups",
                ("When (UTC)", "Organisation", "Role", "Who", "Why", "Reason given", "What they were told", "Receipt"),
                [(*_who(j), j.look.receipt) for j in told],
                "There is no look-up that we can tell you of.",
            )
        ],
    )
    return Copies(leaving, _approvers("subject", title, judged, order, made_at), told, judged)


def of_a_practitioner(
    judged: Sequence[Judged], fields: Mapping[str, Sequence[str]], order: Order, made_at: str
) -> Copies:
    """Return who was told of a practitioner; `fields` are what was told of them, by receipt. No child is in it."""
    title = "Who was told that you work with a child"
    told = [j for j in judged if j.exemption is None]
    columns = ("When (UTC)", "Organisation", "Role", "Who", "Why", "What they were told of you", "Receipt")
    rows = [(*_who(j)[:5], ", ".join(fields.get(j.look.receipt, ())), j.look.receipt) for j in told]
    leaving = Report(
        "practitioner",
        title,
        made_at,
        _leaving_facts(order),
        _leaving_notes("You asked who was told of you. Which child it was about is not told."),
        [Table("Look-ups", columns, rows, "There is no look-up that we can tell you of.")],
    )
    return Copies(leaving, _approvers("practitioner", title, judged, order, made_at), told, judged)


def _leaving_facts(order: Order) -> list[tuple[str, Cell]]:
    return [("Reference", order.authority), ("From", moment(order.since_ms)), ("Until", moment(order.until_ms))]


def _leaving_notes(first: str) -> list[str]:
    return [first, NEITHER_CONFIRMED_NOR_DENIED, HOW_TO_COMPLAIN]


def _approvers(kind: str, title: str, judged: Sequence[Judged], order: Order, made_at: str) -> Report:
    kept = Counter(j.exemption for j in judged if j.exemption is not None)
    return Report(
        kind,
        f"{title}: for the approver",
        made_at,
        [
            *_leaving_facts(order),
            ("Requested by", order.requested_by),
            ("Approved by", order.approved_by),
            ("Look-ups", len(judged)),
            ("Kept out", kept.total()),
        ],
        [
            "NOT FOR THE PERSON CONCERNED. The copy that leaves says neither which look-ups are kept out nor how many.",
            "Exemptions are named as this project reads the law. A file of decisions releases or withholds each "
            "look-up by its receipt.",
        ],
        [
            Table(
                "Look-ups",
                (
                    "When (UTC)",
                    "Organisation",
                    "Role",
                    "Who",
                    "Why",
                    "Reason given",
                    "What they were told",
                    "Receipt",
                    "Kept out by",
                    "Decision",
                ),
                [
                    (*_who(j, everything=True), j.look.receipt, j.exemption and j.exemption.value, j.note)
                    for j in judged
                ],
            ),
            Table(
                "Exemptions",
                ("Exemption", "As this project reads it", "Kept out"),
                [(exemption.value, READING[exemption], kept[exemption]) for exemption in Exemption if kept[exemption]],
            ),
        ],
    )


def _who(judged: Judged, *, everything: bool = False) -> tuple[Cell, ...]:
    look, first = judged.look, judged.event.first or {}
    caller: Mapping[str, Any] = first.get("caller") or {}
    named = everything or judged.names_person
    return (
        moment(look.at_ms),
        look.organisation,
        ", ".join(role.replace("_", " ") for role in (judged.event.row["role"] or "").split()),
        (caller.get("name") or NOT_NAMED) if named else NOT_NAMED,
        WORDS[look.purpose] if look.purpose is not None else "",
        first.get("reason") if everything or judged.gives_reason else None,
        _told(judged.event, everything),
    )


def _told(event: Event, everything: bool) -> str:
    """Return what was told; in the copy that leaves no field is named: that there is a police record is one."""
    if Flag.DENIED in event.flags:
        return "refused: nothing"
    if Flag.OPEN in event.flags:
        return "not known: taken as told"
    if Flag.NOTHING in event.flags:
        return "nothing"
    disclosed = (event.closing or {}).get("disclosed") or {}
    entries = disclosed.get("entries") or ()
    if not everything:
        return f"how to reach {len(entries)} who work with the child" if entries else "something of the child's record"
    fields = {path for entry in entries for path in entry["fields"]}
    return ", ".join(sorted(fields | set(disclosed.get("sections") or ())))
