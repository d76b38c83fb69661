"""Channel 26, the rows: entries that are told, completed or changed by entries that are not."""

from __future__ import annotations

from typing import Any

from auth import disclosure
from auth.disclosure import agency_type
from gateway.federation import gathering
from tests.noninterference.mutants.mutant import Mutant
from tests.noninterference.mutants.tampering import wrapping


def _with_held_back(use: Any) -> Any:
    """After the door: change what it let through by rows that it held back."""

    def around(honest: Any) -> Any:
        def disclosed(facts: Any, entitlements: Any, standing: Any, viewer: Any, today: Any) -> Any:
            found = honest(facts, entitlements, standing, viewer, today)
            for fact in facts:
                entitlement = entitlements.by_custodian[fact.custodian.id]
                for row in fact.answer.involvements:
                    if disclosure.why_held_back(row, entitlement, standing, today) is not None:
                        use(fact, row, found.rows)
            return found

        return disclosed

    return wrapping(gathering, "disclose", around)


def _team_of_hidden(fact: Any, row: Any, shown: Any) -> None:
    for entry in shown:
        if row.team is not None and str(entry.agency.id) == fact.agency.id and entry.contact.out_of_hours is None:
            entry.contact.out_of_hours = row.team.out_of_hours


def _phone_of_hidden(fact: Any, row: Any, shown: Any) -> None:
    for entry in shown:
        if row.team is not None and str(entry.agency.id) == fact.agency.id:
            entry.contact.phone = row.team.phone


def _date_of_hidden(fact: Any, row: Any, shown: Any) -> None:
    for entry in shown:
        if entry.started_on is not None and row.started_on is not None and str(entry.agency.id) == fact.agency.id:
            entry.started_on = min(entry.started_on, row.started_on)


def _source_of_hidden(fact: Any, row: Any, shown: Any) -> None:
    for entry in shown:
        if all(str(agency.id) != fact.agency.id for agency in entry.sources):
            entry.sources = [*entry.sources, agency_type(fact.agency)]


def _lead_of_hidden(fact: Any, row: Any, shown: Any) -> None:
    for entry in shown:
        if row.lead and str(entry.agency.id) == fact.agency.id:
            entry.lead = not entry.lead


MUTANTS = (
    Mutant(
        "out-of-hours-of-hidden-team",
        26,
        "An entry is completed with a hidden row's out-of-hours number.",
        _with_held_back(_team_of_hidden),
    ),
    Mutant(
        "telephone-of-hidden-team",
        26,
        "An entry has the telephone of a hidden row's team.",
        _with_held_back(_phone_of_hidden),
    ),
    Mutant(
        "start-of-hidden-work",
        26,
        "An entry starts when the hidden work of its agency did.",
        _with_held_back(_date_of_hidden),
    ),
    Mutant(
        "hidden-source-of-an-entry",
        26,
        "An entry names a source that said so in a hidden row.",
        _with_held_back(_source_of_hidden),
    ),
    Mutant(
        "lead-of-hidden-work",
        26,
        "A hidden row that leads changes who is shown to lead.",
        _with_held_back(_lead_of_hidden),
    ),
)
