"""The closed list of words of every label, but for `source`: its words are the ids of the configured connectors."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from gateway.detection.detector import RULES
from gateway.errors import GatewayError
from gateway.federation.fanout import SOURCE_CODES
from gateway.front import operations
from gateway.front.shedding import Priority
from gateway.graphql.query import GRAPHQL_SCHEMA
from gateway.graphql.root_fields import OTHER_OPERATIONS
from schema.vocabulary import LookupOutcome, SourceStatus
from tests.docs.promql import Words
from tests.docs.test_errors_and_records import concrete

_ROOTS: Final = (GRAPHQL_SCHEMA.query_type, GRAPHQL_SCHEMA.mutation_type)
_OPERATIONS: Final = (
    frozenset(name for root in _ROOTS if root for name in root.fields)
    | OTHER_OPERATIONS
    | {*operations.COUNTED_AS.values(), operations.PAGE}
)
_ANSWERED: Final = frozenset({"OK", "DISCONNECTED", *(kind.code for kind in concrete(GatewayError))}) | {
    f"HTTP_{status.value}" for status in HTTPStatus if status.value >= 400
}

WORDS: Final[Words] = {
    ("contactpoint_requests", "code"): _ANSWERED,
    ("contactpoint_requests", "operation"): _OPERATIONS,
    ("contactpoint_request_seconds", "operation"): _OPERATIONS,
    ("contactpoint_requests_shed", "priority"): frozenset(priority.name for priority in Priority),
    ("contactpoint_lookups", "outcome"): frozenset({*LookupOutcome, "FAILED"}),
    ("contactpoint_source_answers", "status"): frozenset(SourceStatus),
    ("contactpoint_source_answers", "code"): SOURCE_CODES | {""},
    ("contactpoint_plan_cache", "cache"): frozenset({"documents", "entitlements", "plans", "compiled"}),
    ("contactpoint_plan_cache", "result"): frozenset({"hit", "miss"}),
    ("contactpoint_trace_spans", "result"): frozenset({"made", "sent", "lost"}),
    ("contactpoint_agreement_reloads", "outcome"): frozenset({"loaded", "refused"}),
    ("contactpoint_detection_alerts", "rule"): frozenset(RULES),
}
