"""Channels 6 to 10: counts, cursors, order, identifiers and type names."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

from auth import disclosure
from gateway.audit.keys import AuditKeys
from gateway.federation import gathering
from gateway.federation.gathering import Gathering
from gateway.graphql import compiled
from schema.vocabulary import LookupOutcome, Sensitivity
from tests.noninterference.mutants.mutant import Mutant, SeenBy
from tests.noninterference.mutants.tampering import (
    in_body,
    in_tree,
    known,
    together,
    unfiltered,
    wrapping,
)

_PAGE = 2


def _found_before_the_door(honest: Any) -> Any:
    def outcome(self: Gathering, rows: Any, told: Any, complete: bool) -> LookupOutcome:
        if complete and known(self):
            return LookupOutcome.DISCLOSED
        decided: LookupOutcome = honest(self, rows, told, complete)
        return decided

    return outcome


def _page_before_the_door(honest: Any) -> Any:
    def disclosed(facts: Any, *given: Any) -> Any:
        page = [replace(f, answer=replace(f.answer, involvements=f.answer.involvements[:_PAGE])) for f in facts]
        return honest(page, *given)

    return disclosed


def _total(run: Gathering, response: dict[str, Any]) -> None:
    response["extensions"]["disclosure"]["total"] = len(unfiltered(run))


def _has_more(run: Gathering, response: dict[str, Any]) -> None:
    response["extensions"]["disclosure"]["hasMore"] = len(unfiltered(run)) > _PAGE


def _places(run: Gathering) -> dict[str, int]:
    """Return where each entry stands among all, by the id that a caller would be given."""
    found: dict[str, int] = {}
    for outcome in run.outcomes.values():
        for answer in outcome.answers:
            for row in answer.involvements:
                found[run._opaque_ids()(outcome.source, row.local_id)] = len(found)
    return found


def _id_is_a_cursor(run: Gathering, told: Any) -> None:
    places = _places(run)
    for row in told.rows:
        row.id = base64.urlsafe_b64encode(b"cursor:%06d" % places.get(str(row.id), 0)).decode()


def _next_cursor(run: Gathering, response: dict[str, Any]) -> None:
    offset = base64.b64encode(b"offset:%d" % len(unfiltered(run))).decode()
    response["extensions"]["disclosure"]["next"] = offset


def _id_is_a_number(run: Gathering, told: Any) -> None:
    places = _places(run)
    for row in told.rows:
        row.id = str(places.get(str(row.id), 0) + 1)


def _with_secret(honest: Any) -> Any:
    """Keep beside a row, out of sight, what its order or its id is then taken from."""

    def row_of(fact: Any, row: Any, opens: Any, viewer: Any) -> Any:
        shown = honest(fact, row, opens, viewer)
        if shown is not None:
            shown.secret = f"{row.practitioner.name if row.practitioner else ''} {row.service} {row.started_on}"
        return shown

    return row_of


def _ordered_by_secret(honest: Any) -> Any:
    return lambda rows: sorted(honest(rows), key=lambda row: str(row.secret))


def _as_they_came(honest: Any) -> Any:
    """The order of the sources' answers, with the most recently hidden work first: no order of ours."""

    def merged(rows: Any) -> Any:
        came = {id(row): place for place, row in enumerate(rows)}
        return sorted(honest(rows), key=lambda row: came[id(row)])

    return merged


def _sources_by_size(run: Gathering, told: Any) -> None:
    size = {o.source: sum(len(a.involvements) for a in o.answers) for o in run.outcomes.values()}
    told.sources.sort(key=lambda source: -size.get(str(source.agency.id), 0))


def _id_of_secret(honest: Any) -> Any:
    def row_of(fact: Any, row: Any, opens: Any, viewer: Any) -> Any:
        shown = honest(fact, row, opens, viewer)
        if shown is not None and row.practitioner is not None:
            shown.id = viewer.opaque_id(fact.custodian.id, f"{row.local_id} {row.practitioner.name}")
        return shown

    return row_of


def _for_anybody(honest: Any) -> Any:
    def opaque(self: AuditKeys, *begin: str) -> Any:
        return honest(self, *(("entry", *begin[3:]) if begin[:1] == ("entry",) else begin))

    return opaque


def _local(honest: Any) -> Any:
    return lambda self: lambda custodian, local_id: f"{custodian}/{local_id}"


