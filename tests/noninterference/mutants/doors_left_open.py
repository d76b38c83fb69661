"""Channel 26, the rows: what the door must judge of every entry, and does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from auth import disclosure
from auth.disclosure import agency_type
from gateway.federation import gathering
from schema import types
from schema.vocabulary import ContactMode, DisclosureBasis, HeldBack, Sensitivity
from tests.noninterference.mutants.errors_that_tell import ASKED_FOR_ALL
from tests.noninterference.mutants.mutant import Mutant
from tests.noninterference.mutants.tampering import together, wrapping


def _let_through(*codes: HeldBack, when: Any = lambda row: True) -> Any:
    """Let a row through that is held back for one of these reasons."""

    def around(honest: Any) -> Any:
        def why(row: Any, *given: Any) -> Any:
            found = honest(row, *given)
            return None if found in codes and when(row) else found

        return why

    return wrapping(disclosure, "why_held_back", around)


def _own_name(honest: Any) -> Any:
    def brokered(fact: Any, row: Any, opaque: Any) -> Any:
        shown = honest(fact, row, opaque)
        if shown is not None and row.service is not None:
            shown.service = types.Service(code=row.service.code, name=row.service.name)
        return shown

    return brokered


def _without_broker(honest: Any) -> Any:
    """With no broker, the entry appears under the source's own name."""

    def brokered(fact: Any, row: Any, opaque: Any) -> Any:
        return honest(fact if fact.broker else replace(fact, broker=fact.agency), row, opaque)

    return brokered


def _dated(honest: Any) -> Any:
    def brokered(fact: Any, row: Any, opaque: Any) -> Any:
        shown = honest(fact, row, opaque)
        if shown is not None:
            shown.started_on, shown.ended_on = row.started_on, row.ended_on
        return shown

    return brokered


def _own_response(honest: Any) -> Any:
    def brokered(fact: Any, row: Any, opaque: Any) -> Any:
        shown = honest(fact, row, opaque)
        if shown is not None and row.expected_response is not None:
            shown.contact.expected_response = row.expected_response
        return shown

    return brokered


def _own_lead(honest: Any) -> Any:
    def brokered(fact: Any, row: Any, opaque: Any) -> Any:
        shown = honest(fact, row, opaque)
        if shown is not None:
            shown.lead = row.lead
        return shown

    return brokered


def _own_phone(honest: Any) -> Any:
    def contact(row: Any, named: Any) -> Any:
        told = honest(row, named)
        if row.practitioner is not None and row.contact_mode is not ContactMode.BROKERED:
            told.phone = row.practitioner.phone or told.phone
        return told

    return contact


def _named_all_the_same(honest: Any) -> Any:
    def row_of(fact: Any, row: Any, opens: Any, viewer: Any) -> Any:
        shown = honest(fact, row, opens, viewer)
        if shown is not None and row.practitioner is not None and row.sensitivity is Sensitivity.STANDARD:
            shown.practitioner = disclosure._practitioner(row.practitioner)
        return shown

    return row_of


def _role_of_masked(honest: Any) -> Any:
    def row_of(fact: Any, row: Any, opens: Any, viewer: Any) -> Any:
        shown = honest(fact, row, opens, viewer)
        if shown is not None and row.practitioner is not None and row.sensitivity is Sensitivity.STANDARD:
            shown.role = row.practitioner.role
        return shown

    return row_of


def _section_of_all(honest: Any) -> Any:
    def disclosed(facts: Any, entitlements: Any, standing: Any, viewer: Any, today: Any) -> Any:
        open_to_all = {
            name: replace(e, opens=dict.fromkeys(e.opens, e.custodian.holds), _at={})
            for name, e in entitlements.by_custodian.items()
        }
        found = honest(facts, entitlements, standing, viewer, today)
        wide = honest(facts, replace(entitlements, by_custodian=open_to_all), standing, viewer, today)
        return replace(found, sections=wide.sections)

    return disclosed


