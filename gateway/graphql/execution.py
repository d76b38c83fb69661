"""From a prepared operation to its answer: lookups run first, then the operation is answered from what they gave.

A lookup's answer is a tree of plain objects; the compiled operation copies the selected fields of it. Everything else,
and a lookup that shares its operation with other fields, runs on graphql-core's executor over Strawberry's schema.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import msgspec
from graphql import ExecutionResult, FieldNode, VariableNode, execute
from graphql.execution.values import VariableValues, get_argument_values

from auth.caller import Caller
from auth.disclosure import agency_type
from auth.paths import SCOPES
from auth.standing import standing_of
from gateway.disclosed_fields import disclosed_fields
from gateway.errors import InternalServerError
from gateway.graphql.compiled import CompiledLookup, compile_lookup
from gateway.graphql.documents import Operation
from gateway.graphql.endpoint import ExecutedAnswer, RequestContext
from gateway.graphql.query import GRAPHQL_SCHEMA, ExecutionContext
from gateway.graphql.selection import SelectionKeys, lookup_fields
from gateway.lookup import Encoded, Lookups
from gateway.remembered import Remembered
from schema import types
from schema.vocabulary import Purpose, Relationship

_encode = msgspec.json.Encoder().encode
_RELATIONSHIPS = (Relationship.NONE, Relationship.ORGANISATION, Relationship.PRACTITIONER, Relationship.APPOINTED)


class Execution:
    """Answers operations of this schema."""

    def __init__(self, lookups: Lookups) -> None:
        self._lookups = lookups
        self._agencies = [agency_type(source.agency) for source in lookups.sources]
        self._keys = SelectionKeys()
        self._compiled: Remembered[Hashable, CompiledLookup] = Remembered(1024)

    async def answer(
        self, caller: Caller, operation: Operation, variables: Mapping[str, Any], context: RequestContext
    ) -> ExecutedAnswer:
        """Return the answer; for a lookup, once its OUTCOME is durable. Raises GatewayError."""
        nodes = lookup_fields(operation, variables) if operation.lookup_field else []
        if not nodes:
            return ExecutedAnswer(body=_body(self._executed(caller, operation, context, None), None))
        compiled = self._compile(operation, variables)

        def encode(tree: Any, extensions: dict[str, Any]) -> Encoded:
            data = compiled.shape(tree) if compiled.shape else self._executed(caller, operation, context, tree)
            return Encoded(_body(data, extensions), *disclosed_fields(compiled, data, tree))

        arguments = _arguments(nodes[0], variables)
        answer = await self._lookups.answer(caller, operation, variables, arguments, context.request_id, encode)
        return ExecutedAnswer(body=answer.body)

    def _compile(self, operation: Operation, variables: Mapping[str, Any]) -> CompiledLookup:
        key = self._keys.of(operation, variables)
        found = None if key is None else self._compiled.get(key)
        if found is None:
            found = compile_lookup(operation, variables)
            if key is not None:
                self._compiled.keep(key, found)
        return found

    def _executed(self, caller: Caller, operation: Operation, context: RequestContext, tree: Any) -> Mapping[str, Any]:
        result = execute(
            GRAPHQL_SCHEMA,
            operation.document,
            context_value=ExecutionContext(caller, tree, self._agencies, lambda p: self._access(caller, p)),
            variable_values=dict(context.variables),
            operation_name=operation.node.name.value if operation.node.name else None,
            hide_suggestions=True,
        )
        if not isinstance(result, ExecutionResult) or result.errors or result.data is None:
            # an error of ours: what a caller may not see is null without an error
            raise InternalServerError(context.request_id)
        return result.data

    def _access(self, caller: Caller, purpose: Purpose) -> list[types.FieldAccess]:
        entitlements = self._lookups.entitlements(caller, purpose)
        found = []
        for source in self._lookups.sources:
            entitlement = entitlements.by_custodian.get(source.id)
            if entitlement is None:
                continue  # disabled: nothing is open there to anybody
            for path in sorted(entitlement.custodian.holds & SCOPES.keys()):
                least = next((r for r in _RELATIONSHIPS if path in entitlement.at(standing_of(r))), None)
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


def _arguments(node: FieldNode, variables: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the coerced arguments of the lookup field; the usual ones are variables, which are coerced already."""
    given = {a.name.value: a.value for a in node.arguments or ()}
    if all(isinstance(value, VariableNode) for value in given.values()):
        return {name: variables[value.name.value] for name, value in given.items() if isinstance(value, VariableNode)}
    query = GRAPHQL_SCHEMA.query_type
    if query is None:
        raise TypeError("the schema has no query type")
    return get_argument_values(query.fields[node.name.value], node, VariableValues({}, dict(variables)))
