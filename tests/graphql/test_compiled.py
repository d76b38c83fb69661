"""The compiled answer equals the executor's, for random operations over random trees."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import msgspec
import pytest
from graphql import GraphQLEnumType, GraphQLList, GraphQLNonNull, GraphQLObjectType, execute
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.disclosed_fields import disclosed_fields
from gateway.graphql import compiled as under_test
from gateway.graphql.body import GraphQLRequest
from gateway.graphql.compiled import compile_lookup
from gateway.graphql.documents import Documents
from gateway.graphql.guard import DocumentLimits
from gateway.graphql.leaves import collected
from gateway.graphql.query import GRAPHQL_SCHEMA, ExecutionContext
from schema import types

WIDE = DocumentLimits(
    max_source_length=1_000_000,
    max_lexical_tokens=100_000,
    max_fields=50_000,
    max_aliases=5_000,
    max_directives=5_000,
    max_fragments=500,
    max_repeats_of_a_response_key=500,
    max_comparisons=10**9,
    max_tokens_in_parentheses=20_000,
    max_depth=20,
)
OPERATIONS = int(os.environ.get("CONTACTPOINT_TEST_OPERATIONS", "400"))
DOCUMENTS = Documents(GRAPHQL_SCHEMA, WIDE)
KEY = {"nhsNumber": "9990000018", "dateOfBirth": "2015-04-09", "familyName": "Amis"}
ACCESS = {"purpose": "CP_S47", "reason": "a test"}


VARIABLES = {
    "$k": "ChildKey!",
    "$a": "AccessRequest!",
    "$yes": "Boolean!",
    "$no": "Boolean = false",
    "$status": "[InvolvementStatus!]",
    "$kinds": "[AgencyKind!]",
    "$kind": "AgencyKind! = SCHOOL",
    "$nothing": "[InvolvementStatus!] = null",
}


def named(kind: Any) -> Any:
    while isinstance(kind, GraphQLNonNull | GraphQLList):
        kind = kind.of_type
    return kind


class Writer:
    """Writes a random, valid lookup operation."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.fragments: list[str] = []
        self.aliases = 0

    def directive(self) -> str:
        word = self.rng.choice(["include", "skip"])
        one = f" @{word}(if: {self.rng.choice(['$yes', '$no', 'true', 'false'])})" if self.rng.random() < 0.15 else ""
        return one + (" @skip(if: $no)" if "@include" in one and self.rng.random() < 0.5 else "")

    def selection(self, kind: GraphQLObjectType, depth: int, *, frame: bool = False) -> str:
        parts = self.parts(kind, depth, frame=frame)
        if self.rng.random() < 0.35:
            # the same fields once more, with other fields below them: one response key, merged
            parts += self.parts(kind, depth, frame=frame, most=3)
            self.rng.shuffle(parts)
        parts.append("outcome" if frame else "__typename")
        return "{ " + " ".join(parts) + " }"

    def parts(self, kind: GraphQLObjectType, depth: int, *, frame: bool, most: int = 100) -> list[str]:
        names = list(kind.fields)
        chosen = self.rng.sample(names, self.rng.randint(1, min(most, len(names))))
        parts = [self.field(kind, name, depth) for name in chosen if not (frame and name == "outcome")]
        if self.rng.random() < 0.3:
            parts.append("__typename" if self.rng.random() < 0.5 else f"t{self.alias()}: __typename")
        while self.rng.random() < 0.35:
            parts = [self.enclosed(kind, [*parts, "__typename"])]
        return parts

    def enclosed(self, kind: GraphQLObjectType, parts: list[str]) -> str:
        """The selection in an inline fragment, with a type condition or without, or in a named one, spread twice."""
        on = self.rng.choice(["", f" on {kind.name}"])
        inline = f"...{on}{self.directive()} {{ {' '.join(parts)} }}"
        if self.rng.random() < 0.5:
            return inline
        name = f"F{len(self.fragments)}"
        self.fragments.append(f"fragment {name} on {kind.name} {{ {' '.join(parts)} }}")
        return f"...{name}{self.directive()}" + (f" ...{name}{self.directive()}" if self.rng.random() < 0.3 else "")

    def alias(self) -> int:
        self.aliases += 1
        return self.aliases

    def field(self, kind: GraphQLObjectType, name: str, depth: int) -> str:
        # an alias for each occurrence, so that two selections of one key never differ in their arguments
        text = f"a{self.alias()}: {name}" if self.rng.random() < 0.4 or name == "involvements" else name
        if name == "involvements":
            text += self.rng.choice(
                [
                    "",
                    "(status: $status)",
                    "(status: [PREVIOUS])",
                    "(agencyKinds: $kinds)",
                    "(agencyKinds: [POLICE, HEALTH])",
                    "(agencyKinds: POLICE, status: PREVIOUS)",
                    "(agencyKinds: [$kind, HEALTH])",
                    "(agencyKinds: [])",
                    "(agencyKinds: null)",
                    "(status: $nothing)",
                ]
            )
        text += self.directive()
        inner = named(kind.fields[name].type)
        return f"{text} {self.selection(inner, depth + 1)}" if isinstance(inner, GraphQLObjectType) else text

    def operation(self) -> str:
        lookup = self.selection(GRAPHQL_SCHEMA.type_map["ChildLookup"], 0, frame=True)
        key = self.rng.choice(["child", "found: child"])
        used = "__typename @include(if: $yes) @skip(if: $no) "
        body = f"{{ {used}{key}(key: $k, access: $a) {lookup} }} " + " ".join(self.fragments)
        # a variable that is declared and not used is a validation error
        declared = ", ".join(
            f"{name}: {kind}" for name, kind in VARIABLES.items() if re.search(rf"{re.escape(name)}\b", body)
        )
        return f"query Q({declared}) {body}"


