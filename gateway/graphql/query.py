"""The schema: what can be asked. Resolvers hand out what was decided before execution began; they decide nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import strawberry
from graphql import GraphQLSchema
from strawberry.schema.config import StrawberryConfig

from auth.caller import Caller
from gateway.graphql.access_queries import AccessModel, AccessQueries
from gateway.graphql.mutation import Mutation, RegisterQueries
from schema import types
from schema.declaring import Disclosure, require_declared, shown
from schema.vocabulary import Purpose, Scope


@dataclass(frozen=True, slots=True)
class ExecutionContext:
    """What resolvers may hand out."""

    caller: Caller
    lookup: Any  # the tree that the door made, or None for an operation without a lookup
    agencies: Sequence[types.Agency]
    access: Callable[[Purpose], list[types.FieldAccess]]
    access_model: AccessModel
    register: Any = None  # what a register gave, for an operation that asks one


def _access(info: strawberry.Info, purpose: Purpose) -> list[types.FieldAccess]:
    context: ExecutionContext = info.context
    return context.access(purpose)


@strawberry.type(description="Who is asking, and what is open to them.")
class Viewer(types.ViewerFacts):
    """The caller's own standing; nothing of any child."""

    access: list[types.FieldAccess] = shown(
        Disclosure.CALLER,
        "What is open to this caller for a purpose, at each agency, whatever the child.",
        resolver=_access,
    )


def _child(info: strawberry.Info, key: types.ChildKey, access: types.AccessRequest) -> types.ChildLookup:
    return info.context.lookup


def _viewer(info: strawberry.Info) -> Viewer:
    caller: Caller = info.context.caller
    return Viewer(
        subject=caller.subject,
        organisation=caller.organisation,
        on_behalf_of=caller.on_behalf_of.subject if caller.on_behalf_of else None,
        roles=sorted(caller.effective_roles),
        scopes=sorted(caller.scopes),
    )


def _agencies(info: strawberry.Info) -> list[types.Agency]:
    return list(info.context.agencies)


@strawberry.type
class Query(RegisterQueries, AccessQueries):
    """The root."""

    child: types.ChildLookup = shown(
        Disclosure.LOOKUP,
        "Who else is working with this child, and how do I reach them? `outcome` must be selected.",
        scope=Scope.INVOLVEMENT,
        resolver=_child,
    )
    viewer: Viewer = shown(Disclosure.CALLER, "The caller.", resolver=_viewer)
    agencies: list[types.Agency] = shown(
        Disclosure.CALLER, "The agencies that this gateway can ask.", resolver=_agencies
    )


SCHEMA = strawberry.Schema(
    Query, Mutation, config=StrawberryConfig(scalar_map={types.NHSNumber: types.NHS_NUMBER_SCALAR}), extensions=[]
)
GRAPHQL_SCHEMA: GraphQLSchema = SCHEMA._schema
require_declared(GRAPHQL_SCHEMA)


def sdl() -> str:
    """Return the published SDL."""
    return SCHEMA.as_str() + "\n"
