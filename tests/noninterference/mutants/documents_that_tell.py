"""Channels 11, 12, 25 and 26: introspection, echo, selections of nothing, and decisions by response key."""

from __future__ import annotations

from typing import Any

from auth import disclosure
from gateway import lookup
from gateway.errors import BadUserInput, ValidationFailed
from gateway.federation.gathering import Gathering
from gateway.graphql import compiled, documents, guard
from gateway.graphql.documents import Documents
from gateway.lookup import Lookups
from schema import types
from schema.vocabulary import LookupOutcome, Sensitivity
from tests.noninterference.mutants.mutant import Mutant, SeenBy
from tests.noninterference.mutants.tampering import known, together, wrapping


def _for_everybody(honest: Any) -> Any:
    def prepare(self: Documents, request: Any, *, may_introspect: bool, **more: Any) -> Any:
        return honest(self, request, may_introspect=True, **more)

    return prepare


def _suggesting(honest: Any) -> Any:
    return lambda *given, **more: honest(*given, **{**more, "hide_suggestions": False})


def _in_its_own_words(honest: Any) -> Any:
    def refusal(error: Any) -> Any:
        told = honest(error)
        told.sentence = error.message or told.sentence
        return told

    return refusal


def _value_told(honest: Any) -> Any:
    def coerce(self: Documents, operation: Any, variables: Any) -> Any:
        try:
            return honest(self, operation, variables)
        except BadUserInput as refused:
            refused.sentence = f"The variables {dict(variables)} are not valid."
            raise

    return coerce


def _key_told(honest: Any) -> Any:
    def key_from(given: Any, *rest: Any) -> Any:
        try:
            return honest(given, *rest)
        except BadUserInput as refused:
            refused.sentence = f"{refused.sentence} Given: {given['familyName']}, {given['dateOfBirth']}."
            raise

    return key_from


def _operation_told(honest: Any) -> Any:
    def prepare(self: Documents, request: Any, **given: Any) -> Any:
        try:
            return honest(self, request, **given)
        except ValidationFailed as refused:
            refused.sentence = f"No operation {request.operation_name}."
            raise

    return prepare


def _unknown_is_invalid(honest: Any) -> Any:
    async def tree(self: Gathering, receipt: str) -> Any:
        told = await honest(self, receipt)
        if told.complete and not known(self):
            raise BadUserInput("This number is not a child's.")
        return told

    return tree


def _nothing_checked(honest: Any) -> Any:
    return lambda *given: None


def _empty_allowed(honest: Any) -> Any:
    """An empty selection set is measured as one that holds `__typename`."""

    def walk(self: Any, selection_set: Any, *given: Any) -> Any:
        if not selection_set.selections:
            return guard._empty_totals()
        return honest(self, selection_set, *given)

    return walk


def _existence(honest: Any) -> Any:
    """A lookup that selects no entry and no section is answered by whether anybody knows the child."""

    def outcome(self: Gathering, rows: Any, told: Any, complete: bool) -> LookupOutcome:
        decided: LookupOutcome = honest(self, rows, told, complete)
        nothing_selected = not self.plan.selection.section_paths and not self.plan.selection.filters[1:]
        if complete and nothing_selected and known(self):
            return LookupOutcome.DISCLOSED
        return decided

    return outcome


def _unrecorded(honest: Any) -> Any:
    """A lookup that selects no entry and no section leaves no record."""

    async def append(self: Lookups, kind: Any, payload: Any, *rest: Any, **more: Any) -> int:
        asked = payload.get("disclosed", payload).get("entries", payload.get("fields"))
        if not asked:
            return 0
        seq: int = await honest(self, kind, payload, *rest, **more)
        return seq

    return append


def _with_withheld(honest: Any) -> Any:
    """Keep beside an entry, out of sight, the practitioner who may not be named."""

    def row_of(fact: Any, row: Any, opens: Any, viewer: Any) -> Any:
        shown = honest(fact, row, opens, viewer)
        if shown is not None and row.practitioner is not None and row.sensitivity is Sensitivity.STANDARD:
            shown.withheld = types.Practitioner(
                name=row.practitioner.name, role=row.practitioner.role, registration=None
            )
        return shown

    return row_of


