"""Channels 1 to 5: errors, their paths, and the many ways of saying nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from auth import disclosure
from connectors.base import FieldMask
from gateway.errors import BadUserInput, Forbidden
from gateway.federation import gathering
from gateway.federation.fanout import FanOut
from gateway.federation.gathering import Gathering
from schema import types
from schema.sections import SECTIONS
from schema.vocabulary import RefusalReason
from tests.noninterference.mutants.mutant import Mutant
from tests.noninterference.mutants.tampering import (
    add_error,
    in_body,
    in_tree,
    kept_back,
    together,
    unfiltered,
    wrapping,
)

_REFUSED = {word.value for word in RefusalReason}


def _forbidding(honest: Any) -> Any:
    def judged(self: Gathering) -> bool:
        if honest(self):
            raise Forbidden
        return False

    return judged


def _refusals_told(run: Gathering, response: dict[str, Any]) -> None:
    for _, code in run.held_back:
        if code.value in _REFUSED:
            add_error(response, code.value)


def _mismatch_told(honest: Any) -> Any:
    def corroborated(facts: Any, *key: Any) -> bool:
        if honest(facts, *key):
            return True
        if any(fact.answer.involvements or fact.answer.trace for fact in facts):
            raise BadUserInput("The date of birth or family name is not the one on record.")
        return False

    return corroborated


def _masked(run: Gathering) -> int:
    """How many practitioners stand in rows of which the caller sees none."""
    return sum(row.practitioner is not None and row.contact_mode.value != "DIRECT" for row in unfiltered(run))


def _error_for_masked(run: Gathering, response: dict[str, Any]) -> None:
    entries = (response["data"].get("child") or {}).get("involvements") or []
    if _masked(run) and any("practitioner" in e and e["practitioner"] is None for e in entries):
        add_error(response, "NOT_DISCLOSED", ["child", "involvements"])


def wide(honest: Any) -> Any:
    """Ask every source for all that it holds, whatever may be told: not seen by callers in itself."""

    async def ask_all(self: FanOut, child: Any, connectors: Any, masks: Any, named: Any = None) -> Any:
        held = {c.manifest.agency.id: c.manifest.holds for c in connectors}
        wider = {source: FieldMask(mask.paths | held.get(source, frozenset())) for source, mask in masks.items()}
        return await honest(self, child, connectors, wider, named)

    return ask_all


ASKED_FOR_ALL = wrapping(FanOut, "ask_all", wide)


def held_but_not_open(run: Gathering) -> set[str]:
    """Return the section paths that some source told of and that are not open to this caller there."""
    found = set()
    for source, outcome in run.outcomes.items():
        opens = run.plan.entitlements.by_custodian[source].at(run.standing)
        for answer in outcome.answers:
            for declaration in SECTIONS.values():
                said = answer.sections.get(declaration.cls)
                found |= {f.path for f in declaration.fields if said and getattr(said, f.name) and f.path not in opens}
    return found


def _error_for_section(run: Gathering, response: dict[str, Any]) -> None:
    for path in sorted(held_but_not_open(run)):
        if run.identity == "CORROBORATED" and not run._hidden():
            add_error(response, "NOT_DISCLOSED", ["child", *path.split(".")])


def _error_for_hidden_index(run: Gathering, response: dict[str, Any]) -> None:
    for index in range(kept_back(run)):
        add_error(response, "NOT_DISCLOSED", ["child", "involvements", index])


def _withheld_by_index(run: Gathering, response: dict[str, Any]) -> None:
    listed = response["extensions"]["disclosure"]["withheld"]
    for index, row in enumerate(unfiltered(run)):
        if row.refusal is not None:
            listed.append({"path": f"child.involvements.{index}", "code": "ROLE_NOT_GRANTED", "requiredScopes": []})


def _empty_practitioner(honest: Any) -> Any:
    def row_of(fact: Any, row: Any, opens: Any, viewer: Any) -> Any:
        shown = honest(fact, row, opens, viewer)
        if shown is not None and shown.practitioner is None and row.practitioner is not None:
            shown.practitioner = types.Practitioner(name="", role=None, registration=None)
        return shown

    return row_of


def _empty_role(honest: Any) -> Any:
    def brokered(fact: Any, row: Any, opaque: Any) -> Any:
        shown = honest(fact, row, opaque)
        if shown is not None and row.role is not None:
            shown.role = ""
        return shown

    return brokered


def _empty_list(run: Gathering, told: Any) -> None:
    if run.identity == "CORROBORATED" and not run._hidden():
        for path in held_but_not_open(run):
            name = types.python_name(path.partition(".")[0])
            declaration = SECTIONS[path.partition(".")[0]]
            if declaration.hoisted and getattr(told, name, 0) is None:
                setattr(told, name, [])
            elif getattr(told, name, 0) is None:
                empty = {f.name: [] if f.item else None for f in declaration.fields}
                setattr(told, name, types.SECTION_TYPES[path.partition(".")[0]](**empty))


def _section_emptied(run: Gathering, told: Any) -> None:
    for path in held_but_not_open(run):
        setattr(told, types.python_name(path.partition(".")[0]), None)


def _all_or_none_of_a_source(honest: Any) -> Any:
    def disclosed(*given: Any) -> Any:
        found = honest(*given)
        refused = {source for source, _ in found.held_back}
        return replace(found, rows=tuple(row for row in found.rows if str(row.agency.id) not in refused))

    return disclosed


def _masked_fails(honest: Any) -> Any:
    def contact(row: Any, named: Any) -> Any:
        if named is None and row.practitioner is not None and row.practitioner.phone is not None:
            raise TypeError("a value that the schema requires is missing")
        return honest(row, named)

    return contact


MUTANTS = (
    Mutant(
        "shield-is-forbidden",
        1,
        "A shielded child is answered with FORBIDDEN.",
        wrapping(Gathering, "_hidden", _forbidding),
    ),
    Mutant(
        "refusal-has-its-code",
        1,
        "A row that its source refuses is told as an error with the reason's code.",
        in_body(_refusals_told),
    ),
    Mutant(
        "mismatch-is-told",
        1,
        "A wrong name for a known child is BAD_USER_INPUT, for an unknown one nothing.",
        wrapping(gathering, "corroborated", _mismatch_told),
    ),
    Mutant(
        "masked-practitioner-is-an-error",
        2,
        "A practitioner who may not be named is null with an error.",
        in_body(_error_for_masked),
    ),
    Mutant(
        "section-not-open-is-an-error",
        2,
        "A section that is held but not open is null with an error.",
        together(ASKED_FOR_ALL, in_body(_error_for_section)),
    ),
    Mutant(
        "error-for-each-hidden-entry",
        3,
        "Every entry held back leaves an error at its list index.",
        in_body(_error_for_hidden_index),
    ),
    Mutant(
        "refused-entry-in-withheld",
        3,
        "A refused entry is listed by its place among all entries.",
        in_body(_withheld_by_index),
    ),
    Mutant(
        "masked-practitioner-is-empty",
        4,
        "A masked practitioner is an empty one, a missing one is null.",
        wrapping(disclosure, "_row", _empty_practitioner),
    ),
    Mutant(
        "sensitive-role-is-empty",
        4,
        'A brokered entry says "" for a role that it had, null for none.',
        wrapping(disclosure, "_brokered", _empty_role),
    ),
    Mutant(
        "section-not-open-is-empty",
        4,
        "A section that is held but not open is empty instead of null.",
        together(ASKED_FOR_ALL, in_tree(_empty_list)),
    ),
    Mutant(
        "field-not-open-empties-the-section",
        5,
        "A field that is held but not open makes its section null.",
        together(ASKED_FOR_ALL, in_tree(_section_emptied)),
    ),
    Mutant(
        "hidden-entry-empties-the-source",
        5,
        "One entry held back takes the others of its source with it.",
        wrapping(gathering, "disclose", _all_or_none_of_a_source),
    ),
    Mutant(
        "masked-practitioner-fails-the-answer",
        5,
        "A masked practitioner's contact fails the whole answer.",
        wrapping(disclosure, "_contact", _masked_fails),
    ),
)
