"""A simulated agency is worth what its likeness is worth: its answers are held to what real sources publish."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from graphql import EnumTypeDefinitionNode, ObjectTypeDefinitionNode, parse, print_ast
from jsonschema import ValidationError
from openapi_schema_validator import OAS30Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from gateway.demo.agencies import probation
from gateway.demo.agencies.childrens_services_schema import SCHEMA
from gateway.demo.agencies.health_resources import operation_outcome, patient
from gateway.demo.families import World, make_world
from tests.demo.asking import asking, in_process

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "tests" / "fixtures" / "published"
SCHEMAS = PUBLISHED / "nhs-pds" / "schemas"


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(children=300)


# PDS


@cache
def _retrieve(uri: str) -> Resource[Any]:
    return DRAFT4.create_resource(yaml.safe_load((SCHEMAS / uri.removeprefix("pds:/")).read_text()))


@cache
def pds(name: str) -> OAS30Validator:
    return OAS30Validator({"$ref": f"pds:/{name}.yaml"}, registry=Registry(retrieve=_retrieve))  # type: ignore[call-arg]


def test_every_simulated_patient_validates_against_the_published_schema(world: World) -> None:
    registered = [child for child in world.children if child.health and not child.health.superseded_by]
    assert len(registered) > 200
    for child in registered:
        pds("Patient").validate(patient(child))


def test_the_operation_outcome_of_no_such_patient_validates() -> None:
    pds("OperationOutcome").validate(operation_outcome("RESOURCE_NOT_FOUND", "not-found"))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda resource: resource.update(id="12345"),
        lambda resource: resource.update(nickname="Addy"),
        lambda resource: resource["name"][0].update(use="official"),
        lambda resource: resource["name"][0].pop("family"),
        lambda resource: resource["meta"]["security"][0].update(code="X"),
        lambda resource: resource.update(gender="F"),
        lambda resource: resource.update(deceasedDateTime="last week"),
    ],
)
def test_a_patient_with_one_flaw_does_not_validate(world: World, spoil: Callable[[dict[str, Any]], Any]) -> None:
    resource = json.loads(json.dumps(patient(world.story("ordinary"))))
    spoil(resource)
    with pytest.raises(ValidationError):
        pds("Patient").validate(resource)


def test_a_restricted_patient_says_nothing_of_where_they_are(world: World) -> None:
    resource = patient(world.story("shielded"))
    assert resource["meta"]["security"][0]["code"] == "R"
    assert not {"address", "telecom", "generalPractitioner", "contact"} & resource.keys()


# HMPPS


def unlike(answer: Any, recorded: Any, path: str = "$") -> list[str]:
    """Return where an answer differs in shape from a recorded one: keys and types; null may stand for anything."""
    if answer is None or recorded is None:
        return []
    if isinstance(recorded, dict) and isinstance(answer, dict):
        found = [f"{path}.{key}" for key in answer.keys() ^ recorded.keys()]
        return found + [
            at for key in answer.keys() & recorded for at in unlike(answer[key], recorded[key], f"{path}.{key}")
        ]
    if isinstance(recorded, list) and isinstance(answer, list):
        return [at for one in answer for at in unlike(one, recorded[0], f"{path}[]")] if recorded else []
    return [] if type(answer) is type(recorded) else [path]


@pytest.mark.parametrize(
    ("path", "recorded"),
    [
        ("", "person-offender-and-probation-search-response"),
        ("/person-responsible-officer", "person-responsible-officer"),
        ("/risks/mappadetail", "person-risk-mappadetail"),
        ("/risks/dynamic", "person-risk-dynamic"),
        ("/risks/serious-harm", "person-risk-serious-harm"),
    ],
)
async def test_simulated_probation_answers_have_the_shape_of_the_recorded_ones(
    world: World, path: str, recorded: str
) -> None:
    app = probation.app(world)
    shape = json.loads((PUBLISHED / "hmpps-external-api" / f"{recorded}.json").read_text())
    headers = asking(
        **{"x-api-key": app.state.client.api_key, "subject-distinguished-name": app.state.client.distinguished_name}
    )
    answered = 0
    async with in_process(app) as client:
        for adult in world.adults:
            answer = await client.get(f"/v1/persons/{adult.crn}{path}", headers=headers)
            if answer.status_code == 303:
                continue
            assert answer.status_code == 200
            assert unlike(answer.json(), shape) == []
            answered += 1
    assert answered > 5


def test_a_difference_in_shape_is_found() -> None:
    assert unlike({"data": {"name": "x"}}, {"data": {"name": {}}}) == ["$.data.name"]
    assert unlike({"data": {}}, {"data": {"name": "x"}}) == ["$.data.name"]
    assert unlike({"data": [{"a": 1}]}, {"data": [{"a": "1"}]}) == ["$.data[].a"]


# children's services: our own contract, published in docs/wire-interfaces.md


def test_the_authorities_schema_is_the_one_that_the_interface_document_publishes() -> None:
    document = (ROOT / "docs" / "wire-interfaces.md").read_text()
    (published,) = re.findall(r"```graphql\n(.*?)```", document, re.DOTALL)
    # the document names these and leaves their values to the prose
    completed = f"""{published}
        scalar NhsNumber scalar Date scalar DateTime
        enum InvolvementStatus {{ OPEN CLOSED }}
        enum NameUse {{ CURRENT FORMER ALIAS }}
    """
    assert _signatures(SCHEMA.as_str()) == _signatures(completed)


def _signatures(sdl: str) -> set[str]:
    """Return each field of each type with its arguments and their defaults, and each value of each enum."""
    found = set()
    for kind in parse(sdl).definitions:
        if isinstance(kind, ObjectTypeDefinitionNode):
            for field in kind.fields or ():
                arguments = ", ".join(print_ast(argument) for argument in field.arguments or ())
                found.add(f"{kind.name.value}.{field.name.value}({arguments}): {print_ast(field.type)}")
        if isinstance(kind, EnumTypeDefinitionNode):
            found |= {f"{kind.name.value}.{value.name.value}" for value in kind.values or ()}
    return found