def _unmasked(where: Any) -> Any:
    """The mask of a practitioner is a decision by response key: where this holds, there is none."""

    def around(honest: Any) -> Any:
        def shaped(kind: Any, nodes: Any, operation: Any, variables: Any, **more: Any) -> Any:
            read = honest(kind, nodes, operation, variables, **more)
            if kind.name != "Involvement":
                return read
            selected = compiled.collected((n.selection_set for n in nodes), operation, variables)
            open_keys = {
                key: compiled._value(kind.fields["practitioner"].type, found, operation, variables)
                for key, found in selected.items()
                if found[0].name.value == "practitioner" and where(key, found, nodes)
            }

            def unmasked(source: Any) -> Any:
                data = read(source)
                for key, value in open_keys.items():
                    if data is not None and data[key] is None:
                        data[key] = value(getattr(source, "withheld", None))
                return data

            return unmasked

        return shaped

    return together(wrapping(disclosure, "_row", _with_withheld), wrapping(compiled, "_object", around))


def _aliased(key: str, found: Any, around: Any) -> bool:
    return key != "practitioner"


def _by_variable(key: str, found: Any, around: Any) -> bool:
    return any(directive.name.value in {"include", "skip"} for node in found for directive in node.directives or ())


def _merged(key: str, found: Any, around: Any) -> bool:
    return len(found) > 1


def _list_aliased(key: str, found: Any, around: Any) -> bool:
    return any(node.alias is not None for node in around)


MUTANTS = (
    Mutant(
        "introspection-for-everybody",
        11,
        "Introspection is answered without the scope schema:read.",
        wrapping(Documents, "prepare", _for_everybody),
        SeenBy.PROBE,
    ),
    Mutant(
        "did-you-mean-this-field",
        11,
        "A misspelt field is answered with the fields that there are.",
        together(wrapping(documents, "validate", _suggesting), wrapping(documents, "_refusal_of", _in_its_own_words)),
        SeenBy.PROBE,
    ),
    Mutant(
        "types-in-refusals",
        11,
        "A misspelt field is answered with the name of the type that lacks it.",
        wrapping(documents, "_refusal_of", _in_its_own_words),
        SeenBy.PROBE,
    ),
    Mutant(
        "variables-in-refusals",
        12,
        "A variable that is not valid is repeated in the refusal.",
        wrapping(Documents, "coerce", _value_told),
        SeenBy.PROBE,
    ),
    Mutant(
        "key-in-refusals",
        12,
        "A key that is not valid is repeated in the refusal.",
        wrapping(lookup, "key_from", _key_told),
        SeenBy.PROBE,
    ),
    Mutant(
        "operation-name-in-refusals",
        12,
        "The name of an operation that is missing is repeated in the refusal.",
        wrapping(Documents, "prepare", _operation_told),
        SeenBy.PROBE,
    ),
    Mutant(
        "unknown-number-is-invalid",
        12,
        "A number that no source knows is BAD_USER_INPUT.",
        wrapping(Gathering, "tree", _unknown_is_invalid),
    ),
    Mutant(
        "selection-of-nothing",
        25,
        "A lookup may select nothing at all, and no record names a field.",
        wrapping(guard._Measure, "_selection_set", _empty_allowed),
        SeenBy.PROBE,
    ),
    Mutant(
        "outcome-may-be-left-out",
        25,
        "A lookup may select `__typename` alone.",
        wrapping(documents, "check_root_fields", _nothing_checked),
        SeenBy.PROBE,
    ),
    Mutant(
        "outcome-alone-is-existence",
        25,
        "A lookup of the outcome alone says whether anybody knows the child.",
        wrapping(Gathering, "_outcome", _existence),
    ),
    Mutant(
        "nothing-selected-leaves-no-record",
        25,
        "A lookup of the outcome alone leaves no OUTCOME on the log.",
        wrapping(Lookups, "_append", _unrecorded),
        SeenBy.PROBE,
    ),
    Mutant(
        "alias-defeats-the-mask",
        26,
        "A practitioner is masked under the key `practitioner` alone.",
        _unmasked(_aliased),
    ),
    Mutant(
        "variable-defeats-the-mask",
        26,
        "A practitioner is not masked where @include or @skip decides.",
        _unmasked(_by_variable),
    ),
    Mutant(
        "merging-defeats-the-mask",
        26,
        "A practitioner is not masked where two selections are merged.",
        _unmasked(_merged),
    ),
    Mutant(
        "aliased-list-defeats-the-mask",
        26,
        "A practitioner is not masked in a list under an alias.",
        _unmasked(_list_aliased),
    ),
)
