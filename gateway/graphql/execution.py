"""From a prepared operation to its answer: lookups run first, then the operation is answered from what they gave.

A lookup's answer is a tree of plain objects; the compiled operation copies the selected fields of it. Everything else,
and a lookup that shares its operation with other fields, runs on graphql-core's executor over Strawberry's schema.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from graphql import ExecutionResult, FieldNode, VariableNode, execute
from graphql.execution.values import VariableValues, get_argument_values

from auth.caller import Caller
from auth.decision import Deny
from auth.disclosure import agency_type
from auth.paths import SCOPES
from auth.rules import HasScope
from auth.standing import NO_STANDING, standing_of
from gateway.disclosed_fields import disclosed_fields
from gateway.errors import InternalServerError, RequestError
from gateway.exhaustion import raise_exhaustion
from gateway.graphql.access_queries import AccessModel
from gateway.graphql.compiled import CompiledLookup, compile_lookup
from gateway.graphql.documents import Operation
from gateway.graphql.endpoint import ExecutedAnswer, RequestContext
from gateway.graphql.query import GRAPHQL_SCHEMA, ExecutionContext
from gateway.graphql.root_fields import LOOKUP_FIELDS
from gateway.graphql.selection import lookup_fields, selection_key
from gateway.legal_day import legal_today
from gateway.lookup import Encoded, Lookups
from gateway.lookup_record import document_of
from gateway.register_requests import RegisterRequest
from gateway.registers import Registers
from gateway.remembered import Remembered
from schema import types
from schema.declaring import scope_of
from schema.vocabulary import Purpose, Relationship, Scope

_encode = msgspec.json.Encoder().encode
#: the least relationship first, each with how its holder stands before anything is known of the child
_STANDINGS = (
    (Relationship.NONE, NO_STANDING),
    (Relationship.ORGANISATION, NO_STANDING),
    (Relationship.PRACTITIONER, NO_STANDING),
    (Relationship.APPOINTED, standing_of(Relationship.APPOINTED)),
    (Relationship.OVERRIDE, standing_of(Relationship.OVERRIDE)),
)


@dataclass(frozen=True, slots=True)
class _Asking:
    caller: Caller


@dataclass(frozen=True, slots=True)
class _KnownLookup:
    """What answers a lookup, worked out once for an operation and the variables that select."""

    compiled: CompiledLookup
    node: FieldNode
    arguments: Mapping[str, str] | None  # by the name of each, the variable that it is; None if some are not


def _root_scopes() -> dict[str, Scope]:
    """Return the scope that each root field declares, if it declares one."""
    found = {}
    for root in (GRAPHQL_SCHEMA.query_type, GRAPHQL_SCHEMA.mutation_type):
        for name, field in (root.fields if root else {}).items():
            if (scope := scope_of(field)) is not None:
                found[name] = scope
    return found


ROOT_SCOPES: Mapping[str, Scope] = _root_scopes()
"""Root field -> the scope without which it is refused to a caller, and the refusal recorded."""


class Execution:
    """Answers operations of this schema."""

    def __init__(self, lookups: Lookups, registers: Registers) -> None:
        self._lookups = lookups
        self._registers = registers
        self._agencies = [agency_type(source.agency) for source in lookups.sources]
        self._access_model = AccessModel(
            lookups.agreements, legal_today, {source.id: source.custodian.kind for source in lookups.sources}
        )
        self._compiled: Remembered[Hashable, _KnownLookup] = Remembered(1024, counted_as="compiled")

    async def answer(
        self, caller: Caller, operation: Operation, variables: Mapping[str, Any], context: RequestContext
    ) -> ExecutedAnswer:
        """Return the answer; for a lookup, once its OUTCOME is durable. Raises GatewayError."""
        if operation.root_field_names != (operation.lookup_field,):
            await self._check_scopes(caller, operation, context)
        if operation.register_node is not None:
            return await self._register(caller, operation, operation.register_node, variables, context)
        known = self._known_lookup(operation, variables) if operation.lookup_field else None
        if known is None:
            return ExecutedAnswer(body=_body(self._executed(caller, operation, context, None), None))
        compiled = known.compiled

        def encode(tree: Any, extensions: dict[str, Any]) -> Encoded:
            data = compiled.shape(tree) if compiled.shape else self._executed(caller, operation, context, tree)
            return Encoded(_body(data, extensions), *disclosed_fields(compiled, data, tree))

        if known.arguments is None:
            arguments = _arguments(known.node, variables)
        else:
            arguments = {}
            for name, variable in known.arguments.items():
                arguments[name] = variables[variable]
        answer = await self._lookups.answer(
            caller,
            operation,
            variables,
            arguments,
            context.request_id,
            encode,
            within=context.wait_seconds,
            since=context.started,
        )
        kept = [(b"preference-applied", b"wait=%d" % answer.within)] if answer.within is not None else ()
        return ExecutedAnswer(body=answer.body, headers=kept)

    async def _check_scopes(self, caller: Caller, operation: Operation, context: RequestContext) -> None:
        """Raise Forbidden unless the token has the scope that each root field declares; a lookup has its own policy."""
        for name in operation.root_field_names:
            scope = None if name in LOOKUP_FIELDS else ROOT_SCOPES.get(name)
            decision = HasScope(scope).decide(_Asking(caller)) if scope is not None else None
            if isinstance(decision, Deny):
                await self._registers.refuse(self._request(caller, operation, context), decision)

    async def _register(
        self,
        caller: Caller,
        operation: Operation,
        node: FieldNode,
        variables: Mapping[str, Any],
        context: RequestContext,
    ) -> ExecutedAnswer:
        root = GRAPHQL_SCHEMA.query_type if operation.is_query else GRAPHQL_SCHEMA.mutation_type
        if root is None:
            raise TypeError("the schema lacks a root type")
        arguments = get_argument_values(root.fields[node.name.value], node, VariableValues({}, dict(variables)))
        request = self._request(caller, operation, context)
        told = await self._registers.answer(node.name.value, request, arguments)
        return ExecutedAnswer(body=_body(self._executed(caller, operation, context, None, told), None))

    def _request(self, caller: Caller, operation: Operation, context: RequestContext) -> RegisterRequest:
        return RegisterRequest(caller, context.request_id, document_of(operation, self._lookups.keys))

    def _known_lookup(self, operation: Operation, variables: Mapping[str, Any]) -> _KnownLookup | None:
        """Return what answers the operation's lookup; None where `@skip` or `@include` leave it out."""
        key = selection_key(operation, variables)
        found = None if key is None else self._compiled.get(key)
        if found is None:
            nodes = lookup_fields(operation, variables)
            if not nodes:
                return None
            found = _KnownLookup(compile_lookup(operation, variables), nodes[0], _variables_of(nodes[0]))
            if key is not None:
                self._compiled.keep(key, found)
        return found

    def _executed(
        self, caller: Caller, operation: Operation, context: RequestContext, tree: Any, register: Any = None
    ) -> Mapping[str, Any]:
        result = execute(
            GRAPHQL_SCHEMA,
            operation.document,
            context_value=ExecutionContext(
                caller, tree, self._agencies, lambda p: self._access(caller, p), self._access_model, register
            ),
            variable_values=dict(context.variables),
            operation_name=operation.node.name.value if operation.node.name else None,
            hide_suggestions=True,
        )
        for error in (result.errors if isinstance(result, ExecutionResult) else None) or ():
            if isinstance(error.original_error, RequestError):
                raise error.original_error  # an argument that its type takes and its field does not
            raise_exhaustion(error)
        if not isinstance(result, ExecutionResult) or result.errors or result.data is None:
            # an error of ours: what a caller may not see is null without an error
            raise InternalServerError(context.request_id)
        return result.data

    def _access(self, caller: Caller, purpose: Purpose) -> list[types.FieldAccess]:
        # who is appointed, or uses break-glass, is let ask where others are not: each is entitled apart
        entitled = {floor: self._lookups.entitlements(caller, purpose, floor) for _, floor in _STANDINGS}
        entitlements = entitled[NO_STANDING]
        standings = [s for s in _STANDINGS if s[0] is not Relationship.OVERRIDE or Scope.OVERRIDE in caller.scopes]
        found = []
        for source in self._lookups.sources:
            entitlement = entitlements.by_custodian.get(source.id)
            if entitlement is None:
                continue  # disabled: nothing is open there to anybody
            for path in sorted(entitlement.custodian.holds & SCOPES.keys()):
                least = next(
                    (
                        relationship
                        for relationship, floor in standings
                        if path in entitled[floor].by_custodian[source.id].at(standing_of(relationship))
                    ),
                    None,
                )
                why = None if least is not None else entitlements.withheld(path, entitlement)
                found.append(
                    types.FieldAccess(
                        agency=agency_type(source.agency),
                        field=path,
                        open=least is not None,
                        relationship=least,
                        code=why[0] if why else None,
                        required_scopes=list(why[1]) if why else [],
                    )
                )
        return found


def _body(data: Mapping[str, Any], extensions: dict[str, Any] | None) -> bytes:
    return _encode({"data": data, "extensions": extensions} if extensions else {"data": data})


def _variables_of(node: FieldNode) -> Mapping[str, str] | None:
    """Return the variable of each argument; None unless each is one, as is usual: those are coerced already."""
    given = {argument.name.value: argument.value for argument in node.arguments or ()}
    found = {name: value.name.value for name, value in given.items() if isinstance(value, VariableNode)}
    return found if len(found) == len(given) else None


def _arguments(node: FieldNode, variables: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the coerced arguments of a lookup field."""
    query = GRAPHQL_SCHEMA.query_type
    if query is None:
        raise TypeError("the schema has no query type")
    return get_argument_values(query.fields[node.name.value], node, VariableValues({}, dict(variables)))