def value(rng: random.Random, kind: Any) -> Any:
    """A random resolved value of a GraphQL type, built from `schema.types`."""
    if isinstance(kind, GraphQLNonNull):
        return value_present(rng, kind.of_type)
    return None if rng.random() < 0.3 else value_present(rng, kind)


def value_present(rng: random.Random, kind: Any) -> Any:
    if isinstance(kind, GraphQLList):
        return [value(rng, kind.of_type) for _ in range(rng.randint(0, 3))]
    if isinstance(kind, GraphQLEnumType):
        return kind.parse_value(rng.choice(list(kind.values)))
    if isinstance(kind, GraphQLObjectType):
        return instance(rng, kind)
    return {
        "Boolean": rng.random() < 0.5,
        "Int": rng.randint(-5, 5),
        "Date": date(2026, rng.randint(1, 12), 3),
        "DateTime": datetime(2026, 1, rng.randint(1, 28), 9, 30, tzinfo=UTC),
    }.get(kind.name, f"text {rng.randint(0, 99)} é")


def instance(rng: random.Random, kind: GraphQLObjectType) -> Any:
    cls = types.SECTION_TYPES.get(kind.name) or next(
        (c for c in [*types.SECTION_TYPES.values(), *types.ITEM_TYPES.values()] if c.__name__ == kind.name), None
    )
    cls = cls or getattr(types, kind.name)
    skipped = {"involvements", "leadPractitioner"} if kind.name == "ChildLookup" else set()
    values = {types.python_name(n): value(rng, f.type) for n, f in kind.fields.items() if n not in skipped}
    if skipped:
        values["rows"] = [instance(rng, GRAPHQL_SCHEMA.type_map["Involvement"]) for _ in range(rng.randint(0, 5))]
    return cls(**values)


def both_ways(seed: int) -> tuple[Any, Any, Any]:
    rng = random.Random(seed)
    tree = instance(rng, GRAPHQL_SCHEMA.type_map["ChildLookup"])
    for number, row in enumerate(tree.rows):
        row.id = f"row-{number}"
    given_values: dict[str, Any] = {"k": KEY, "a": ACCESS, "yes": rng.random() < 0.7, "no": rng.random() < 0.3}
    if rng.random() < 0.6:
        given_values["status"] = rng.choice([["PREVIOUS"], ["CURRENT", "PREVIOUS"], []])
    if rng.random() < 0.6:
        given_values["kinds"] = rng.choice([["POLICE"], ["HEALTH", "SCHOOL"], [], "POLICE", None])
    if rng.random() < 0.5:
        given_values["kind"] = "PROBATION"
    text = Writer(rng).operation()
    used = {name: v for name, v in given_values.items() if f"${name}:" in text}
    request = GraphQLRequest(text, None, used)
    operation = DOCUMENTS.prepare(request, may_introspect=False)
    variables = DOCUMENTS.coerce(operation, used)
    compiled = compile_lookup(operation, variables)
    assert compiled.shape is not None
    ours = msgspec.json.decode(msgspec.json.encode(compiled.shape(tree)))
    result = execute(
        GRAPHQL_SCHEMA,
        operation.document,
        context_value=ExecutionContext(None, tree, [], lambda _: [], None),  # type: ignore[arg-type]
        variable_values=used,
    )
    assert not result.errors, result.errors
    entries, _ = disclosed_fields(compiled, ours, tree)
    return ours, msgspec.json.decode(msgspec.json.encode(result.data)), entries


@settings(max_examples=OPERATIONS)
@given(st.integers(min_value=0, max_value=2**32))
def test_a_compiled_answer_is_what_the_executor_gives(seed: int) -> None:
    ours, theirs, _ = both_ways(seed)

    assert ours == theirs
    assert msgspec.json.encode(ours) == msgspec.json.encode(theirs), "the same members in another order"


def test_the_size_of_the_run_is_told(record_testsuite_property: Callable[[str, object], None]) -> None:
    record_testsuite_property("random operations answered both ways, alike to the byte", OPERATIONS)
    assert [seed for seed, (ours, theirs, _) in enumerate(as_shipped()) if ours != theirs] == []


@cache
def as_shipped() -> list[tuple[Any, Any, Any]]:
    """Return what the first 200 seeds give while nothing is flawed."""
    return [both_ways(seed) for seed in range(200)]


def leaves(data: Any) -> int:
    if isinstance(data, dict):
        return sum(map(leaves, data.values()))
    return sum(map(leaves, data)) if isinstance(data, list) else int(data is not None)


def test_random_operations_reach_entries_and_values() -> None:
    assert sum(bool(entries) for *_, entries in as_shipped()) > 60
    assert sum(leaves(ours) for ours, *_ in as_shipped()) > 5_000


def first_alone(*how: Any) -> dict[str, Any]:
    """The fields by response key, of several of one key only the first: what the others select is lost."""
    return {key: nodes[:1] for key, nodes in collected(*how).items()}


@pytest.mark.parametrize("flaw", ["_iso", "matching", "collected"])
def test_a_flaw_in_the_compiled_answer_is_noticed(flaw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    flaws = {"_iso": str, "matching": lambda rows, wanted: rows[:1], "collected": first_alone}
    monkeypatch.setattr(under_test, flaw, flaws[flaw])

    assert any(not same for same in map(equal, range(150)))


def equal(seed: int) -> bool:
    try:
        ours, theirs, _ = both_ways(seed)
    except (LookupError, ValueError, TypeError, AttributeError, AssertionError):
        return False
    return bool(ours == theirs)
