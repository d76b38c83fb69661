"""Seeded faults, at least one for each kind of place: plausible lines after which a canary comes out there.

Each takes pytest's MonkeyPatch, makes its change and says in the name under which it is listed where it must be found.
"""

from __future__ import annotations

import hashlib
import logging
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import prometheus_client
import pytest
import structlog

from auth import disclosure
from gateway import lookup, metrics
from gateway.app import Gateway
from gateway.asked import Access, Key
from gateway.audit.keys import AuditKeys
from gateway.errors import BadUserInput, GatewayError
from gateway.federation import fanout, gathering
from gateway.federation.fanout import FanOut, SourceOutcome
from gateway.graphql import endpoint, execution
from gateway.lookup_budgets import LookupBudgets
from gateway.lookup_record import LookupRecord
from gateway.tracing import spans
from gateway.tracing.spans import CURRENT, Step, Vocabulary
from gateway.tracing.traced import TracedLookups
from gateway.tracing.tracing import Tracing
from schema import types
from schema.records import ChildRef

Fault = Callable[[pytest.MonkeyPatch], None]


def an_exception_is_logged_with_its_text(patch: pytest.MonkeyPatch) -> None:
    def ours(source: str, fault: Exception, started: float) -> SourceOutcome:
        structlog.get_logger("gateway.federation.fanout").error("connector_fault", source=source, text=str(fault))
        return fanout._none(source, fanout.SourceReason.PROTOCOL, fanout.OUR_FAULT, started)

    patch.setattr(fanout, "_ours", ours)


def a_library_logs_what_is_asked(patch: pytest.MonkeyPatch) -> None:
    asking = FanOut._ask

    async def ask(self: FanOut, connector: Any, subjects: Sequence[Any], *rest: Any) -> SourceOutcome:
        if isinstance(subjects[0], ChildRef):
            logging.getLogger("a.driver").info("GET /children/%s", subjects[0].nhs_number)
        return await asking(self, connector, subjects, *rest)

    patch.setattr(FanOut, "_ask", ask)


def a_line_for_debugging_is_left_in(patch: pytest.MonkeyPatch) -> None:
    told = gathering.disclose

    def disclose(facts: Sequence[disclosure.SourceFacts], *rest: Any) -> disclosure.Disclosed:
        print([fact.answer.trace for fact in facts])
        return told(facts, *rest)

    patch.setattr(gathering, "disclose", disclose)


def a_traceback_is_printed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(endpoint, "_log_failure", lambda raised, _: traceback.print_exception(raised, file=sys.__stderr__))


def a_metric_is_labelled_with_the_asker(patch: pytest.MonkeyPatch) -> None:
    registry = prometheus_client.CollectorRegistry()
    counter = prometheus_client.Counter("lookups_by_person", "of whom", ["person"], registry=registry)
    writing = metrics.exposition
    deciding = LookupBudgets.charge

    async def charge(self: LookupBudgets, record: LookupRecord, *rest: Any) -> Any:
        counter.labels(record.caller.person).inc()
        return await deciding(self, record, *rest)

    patch.setattr(LookupBudgets, "charge", charge)
    patch.setattr(
        "gateway.front.operations.exposition", lambda: writing() + prometheus_client.generate_latest(registry)
    )


def readiness_tells_of_the_last_lookup(patch: pytest.MonkeyPatch) -> None:
    last: list[str] = [""]
    reading = lookup.key_from

    def key_from(*given: Any) -> Key:
        key = reading(*given)
        last[0] = key.family_name
        return key

    patch.setattr(lookup, "key_from", key_from)
    patch.setattr(Gateway, "ready", lambda self: {"audit": True, f"lookup of {last[0]}": True})


def an_error_repeats_what_was_wrong(patch: pytest.MonkeyPatch) -> None:
    reading = lookup.access_from

    def access_from(given: Mapping[str, Any]) -> Access:
        try:
            return reading(given)
        except BadUserInput:
            raise BadUserInput(f"not a reason: {given['reason']}") from None  # type: ignore[arg-type]

    patch.setattr(lookup, "access_from", access_from)


def a_header_names_the_child(patch: pytest.MonkeyPatch) -> None:
    last: list[bytes] = [b"-"]
    reading = lookup.key_from

    def key_from(*given: Any) -> Key:
        key = reading(*given)
        last[0] = hashlib.sha256(key.nhs_number.encode()).hexdigest().encode()
        return key

    patch.setattr(lookup, "key_from", key_from)
    patch.setattr(GatewayError, "headers", lambda self: [(b"x-child", last[0])])


