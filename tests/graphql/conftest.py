"""A small directory behind the front door: a schema with lookups, one caller with and one without `schema:read`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from graphql import DocumentNode, GraphQLError, GraphQLSchema, build_schema, execute, parse

from gateway.errors import GatewayError, InvalidCredentialsRequest, Unauthenticated
from gateway.graphql.body import BodyLimits
from gateway.graphql.documents import Documents, Operation
from gateway.graphql.endpoint import ExecutedAnswer, GraphQLEndpoint, RequestContext

SDL = """
scalar NHSNumber
scalar Date
enum Purpose { CP_S47 SYSTEM_TEST }
type Query {
  child(key: ChildKey!, access: AccessRequest!): ChildLookup!
  findChild(match: String!, access: AccessRequest!): ChildMatch!
  viewer: Viewer!
  agencies: [Agency!]!
  numbered(first: Int): [String!]!
}
type Mutation { registerAppointment(child: ID!): Boolean! }
input ChildKey { nhsNumber: NHSNumber handle: ID dateOfBirth: Date! familyName: String! }
input AccessRequest { purpose: Purpose! reason: String! }
enum LookupOutcome { DISCLOSED INCOMPLETE NOTHING_DISCLOSABLE }
type ChildLookup { outcome: LookupOutcome! complete: Boolean! advice: String! involvements: [Involvement!]! }
type ChildMatch { outcome: String! handle: ID }
type Involvement { id: ID! agency: Agency! practitioner: Practitioner next: Involvement }
type Practitioner { name: String! }
type Agency { id: ID! name: String! safeguardingLead: Contact }
type Contact { phone: String }
type Viewer { subject: String! roles: [String!]! }
"""
CHALLENGE = 'Bearer resource_metadata="https://gateway.example/.well-known/oauth-protected-resource"'


@dataclass(frozen=True, slots=True)
class Integrator:
    """A caller of these tests."""

    may_introspect: bool


async def authenticate(authorization: Sequence[str]) -> Integrator:
    if len(authorization) > 1:
        raise InvalidCredentialsRequest(CHALLENGE)
    if authorization == ["Bearer schema"]:
        return Integrator(may_introspect=True)
    if authorization == ["Bearer plain"]:
        return Integrator(may_introspect=False)
    raise Unauthenticated(CHALLENGE)


@dataclass(slots=True)
class Answers:
    """Executes on graphql-core with fixed data; `failure` is raised instead when set."""

    schema: GraphQLSchema
    failure: BaseException | None = None
    asked: list[Mapping[str, Any]] = field(default_factory=list)

    async def __call__(
        self, caller: Integrator, operation: Operation, variables: Mapping[str, Any], context: RequestContext
    ) -> ExecutedAnswer:
        self.asked.append(variables)
        if self.failure is not None:
            raise self.failure
        root = {
            "child": {"outcome": "DISCLOSED", "complete": True, "advice": "", "involvements": []},
            "findChild": {"outcome": "ONE"},
            "viewer": {"subject": "s", "roles": []},
            "agencies": [],
            "numbered": [],
            "registerAppointment": True,
        }
        result = execute(
            self.schema,
            operation.document,
            root_value=root,
            variable_values=dict(context.variables),
            operation_name=operation.node.name.value if operation.node.name else None,
        )
        assert not hasattr(result, "__await__")
        return ExecutedAnswer(data=result.data, errors=[error.formatted for error in result.errors or ()])


@dataclass(slots=True)
class Refusals:
    """Remembers what the front door refused."""

    told: list[tuple[GatewayError, Integrator | None, Operation | None]] = field(default_factory=list)

    async def __call__(
        self, error: GatewayError, caller: Integrator | None, operation: Operation | None, context: RequestContext
    ) -> None:
        self.told.append((error, caller, operation))


class CountingParse:
    """graphql-core's parser, counted."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, text: str, **options: Any) -> DocumentNode:
        self.calls += 1
        return parse(text, **options)


@dataclass(frozen=True, slots=True)
class FrontDoor:
    """The endpoint with everything that tests look at."""

    app: GraphQLEndpoint[Integrator]
    answers: Answers
    refusals: Refusals
    parse: CountingParse


def build_front_door(limits: BodyLimits | None = None) -> FrontDoor:
    schema = test_schema()
    answers, refusals, counting = Answers(schema), Refusals(), CountingParse()
    app = GraphQLEndpoint(
        documents=Documents(schema, parse=counting),
        authenticate=authenticate,
        may_introspect=lambda caller: caller.may_introspect,
        answer=answers,
        refused=refusals,
        limits=limits,
    )
    return FrontDoor(app, answers, refusals, counting)


def test_schema() -> GraphQLSchema:
    schema = build_schema(SDL)

    def refuse_all_but_ten_digits(value: object) -> object:
        if not (isinstance(value, str) and len(value) == 10 and value.isascii() and value.isdigit()):
            # quotes its input, as a careless scalar would
            raise GraphQLError(f"not an NHS number: {value}")
        return value

    schema.type_map["NHSNumber"].coerce_input_value = refuse_all_but_ten_digits  # type: ignore[attr-defined]
    return schema


test_schema.__test__ = False  # type: ignore[attr-defined]


@pytest.fixture
def schema() -> GraphQLSchema:
    return test_schema()


@pytest.fixture
def door() -> FrontDoor:
    return build_front_door()


@pytest.fixture
async def client(door: FrontDoor) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=door.app),
        base_url="http://gateway.example/graphql",
        headers={"authorization": "Bearer plain", "accept": "application/graphql-response+json"},
    ) as client:
        yield client


@pytest.fixture
def counting_parse() -> CountingParse:
    return CountingParse()


@pytest.fixture
def make_door() -> Callable[..., FrontDoor]:
    return build_front_door
