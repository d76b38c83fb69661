"""No look-up of adults, no way from an adult to children, no list of children, no scores: no path and no field.

Held over the published SDL, the paths of the access model and the code; each check is shown to see what it should.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from graphql import (
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
    is_list_type,
)
from graphql.type.definition import get_nullable_type

from auth.paths import SCOPES

ROOT = Path(__file__).parents[2]
SDL: Final = (ROOT / "schema" / "directory.graphql").read_text(encoding="utf-8")

_ADULT: Final = frozenset(
    {"adult", "adults", "crn", "pnc", "cro", "prison", "noms", "nomis", "offender", "parent", "carer"}
)
_SCORE: Final = frozenset(
    {"score", "scores", "scoring", "rating", "ranking", "likelihood", "probability", "prediction", "predicted", "rag"}
)
_CHILDREN: Final = frozenset({"children", "siblings", "household"})
_NO_CHILDREN: Final = frozenset({"childrensServices", "riskToChildren"})  # an authority's record; a level of an adult
_NAMES_A_CHILD: Final = frozenset({"ChildKey", "ChildDemographics", "AppointmentInput", "AuditFilter"})


def words(name: str) -> frozenset[str]:
    """Return the words of a camelCase or dotted name, in lower case."""
    return frozenset(part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name))


def inputs(schema: GraphQLSchema) -> Iterator[tuple[str, str]]:
    """Yield everything that a caller can state: where, and the type's name."""
    for named in schema.type_map.values():
        if named.name.startswith("__"):
            continue
        if isinstance(named, GraphQLInputObjectType):
            for name, member in named.fields.items():
                yield f"{named.name}.{name}", get_named_type(member.type).name
        for owner, field in fields_of(named):
            for name, argument in field.args.items():
                yield f"{owner}({name})", get_named_type(argument.type).name


def fields_of(named: object) -> Iterator[tuple[str, GraphQLField]]:
    if isinstance(named, GraphQLObjectType | GraphQLInterfaceType):
        for name, field in named.fields.items():
            yield f"{named.name}.{name}", field


def outputs(schema: GraphQLSchema) -> Iterator[tuple[str, GraphQLField]]:
    for named in schema.type_map.values():
        if not named.name.startswith("__"):
            yield from fields_of(named)


def ways_to_ask_about_an_adult(schema: GraphQLSchema) -> list[str]:
    """Whatever a caller could state of an adult; organisations, custodians and the sought field's name are words."""
    return [
        where
        for where, kind in inputs(schema)
        if words(where.partition(".")[2] or where) & _ADULT or kind in _ADULT_SCALARS
    ]


_ADULT_SCALARS: Final = frozenset({"CRN", "PNCId", "CRONumber", "PrisonNumber"})


def scores(schema: GraphQLSchema) -> list[str]:
    return [where for where, _ in outputs(schema) if words(where.partition(".")[2]) & _SCORE]


def ways_to_many_children(schema: GraphQLSchema) -> list[str]:
    """Fields that answer with several children, with a child's number, or with a child from anywhere but a lookup."""
    lookups = {"ChildLookup", "ChildMatch"}
    found = []
    for where, field in outputs(schema):
        answer = get_named_type(field.type).name
        several = is_list_type(get_nullable_type(field.type)) and answer in lookups
        inside = answer in lookups and not where.startswith("Query.")
        if several or inside or answer == "NHSNumber" or words(where.partition(".")[2]) & _CHILDREN:
            found.append(where)
    return [where for where in found if where.partition(".")[2] not in _NO_CHILDREN]


def test_nothing_of_an_adult_can_be_stated() -> None:
    assert ways_to_ask_about_an_adult(build_schema(SDL)) == []


def test_a_child_is_named_by_its_own_number_where_one_child_is_meant_and_nowhere_else() -> None:
    naming = {where.partition(".")[0] for where, kind in inputs(build_schema(SDL)) if kind == "NHSNumber"}

    assert naming <= _NAMES_A_CHILD


def test_no_field_holds_a_score_of_anybody() -> None:
    assert scores(build_schema(SDL)) == []
    assert [path for path in SCOPES if words(path) & _SCORE] == []


def test_no_answer_lists_children_or_tells_a_number() -> None:
    assert ways_to_many_children(build_schema(SDL)) == []


@pytest.mark.parametrize(
    ("check", "seeded"),
    [
        (ways_to_ask_about_an_adult, "extend type Query { adult(crn: String!): String }"),
        (ways_to_ask_about_an_adult, "extend input ChildKey { parentName: String }"),
        (ways_to_ask_about_an_adult, "scalar PrisonNumber extend type Query { who(number: PrisonNumber!): String }"),
        (scores, "extend type Involvement { riskScore: Int }"),
        (scores, "extend type ProbationRecord { reoffendingLikelihood: Float }"),
        (ways_to_many_children, "extend type Query { caseload: [ChildLookup!]! }"),
        (ways_to_many_children, "extend type Involvement { alsoWorksWith: ChildLookup }"),
        (ways_to_many_children, "extend type Supervision { children: [String!] }"),
        (ways_to_many_children, "extend type ChildIdentity { number: NHSNumber }"),
    ],
)
def test_the_checks_see_what_they_are_for(check: object, seeded: str) -> None:
    assert callable(check)
    assert len(check(build_schema(SDL + "\n" + seeded))) == 1


# ------------------------------------------------------------------------------------------- where adults come from

# children's services say who is linked; `explaining` imagines one, and asks nobody
_MAKE_ADULTS: Final = frozenset({"connectors/childrens_services/mapping.py", "gateway/explaining.py"})
_READ_FILES: Final = frozenset({"connectors/memory_file.py"})  # a file of records stands for a source


def makers_of(name: str, text: str) -> int:
    return sum(
        isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", None)) == name
        for node in ast.walk(ast.parse(text))
    )


def test_an_adult_is_named_by_a_source_that_links_it_and_by_nothing_that_a_caller_says() -> None:
    made = {
        str(path.relative_to(ROOT))
        for package in ("auth", "connectors", "gateway", "schema")
        for path in (ROOT / package).rglob("*.py")
        if "gateway/demo" not in str(path) and makers_of("AdultRef", path.read_text(encoding="utf-8"))
    }

    assert made <= _MAKE_ADULTS | _READ_FILES
    assert made & _MAKE_ADULTS


def test_who_makes_an_adult_is_seen_under_either_spelling() -> None:
    assert makers_of("AdultRef", "records.AdultRef(CRN(given))") == 1
    assert makers_of("AdultRef", "isinstance(subject, AdultRef)") == 0


def test_no_address_of_the_gateway_holds_an_identifier() -> None:
    routes = re.findall(r'Route\("([^"]+)"', (ROOT / "gateway" / "front" / "operations.py").read_text(encoding="utf-8"))

    assert len(routes) >= 5
    assert [route for route in routes if "{" in route and "well-known" not in route] == []