def _items_without_agency(honest: Any) -> Any:
    """A list of a section is stamped with the last source that answered, whether or not it may tell of itself."""

    def disclosed(facts: Any, *given: Any) -> Any:
        found = honest(facts, *given)
        holding = [f for f in facts if f.answer.involvements]
        for value in found.sections.values():
            items = value if isinstance(value, list) else [i for v in vars(value).values() for i in _listed(v)]
            for item in items:
                if holding and hasattr(item, "agency"):
                    item.agency = agency_type(holding[-1].agency)
        return found

    return disclosed


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


_EXPIRED = _let_through(HeldBack.CONSENT_ENDED)
_NO_BASIS = _let_through(HeldBack.SENSITIVE, when=lambda row: row.basis is not DisclosureBasis.SIGNIFICANT_HARM)
_REFUSALS = tuple(HeldBack(word) for word in ("MORE_DETRIMENTAL", "HANDLING_CODE", "ACCESS_LIMITATION", "RESTRICTED"))

MUTANTS = (
    Mutant(
        "refused-entry-is-shown",
        26,
        "A row that its source refuses is shown.",
        _let_through(*_REFUSALS, HeldBack.NOT_STATED),
    ),
    Mutant("consent-that-ended", 26, "A sensitive service is mentioned although the consent has ended.", _EXPIRED),
    Mutant("sensitive-without-basis", 26, "A sensitive service is mentioned without consent or harm.", _NO_BASIS),
    Mutant(
        "ended-work-without-grant",
        26,
        "Ended work is shown without a grant for it.",
        together(ASKED_FOR_ALL, _let_through(HeldBack.NOT_GRANTED, when=lambda row: row.status.value == "PREVIOUS")),
    ),
    Mutant(
        "linked-adult-without-grant",
        26,
        "A linked adult's entry is shown without a grant for it.",
        together(ASKED_FOR_ALL, _let_through(HeldBack.NOT_GRANTED, when=lambda r: r.relationship.value != "CHILD")),
    ),
    Mutant(
        "sensitive-under-its-name",
        26,
        "A sensitive service appears under its own name.",
        wrapping(disclosure, "_brokered", _own_name),
    ),
    Mutant(
        "sensitive-without-broker",
        26,
        "Without a broker, a sensitive service appears as the source itself.",
        wrapping(disclosure, "_brokered", _without_broker),
    ),
    Mutant(
        "sensitive-with-its-dates",
        26,
        "A brokered entry has the dates of the service.",
        wrapping(disclosure, "_brokered", _dated),
    ),
    Mutant(
        "sensitive-with-its-response",
        26,
        "A brokered entry has the service's expected response.",
        wrapping(disclosure, "_brokered", _own_response),
    ),
    Mutant(
        "sensitive-may-lead",
        26,
        "A brokered entry says that the service leads.",
        wrapping(disclosure, "_brokered", _own_lead),
    ),
    Mutant(
        "masked-telephone",
        26,
        "A masked practitioner's telephone is the contact.",
        wrapping(disclosure, "_contact", _own_phone),
    ),
    Mutant(
        "masked-name",
        26,
        "A practitioner is named although the agreement or the row says team only.",
        wrapping(disclosure, "_row", _named_all_the_same),
    ),
    Mutant(
        "masked-role",
        26,
        "An entry has the role of a practitioner who is not named.",
        wrapping(disclosure, "_row", _role_of_masked),
    ),
    Mutant(
        "section-without-grant",
        26,
        "A section is told although nothing opens it.",
        together(ASKED_FOR_ALL, wrapping(gathering, "disclose", _section_of_all)),
    ),
    Mutant(
        "item-of-a-hidden-source",
        26,
        "A section's item is stamped with the last source that holds anything.",
        wrapping(gathering, "disclose", _items_without_agency),
    ),
)
