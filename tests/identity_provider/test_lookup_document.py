"""The document that `contactpoint lookup` sends: valid against the types, within the server's limits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import strawberry
from graphql import FieldNode, SelectionSetNode, build_schema, parse, validate
from strawberry.schema.config import StrawberryConfig

from gateway.commands.lookup import LOOKUP_DOCUMENT, lookup_variables
from schema import types
from schema.identifiers import NHSNumber
from schema.vocabulary import Purpose

ANSWERS = sorted((Path(__file__).parent / "answers").glob("*.json"))


def published() -> Any:
    """The types that a caller may see, under a query of one field."""

    def child(key: types.ChildKey, access: types.AccessRequest) -> types.ChildLookup:
        raise AssertionError

    query = strawberry.type(type("Query", (), {"child": strawberry.field(resolver=child)}))
    config = StrawberryConfig(scalar_map={types.NHSNumber: types.NHS_NUMBER_SCALAR})
    return build_schema(strawberry.Schema(query=query, config=config).as_str())


def selections(selected: SelectionSetNode | None, depth: int = 1) -> Iterator[tuple[int, FieldNode]]:
    for node in selected.selections if selected else ():
        assert isinstance(node, FieldNode)
        yield depth, node
        yield from selections(node.selection_set, depth + 1)


DOCUMENT = parse(LOOKUP_DOCUMENT)
OPERATION: Any = DOCUMENT.definitions[0]
FIELDS = list(selections(OPERATION.selection_set))


def test_the_document_is_valid_against_the_types_that_a_caller_may_see() -> None:
    assert validate(published(), DOCUMENT) == []


def test_a_field_that_does_not_exist_would_be_found() -> None:
    assert validate(published(), parse(LOOKUP_DOCUMENT.replace("outcome", "outcomes")))


def test_the_document_keeps_within_the_limits_of_the_server() -> None:
    assert max(depth for depth, _ in FIELDS) <= 8
    assert len(FIELDS) <= 200
    assert not [node for _, node in FIELDS if node.alias]
    assert len(LOOKUP_DOCUMENT) <= 8000


def test_identifiers_stand_in_variables_alone() -> None:
    variables = lookup_variables(
        NHSNumber("9990000018"),
        date(2015, 4, 9),
        "Amis",
        Purpose.SAFEGUARD_S16LA,
        "why",
        case_reference="C-1",
        previous=True,
    )

    assert variables == {
        "key": {"nhsNumber": "9990000018", "dateOfBirth": "2015-04-09", "familyName": "Amis"},
        "access": {"purpose": "SAFEGUARD_S16LA", "reason": "why", "caseReference": "C-1"},
        "status": ["CURRENT", "PREVIOUS"],
    }
    assert not any(character.isdigit() for character in LOOKUP_DOCUMENT)


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_the_stored_answers_are_answers_to_this_document(path: Path) -> None:
    body = json.loads(path.read_text())

    if body["data"]:
        assert_shaped(body["data"], OPERATION.selection_set)


def assert_shaped(value: Any, selected: SelectionSetNode | None) -> None:
    if isinstance(value, list):
        for item in value:
            assert_shaped(item, selected)
    elif selected is None:
        assert not isinstance(value, dict)
    elif value is not None:
        nodes = {node.name.value: node for node in selected.selections if isinstance(node, FieldNode)}
        assert set(value) == set(nodes)
        for name, node in nodes.items():
            assert_shaped(value[name], node.selection_set)
