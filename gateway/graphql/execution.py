"""From a prepared operation to its answer: lookups run first, then the operation is executed over what they gave.

Strawberry's schema is executed by graphql-core here. The seam for a compiled plan is `encode`: a lookup's answer is a
tree of plain objects, and whatever copies the selected fields of it into JSON may take the executor's place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from graphql import ExecutionResult, execute
from graphql.execution.values import VariableValues, get_argument_values

from auth.caller import Caller
from auth.disclosure import agency_type
from auth.paths import SCOPES
from gateway.errors import InternalServerError
from gateway.graphql.documents import Operation
from gateway.graphql.endpoint import ExecutedAnswer, RequestContext
from gateway.graphql.query import GRAPHQL_SCHEMA, ExecutionContext
from gateway.graphql.selection import lookup_fields
from gateway.lookup import Lookups
from schema import types
from schema.vocabulary import Purpose, Relationship

_encode = msgspec.json.Encoder().encode
_RELATIONSHIPS = (Relationship.NONE, Relationship.ORGANISATION, Relationship.PRACTITIONER, Relationship.APPOINTED)


class Execution:
    """Answers operations of this schema."""

    def __init__(self, lookups: Lookups) -> None:
        self._lookups = lookups
        self._agencies = [agency_type(source.agency) for source in lookups.sources]

    async def answer(
        self, caller: Caller, operation: Operation, variables: Mapping[str, Any], context: RequestContext
    ) -> ExecutedAnswer:
        """Return the answer; for a lookup, once its OUTCOME is durable. Raises GatewayError."""
        nodes = lookup_fields(operation, variables) if operation.lookup_field else []
        if not nodes:
            # `@skip` may leave no lookup in: then nobody is asked about anybody
            return ExecutedAnswer(body=self._executed(caller, operation, context, None, None)[1])
        field = GRAPHQL_SCHEMA.query_type.fields["child"] if GRAPHQL_SCHEMA.query_type else None
        if field is None:
            raise InternalServerError(context.request_id)
        arguments = get_argument_values(field, nodes[0], VariableValues({}, dict(variables)))

        def encode(tree: Any, extensions: dict[str, Any]) -> tuple[Mapping[str, Any], bytes]:
            return self._executed(caller, operation, context, tree, extensions)

        answer = await self._lookups.answer(caller, operation, variables, arguments, context.request_id, encode)
        return ExecutedAnswer(body=answer.body)

    def _executed(
        self, caller: Caller, operation: Operation, context: RequestContext, tree: Any, extensions: Any
    ) -> tuple[Mapping[str, Any], bytes]:
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
        response: dict[str, Any] = {"data": result.data}
        if extensions:
            response["extensions"] = extensions
        return result.data, _encode(response)

    def _access(self, caller: Caller, purpose: Purpose) -> list[types.FieldAccess]:
        entitlements = self._lookups.entitlements(caller, purpose)
        found = []
        for source in self._lookups.sources:
            entitlement = entitlements.by_custodian.get(source.id)
            if entitlement is None:
                continue  # disabled: nothing is open there to anybody
            for path in sorted(entitlement.custodian.holds & SCOPES.keys()):
                least = next((r for r in _RELATIONSHIPS if path in entitlement.at(r)), None)
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
