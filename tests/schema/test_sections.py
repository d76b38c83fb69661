"""A deeper record is declared once; a field about which nobody decided stops the build."""

from __future__ import annotations

import dataclasses

import pytest
import strawberry
from graphql import get_named_type

from gateway.graphql.query import GRAPHQL_SCHEMA, sdl
from schema import sections as declared
from schema import types
from schema.declaring import Disclosure, require_declared, shown, undeclared
from schema.records import Agency
from schema.sections import (
    SECTIONS,
    RiskRegistration,
    UndeclaredDisclosure,
    camel,
    form_of,
    opened_by,
    section,
    section_fields,
    words_of,
)
from schema.types import python_name
from schema.vocabulary import Scope


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """A registry of this test's own."""
    empty: dict[str, object] = {}
    monkeypatch.setattr(declared, "_declared", empty)
    return empty


@dataclasses.dataclass(frozen=True, slots=True)
class Visit:
    agency: Agency
    kind: str


def test_a_section_becomes_its_paths_scopes_and_item_classes(registry: dict[str, object]) -> None:
    @section("homeCare")
    class HomeCare:
        """Visits."""

        last_visits: tuple[Visit, ...] | None = opened_by(Scope.PLAN)
        note: str | None = opened_by(Scope.ASSESSMENT)

    made = registry["homeCare"]
    assert [(f.path, f.name, f.scope, f.item) for f in made.fields] == [  # type: ignore[attr-defined]
        ("homeCare.lastVisits", "last_visits", Scope.PLAN, Visit),
        ("homeCare.note", "note", Scope.ASSESSMENT, None),
    ]
    assert HomeCare() == HomeCare(None, None)  # type: ignore[call-arg]


def test_a_hoisted_section_stands_at_the_lookups_own_level(registry: dict[str, object]) -> None:
    @section("visits", hoisted=True)
    class Visits:
        """Visits."""

        visits: tuple[Visit, ...] | None = opened_by(Scope.PLAN)

    assert [f.path for f in registry["visits"].fields] == ["visits"]  # type: ignore[attr-defined]


def test_a_field_without_a_scope_stops_the_build(registry: dict[str, object]) -> None:
    with pytest.raises(UndeclaredDisclosure, match=r"Careless\.second names no scope"):

        @section("careless")
        class Careless:
            """Nobody decided about the second."""

            first: str | None = opened_by(Scope.PLAN)
            second: str | None = None

    assert registry == {}


def test_a_field_whose_scope_is_a_mere_text_stops_the_build(registry: dict[str, object]) -> None:
    with pytest.raises(UndeclaredDisclosure):

        @section("careless")
        class Careless:
            """A scope that is not of the list."""

            first: str | None = dataclasses.field(default=None, metadata={"scope": "plan:read"})


def test_two_sections_of_one_name_stop_the_build(registry: dict[str, object]) -> None:
    @section("same")
    class One:
        """One."""

        x: str | None = opened_by(Scope.PLAN)

    with pytest.raises(ValueError, match="declared twice"):

        @section("same")
        class Two:
            """Two."""

            x: str | None = opened_by(Scope.PLAN)


def test_every_section_is_a_field_of_the_lookup_with_its_scope_in_the_sdl() -> None:
    lookup = GRAPHQL_SCHEMA.type_map["ChildLookup"].fields  # type: ignore[attr-defined]
    text = sdl()
    for field in section_fields():
        head, _, inner = field.path.partition(".")
        assert head in lookup
        if inner:
            assert inner in lookup[head].type.fields
        holder = get_named_type(lookup[head].type).name if inner else "ChildLookup"
        block = text.partition(f"type {holder} {{")[2].partition("\n}")[0]
        line = next(line for line in block.splitlines() if line.strip().startswith(f"{inner or head}:"))
        assert f'@requiresScopes(scopes: [["{field.scope.value}"]])' in line


def test_what_a_caller_sees_of_a_section_has_the_fields_that_were_declared() -> None:
    for name, declaration in SECTIONS.items():
        if not declaration.hoisted:
            seen = {f.name for f in dataclasses.fields(types.SECTION_TYPES[name])}
            assert seen == {f.name for f in declaration.fields}
        for field in declaration.fields:
            if field.item:
                item = {f.name for f in dataclasses.fields(types.ITEM_TYPES[field.item])}
                assert item == {f.name for f in dataclasses.fields(field.item)}
                assert "agency" in item, "every item says who said it"


def test_every_section_defaults_to_nothing() -> None:
    for declaration in SECTIONS.values():
        empty = declaration.cls()
        assert all(getattr(empty, field.name) is None for field in declaration.fields)


def test_a_kind_a_code_or_a_level_is_a_word_of_a_list_or_of_a_fixed_form() -> None:
    # a risk registration's code and description are probation's own reference data
    free = {(RiskRegistration, "code"), (RiskRegistration, "description")}
    for field in section_fields():
        for listed in dataclasses.fields(field.item) if field.item else ():
            if listed.name in {"kind", "code", "status", "recipient"} or (listed.name, listed.type) == ("level", "str"):
                assert words_of(listed) or form_of(listed) or (field.item, listed.name) in free


def test_the_sdl_names_the_words_of_every_closed_list() -> None:
    text = " ".join(sdl().split())
    for field in section_fields():
        for listed in dataclasses.fields(field.item) if field.item else ():
            if words_of(listed):
                assert f"One of {', '.join(words_of(listed))}." in text


@pytest.mark.parametrize(
    ("python", "graphql"), [("started_on", "startedOn"), ("x", "x"), ("last_seen_at", "lastSeenAt")]
)
def test_names_are_spelled_both_ways(python: str, graphql: str) -> None:
    assert camel(python) == graphql
    assert python_name(graphql) == python


# ------------------------------------------------------------------------------------------ every field is declared


def test_every_field_of_the_published_schema_declares_what_decides_its_disclosure() -> None:
    assert list(undeclared(GRAPHQL_SCHEMA)) == []
    require_declared(GRAPHQL_SCHEMA)


def test_a_field_without_a_disclosure_class_stops_the_build() -> None:
    @strawberry.type
    class Query:
        decided: str = shown(Disclosure.CALLER)
        forgotten: str = strawberry.field(description="nobody decided")

        @strawberry.field
        def computed(self) -> int:
            return 1

    schema = strawberry.Schema(Query)._schema

    assert list(undeclared(schema)) == ["Query.forgotten", "Query.computed"]
    with pytest.raises(UndeclaredDisclosure, match=r"Query\.forgotten, Query\.computed"):
        require_declared(schema)


def test_a_disclosure_class_that_is_a_mere_text_is_none() -> None:
    @strawberry.type
    class Query:
        x: str = strawberry.field(metadata={"disclosure": "CALLER"})

    assert list(undeclared(strawberry.Schema(Query)._schema)) == ["Query.x"]


def test_a_section_field_that_is_no_list_cannot_be_made_one() -> None:
    scalar = next(f for f in section_fields() if f.item is None)

    with pytest.raises(TypeError, match="holds no items"):
        types._list_of(scalar)