def _typename(of: str, instead: str, when: Any) -> Any:
    """Give one type of the schema another name where `when` holds of what is shown."""

    def around(honest: Any) -> Any:
        def shaped(kind: Any, *given: Any, **more: Any) -> Any:
            read = honest(kind, *given, **more)
            if kind.name != of:
                return read

            def named(source: Any) -> Any:
                data = read(source)
                if data is not None and when(source):
                    data = {key: instead if value == of else value for key, value in data.items()}
                return data

            return named

        return shaped

    return wrapping(compiled, "_object", around)


def _mark_hidden(run: Gathering, told: Any) -> None:
    told.is_shielded = run._hidden()


def _mark_masked(honest: Any) -> Any:
    def row_of(fact: Any, row: Any, opens: Any, viewer: Any) -> Any:
        shown = honest(fact, row, opens, viewer)
        if shown is not None:
            shown.contact.is_masked = shown.practitioner is None and row.practitioner is not None
        return shown

    return row_of


def _mark_clinical(honest: Any) -> Any:
    def row_of(fact: Any, row: Any, opens: Any, viewer: Any) -> Any:
        shown = honest(fact, row, opens, viewer)
        if shown is not None:
            shown.is_unsure = row.sensitivity is Sensitivity.UNKNOWN
        return shown

    return row_of


MUTANTS = (
    Mutant(
        "outcome-before-the-door",
        6,
        "DISCLOSED counts what the sources said, and not what is told.",
        wrapping(Gathering, "_outcome", _found_before_the_door),
    ),
    Mutant(
        "page-before-the-door",
        6,
        "A list is cut to its length before entries are held back.",
        wrapping(gathering, "disclose", _page_before_the_door),
    ),
    Mutant("total-of-all", 6, "A total counts entries that are held back.", in_body(_total)),
    Mutant("has-more-of-all", 6, "Whether there is more counts entries that are held back.", in_body(_has_more)),
    Mutant("id-is-a-cursor", 7, "An entry's id is a cursor: its place among all entries.", in_tree(_id_is_a_cursor)),
    Mutant("next-cursor", 7, "The cursor of the next page is an offset among all entries.", in_body(_next_cursor)),
    Mutant(
        "ordered-by-what-is-hidden",
        8,
        "Entries stand in the order of names and services that are not shown.",
        together(wrapping(disclosure, "_row", _with_secret), wrapping(gathering, "merge", _ordered_by_secret)),
    ),
    Mutant(
        "ordered-as-they-came",
        8,
        "Entries stand in the order in which the sources hold them.",
        wrapping(gathering, "merge", _as_they_came),
        SeenBy.PROBE,
    ),
    Mutant("sources-by-size", 8, "Sources stand in the order of how much they hold.", in_tree(_sources_by_size)),
    Mutant("sequential-ids", 9, "Ids are numbers, counted over all entries.", in_tree(_id_is_a_number)),
    Mutant(
        "id-of-hidden-name",
        9,
        "An id is made of a practitioner's name, also where that is withheld.",
        wrapping(disclosure, "_row", _id_of_secret),
    ),
    Mutant(
        "one-id-for-all-viewers",
        9,
        "An id does not depend on who looks: two viewers can join their answers.",
        wrapping(AuditKeys, "opaque_ids", _for_anybody),
        SeenBy.SEQUENCE,
    ),
    Mutant(
        "the-source's-own-id",
        9,
        "An id is the source's own key of the record.",
        wrapping(Gathering, "_opaque_ids", _local),
        SeenBy.PROBE,
    ),
    Mutant(
        "type-of-a-shielded-child",
        10,
        "A shielded child has a type name of its own.",
        together(in_tree(_mark_hidden), _typename("ChildLookup", "ShieldedChildLookup", lambda tree: tree.is_shielded)),
    ),
    Mutant(
        "type-of-a-masked-contact",
        10,
        "The contact of a masked practitioner has a type name of its own.",
        together(
            wrapping(disclosure, "_row", _mark_masked),
            _typename("Contact", "MaskedContact", lambda shown: getattr(shown, "is_masked", False)),
        ),
    ),
    Mutant(
        "type-of-unknown-sensitivity",
        10,
        "An entry of unknown sensitivity has another type name than a sensitive.",
        together(
            wrapping(disclosure, "_row", _mark_clinical),
            _typename("Involvement", "UnclassifiedInvolvement", lambda shown: shown.is_unsure),
        ),
    ),
)
