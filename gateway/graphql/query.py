"""The schema: what can be asked. Resolvers hand out what was decided before execution began; they decide nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import strawberry
from graphql import GraphQLSchema
from strawberry.schema.config import StrawberryConfig

from auth.caller import Caller
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


@strawberry.type(description="Who is asking, and what is open to them.")
class Viewer(types.ViewerFacts):
    """The caller's own standing; nothing of any child."""

    @shown(Disclosure.CALLER, "What is open to this caller for a purpose, at each agency, whatever the child.")
    def access(self, info: strawberry.Info, purpose: Purpose) -> list[types.FieldAccess]:
        """Return one entry for each agency and path."""
        context: ExecutionContext = info.context
        return context.access(purpose)


@strawberry.type
class Query:
    """The root."""

    @shown(
        Disclosure.LOOKUP,
        "Who else is working with this child, and how do I reach them? `outcome` must be selected.",
        scope=Scope.INVOLVEMENT,
    )
    def child(self, info: strawberry.Info, key: types.ChildKey, access: types.AccessRequest) -> types.ChildLookup:
        """Return the lookup that was run before execution began."""
        return info.context.lookup

    @shown(Disclosure.CALLER, "The caller.")
    def viewer(self, info: strawberry.Info) -> Viewer:
        """Return who is asking."""
        caller: Caller = info.context.caller
        return Viewer(
            subject=caller.subject,
            organisation=caller.organisation,
            on_behalf_of=caller.on_behalf_of.subject if caller.on_behalf_of else None,
            roles=sorted(caller.effective_roles),
            scopes=sorted(caller.scopes),
        )

    @shown(Disclosure.CALLER, "The agencies that this gateway can ask.")
    def agencies(self, info: strawberry.Info) -> list[types.Agency]:
        """Return the configured agencies."""
        return list(info.context.agencies)


SCHEMA = strawberry.Schema(
    Query, config=StrawberryConfig(scalar_map={types.NHSNumber: types.NHS_NUMBER_SCALAR}), extensions=[]
)
GRAPHQL_SCHEMA: GraphQLSchema = SCHEMA._schema
require_declared(GRAPHQL_SCHEMA)


def sdl() -> str:
    """Return the published SDL."""
    return SCHEMA.as_str() + "\n"