def an_entry_is_known_by_its_sources_key(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(AuditKeys, "opaque_ids", lambda self, *begin: lambda *parts: parts[-1])


def a_budget_is_counted_for_the_person_by_name(patch: pytest.MonkeyPatch) -> None:
    opaque = AuditKeys.opaque_id
    patch.setattr(
        AuditKeys, "opaque_id", lambda self, *parts: parts[-1] if parts[0] == "person" else opaque(self, *parts)
    )


def a_pseudonym_is_a_plain_digest(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(AuditKeys, "pseudonym", lambda self, number: hashlib.sha256(number.encode()).hexdigest())


def the_log_names_the_child(patch: pytest.MonkeyPatch) -> None:
    subject = LookupRecord._subject

    def named(self: LookupRecord) -> dict[str, Any]:
        return subject(self) | ({"name": self.key.family_name} if self.key else {})

    patch.setattr(LookupRecord, "_subject", named)


def the_log_holds_who_was_not_told(patch: pytest.MonkeyPatch) -> None:
    outcome = LookupRecord.outcome
    hidden: list[str] = []
    nothing = gathering.nothing

    def of_nobody(facts: Sequence[disclosure.SourceFacts], why: Any) -> disclosure.Disclosed:
        hidden[:] = [row.local_id for fact in facts for row in fact.answer.involvements]
        return nothing(facts, why)

    patch.setattr(gathering, "nothing", of_nobody)
    patch.setattr(LookupRecord, "outcome", lambda self, **rest: outcome(self, **rest) | {"hidden": list(hidden)})


def what_failed_is_kept_in_a_file(patch: pytest.MonkeyPatch) -> None:
    encoding = execution.disclosed_fields

    def kept(compiled: Any, data: Mapping[str, Any], tree: types.ChildLookup) -> Any:
        with tempfile.NamedTemporaryFile("w", delete=False) as file:
            file.write(str(data))
        return encoding(compiled, data, tree)

    patch.setattr(execution, "disclosed_fields", kept)


def a_rejected_answer_is_kept_beside_the_database(patch: pytest.MonkeyPatch) -> None:
    asking = FanOut._ask

    async def ask(self: FanOut, connector: Any, subjects: Sequence[Any], *rest: Any) -> SourceOutcome:
        found = await asking(self, connector, subjects, *rest)
        folder = Path(tempfile.gettempdir()).parent / "world"
        if found.reason is not None and isinstance(subjects[0], ChildRef):
            (folder / "rejected.txt").write_text(f"{subjects[0].nhs_number}")
        return found

    patch.setattr(FanOut, "_ask", ask)


def a_span_names_the_child(patch: pytest.MonkeyPatch) -> None:
    permitting = TracedLookups._permit

    async def permit(self: TracedLookups, caller: Any, access: Any, plan: Any, record: Any, *rest: Any) -> None:
        trace = CURRENT.get()
        if trace is not None and record.key is not None:
            trace.took(Step.DECIDE, trace.now(), {spans.Key.CODE: str(record.key.nhs_number)})
        await permitting(self, caller, access, plan, record, *rest)

    patch.setattr(TracedLookups, "_permit", permit)
    patch.setattr(Vocabulary, "told", lambda self, given: {key.value: value for key, value in given.items()})


def a_callers_trace_is_joined(patch: pytest.MonkeyPatch) -> None:
    made = Tracing.__init__
    patch.setattr(Tracing, "__init__", lambda self, *given, **how: made(self, *given, **how | {"from_callers": True}))


FAULTS: Final[Mapping[str, tuple[Fault, str]]] = {
    "logs": (an_exception_is_logged_with_its_text, "logs"),
    "logs of libraries": (a_library_logs_what_is_asked, "logs"),
    "standard output": (a_line_for_debugging_is_left_in, "standard output"),
    "standard error": (a_traceback_is_printed, "standard error"),
    "metrics": (a_metric_is_labelled_with_the_asker, "metrics"),
    "traces": (a_span_names_the_child, "traces"),
    "traces, by their ids": (a_callers_trace_is_joined, "traces"),
    "readiness": (readiness_tells_of_the_last_lookup, "operations /readyz"),
    "errors": (an_error_repeats_what_was_wrong, "errors"),
    "headers": (a_header_names_the_child, "response headers"),
    "answers": (an_entry_is_known_by_its_sources_key, "answers"),
    "columns": (a_budget_is_counted_for_the_person_by_name, "database budget.principal"),
    "columns, by a digest": (a_pseudonym_is_a_plain_digest, "database"),
    "payloads": (the_log_names_the_child, "database audit_payload.body"),
    "payloads, of the hidden": (the_log_holds_who_was_not_told, "database audit_payload.body"),
    "temporary files": (what_failed_is_kept_in_a_file, "temporary files"),
    "files": (a_rejected_answer_is_kept_beside_the_database, "files rejected.txt"),
}
"""Where it must be found -> the fault, and the beginning of that place's name."""
