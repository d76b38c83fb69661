"""Every field that a caller can select declares what decides its disclosure; a field that does not stops the build."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import strawberry
from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema
from strawberry.schema_directive import Location

from schema.sections import UndeclaredDisclosure
from schema.vocabulary import Scope

_KEY = "disclosure"
_SCOPE = "scope"


class Disclosure(StrEnum):
    """What decides whether a field's value may leave."""

    CALLER = "CALLER"  # a function of the caller and the configuration alone
    LOOKUP = "LOOKUP"  # the frame of an answer: outcome, sources, receipt
    INVOLVEMENT = "INVOLVEMENT"  # a row that the door let through
    PRACTITIONER = "PRACTITIONER"  # a named person in such a row
    SECTION = "SECTION"  # a deeper field, opened by its own scope
    AUDIT = "AUDIT"  # the log, read by its auditors
    ACCESS = "ACCESS"  # the agreements, read by those who answer for them; nothing of any child
    REGISTER = "REGISTER"  # what the caller's own organisation registered, or has to review


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="requiresScopes",
    description="Scopes a token needs for the field to open: one of the outer lists, all of the inner.",
)
class RequiresScopes:
    """The SDL's statement of what `auth` enforces; clients and reviewers read it, nothing else does."""

    scopes: list[list[str]]


def shown(disclosure: Disclosure, description: str | None = None, *, scope: Scope | None = None, **more: Any) -> Any:
    """Return a Strawberry field that declares its disclosure class, with `@requiresScopes` if a scope opens it."""
    directives = [RequiresScopes(scopes=[[scope.value]])] if scope else []
    metadata = {_KEY: disclosure, _SCOPE: scope}
    return strawberry.field(description=description, metadata=metadata, directives=directives, **more)


def scope_of(field: GraphQLField) -> Scope | None:
    """Return the scope that a field of a built schema declares, or None."""
    found = getattr(field.extensions.get("strawberry-definition"), "metadata", {}).get(_SCOPE)
    return found if isinstance(found, Scope) else None


def undeclared(schema: GraphQLSchema) -> Iterator[str]:
    """Yield the coordinate of every object field without a disclosure class."""
    for name, kind in sorted(schema.type_map.items()):
        if name.startswith("__") or not isinstance(kind, GraphQLObjectType):
            continue
        for field_name, field in kind.fields.items():
            definition = field.extensions.get("strawberry-definition")
            if not isinstance(getattr(definition, "metadata", {}).get(_KEY), Disclosure):
                yield f"{name}.{field_name}"


def require_declared(schema: GraphQLSchema) -> None:
    """Raise UndeclaredDisclosure naming every field that nobody decided about."""
    if missing := list(undeclared(schema)):
        raise UndeclaredDisclosure("no disclosure class: " + ", ".join(missing))
