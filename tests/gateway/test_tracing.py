"""Which spans a request has, what stands in them and what cannot, and whose traces they belong to."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind

from connectors.base import Ask, Deadline, FieldMask
from gateway.app import Gateway
from gateway.settings import Settings, SettingsFault
from gateway.tracing import configured
from gateway.tracing.configured import check_tracing, tracing_of, vocabulary
from gateway.tracing.spans import CURRENT, UNTOLD, Key, Trace
from gateway.tracing.traced import TracedLog, TracedLookups, TracedSource
from schema.identifiers import NHSNumber
from schema.records import ChildRef
from schema.vocabulary import PurposeClass
from tests.fixtures.sources import BORN, CHILD, FAMILY, OTHER_CHILD, RaisingSource, Remembering, known, row, source
from tests.fixtures.token_factory import AUDIENCE
from tests.fixtures.traces import Kept, telemetry, traces_kept
from tests.fixtures.world import World
from tests.gateway.conftest import Running

pytestmark = pytest.mark.anyio

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
VIEWER: Mapping[str, Any] = {"query": "{ viewer { subject } }"}


def council() -> Any:
    return source("cs-amber", known(CHILD, row()), organisation="amber-council")


def police() -> Any:
    return source("police-amber", known(CHILD, row()), kind="POLICE", organisation="amber-police")


@asynccontextmanager
async def traced(running: Running, *connectors: Any, **differs: Any) -> AsyncIterator[tuple[World, Kept]]:
    with traces_kept() as kept:
        async with running(*connectors, sections=telemetry(**differs)) as world:
            yield world, kept


def by_name(spans: list[ReadableSpan]) -> dict[str, list[ReadableSpan]]:
    found: dict[str, list[ReadableSpan]] = {}
    for span in spans:
        found.setdefault(span.name.removeprefix("contactpoint."), []).append(span)
    return found


async def test_a_lookup_has_a_span_for_each_of_its_steps(running: Running) -> None:
    async with traced(running, council(), RaisingSource(police())) as (world, kept):
        told = await world.ask()
        spans = by_name(kept.spans(world.gateway))

    assert told.outcome == "INCOMPLETE"
    assert {name: len(found) for name, found in spans.items()} == {
        "request": 1,
        "authenticate": 1,
        "lookup": 1,
        "decide": 1,
        "commit": 2,
        "ask": 2,
        "merge": 1,
        "serialise": 1,
    }
    (request,), (lookup,) = spans["request"], spans["lookup"]
    assert request.parent is None
    assert request.kind is SpanKind.SERVER
    assert dict(request.attributes or {}) == {
        "contactpoint.operation": "child",
        "http.response.status_code": 200,
        "contactpoint.code": "OK",
    }
    for name in ("authenticate", "lookup"):
        assert spans[name][0].parent == request.context
    for name in ("decide", "commit", "ask", "merge", "serialise"):
        assert all(span.parent == lookup.context for span in spans[name])
    assert [(span.attributes or {})["contactpoint.record"] for span in spans["commit"]] == ["INTENT", "OUTCOME"]
    assert {
        (a["contactpoint.source"], a["contactpoint.code"], a["contactpoint.batch.size"])
        for a in (span.attributes or {} for span in spans["ask"])
    } == {("cs-amber", "ANSWERED", 1), ("police-amber", "CONNECTOR_FAULT", 1)}
    assert all(span.kind is SpanKind.CLIENT for span in spans["ask"])


async def test_a_span_stands_within_the_span_above_it(running: Running) -> None:
    async with traced(running, council()) as (world, kept):
        await world.ask()
        spans = kept.spans(world.gateway)

    by_id = {span.context.span_id: span for span in spans if span.context}
    for span in spans:
        above = by_id[span.parent.span_id] if span.parent else span
        times = (above.start_time, span.start_time, span.end_time, above.end_time)
        assert sorted(times, key=lambda t: t or 0) == list(times), span.name
        assert abs((span.start_time or 0) - time.time_ns()) < 60 * 10**9


async def test_a_refusal_and_what_is_no_lookup_have_spans_too(running: Running) -> None:
    async with traced(running, council()) as (world, kept):
        await world.client.post("/graphql", json=VIEWER)
        refused = by_name(kept.spans(world.gateway))
        kept.exporter.clear()
        await world.client.post("/graphql", json=VIEWER, headers=world.headers())
        viewed = by_name(kept.spans(world.gateway))

    assert (refused["request"][0].attributes or {})["contactpoint.code"] == "UNAUTHENTICATED"
    assert (refused["request"][0].attributes or {})["contactpoint.operation"] == "unread"
    assert set(viewed) == {"request", "authenticate"}
    assert (viewed["request"][0].attributes or {})["contactpoint.operation"] == "viewer"


async def test_a_batch_says_in_each_askers_trace_how_many_were_asked_about_in_the_call() -> None:
    upstream = TracedSource(source("cs-amber", known(CHILD, row()), known(OTHER_CHILD, row())), True, None).upstream
    traces = []

    async def asking(child: NHSNumber) -> None:
        traces.append(trace := Trace())
        CURRENT.set(trace)
        ask = Ask("", None, PurposeClass.SAFEGUARDING, Deadline.after(5), None)
        await upstream.involvements([ChildRef(child)], FieldMask(frozenset({"involvements"})), ask)

    await asyncio.gather(asyncio.create_task(asking(CHILD)), asyncio.create_task(asking(OTHER_CHILD)))

    for trace in traces:
        _, (ask,) = trace.ended({})
        assert ask.attributes == {Key.SOURCE: "cs-amber", Key.CODE: "ANSWERED", Key.BATCH: 2}


async def test_a_source_has_one_span_however_often_a_lookup_asks_it() -> None:
    """A second span would tell that the child is known: only then is there a second wave."""
    trace = Trace()
    first = trace.now()
    trace.asked("cs-amber", first, "ANSWERED", 1)
    trace.asked("police", trace.now(), "ANSWERED", 3)
    trace.asked("cs-amber", trace.now(), "DEADLINE", 1)
    _, steps = trace.ended({})

    told = [(s.attributes[Key.SOURCE], s.attributes[Key.CODE], s.attributes[Key.BATCH], s.begun) for s in steps]
    assert [t[:3] for t in told] == [("cs-amber", "DEADLINE", 1), ("police", "ANSWERED", 3)]
    assert told[0][3] == first


async def test_nothing_of_the_child_the_asker_or_what_a_client_wrote_stands_in_a_span(running: Running) -> None:
    number = str(CHILD)
    async with traced(running, council()) as (world, kept):
        strange = {
            "traceparent": f"00-{number:0>32}-{number:0>16}-01",
            "tracestate": f"vendor={FAMILY}",
            "baggage": f"child={number}",
            "User-Agent": f"agent-{FAMILY}",
            "X-Request-ID": f"{number}-{FAMILY}",
        }
        await world.ask(headers=strange, reason="a reason to be kept apart")
        await world.client.post(
            "/graphql",
            json={"query": f"query of_{number} {{ viewer {{ subject }} }}", "operationName": f"of_{number}"},
            headers=world.headers() | strange,
        )
        text = kept.text(world.gateway).decode("latin-1")

    assert "cs-amber" in text
    for secret in (number, FAMILY, str(BORN), "amber-worker", "amber-council", "a reason", "vendor", "agent-", "of_"):
        assert secret not in text, secret


def test_a_span_says_no_word_that_no_list_holds() -> None:
    told = vocabulary(["cs-amber"]).told(
        {
            Key.OPERATION: f"of_{CHILD}",
            Key.CODE: FAMILY,
            Key.SOURCE: "cs-amber",
            Key.RECORD: "INTENT",
            Key.STATUS: str(CHILD),
            Key.BATCH: True,
        }
    )

    assert told == {
        "contactpoint.operation": UNTOLD,
        "contactpoint.code": UNTOLD,
        "contactpoint.source": "cs-amber",
        "contactpoint.record": "INTENT",
    }


async def test_a_callers_trace_is_not_joined_unless_that_is_configured(running: Running) -> None:
    async with traced(running, council()) as (world, kept):
        await world.client.post("/graphql", json=VIEWER, headers=world.headers() | {"traceparent": PARENT})
        spans = kept.spans(world.gateway)

    assert {span.parent for span in spans if span.name == "contactpoint.request"} == {None}
    assert all(span.context and span.context.trace_id != int(PARENT[3:35], 16) for span in spans)


@pytest.mark.parametrize(
    ("given", "kept_as"),
    [
        pytest.param([PARENT], "joined", id="a-good-one"),
        pytest.param([PARENT[:-1] + "0"], "not traced", id="one-that-is-not-sampled"),
        pytest.param([], "its own", id="none"),
        pytest.param([PARENT, PARENT], "its own", id="two"),
        pytest.param([PARENT.upper()], "its own", id="not-in-lower-case"),
        pytest.param([f"00-{'0' * 32}-b7ad6b7169203331-01"], "its own", id="all-zeros"),
        pytest.param([f"01{PARENT[2:]}"], "its own", id="another-version"),
        pytest.param([f"{PARENT}-{FAMILY}"], "its own", id="more-than-there-is"),
    ],
)
async def test_a_traceparent_that_is_taken_in_is_a_good_one_or_none(
    running: Running, given: list[str], kept_as: str
) -> None:
    async with traced(running, council(), traces_from_callers=True) as (world, kept):
        headers = [*world.headers().items(), *(("traceparent", value) for value in given)]
        await world.client.post("/graphql", json=VIEWER, headers=headers)
        requests = by_name(kept.spans(world.gateway)).get("request", [])

    if kept_as == "not traced":
        assert requests == []
        return
    (request,) = requests
    joined = request.parent is not None and request.parent.span_id == int(PARENT[36:52], 16)
    assert joined == (kept_as == "joined")
    assert (request.context is not None and request.context.trace_id == int(PARENT[3:35], 16)) == joined


async def test_an_agency_is_sent_neither_the_callers_trace_nor_ours(running: Running) -> None:
    held = Remembering(council())
    async with traced(running, held, traces_from_callers=True) as (world, kept):
        await world.ask(headers={"traceparent": PARENT})
        spans = kept.spans(world.gateway)

    sent = {each.ask.traceparent or "" for each in held.asked}
    ours = {format(span.context.trace_id, "032x") for span in spans if span.context}
    assert ours == {PARENT[3:35]}
    assert sent
    assert not any(each[3:35] in ours for each in sent)


async def test_so_many_requests_are_traced_as_the_ratio_says(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    async with traced(running, council(), traces_ratio=0.25) as (world, kept):
        drawn = iter([0.9, 0.24, 0.25, 0.0])
        monkeypatch.setattr(world.gateway.tracing, "_drawn", lambda: next(drawn))
        for _ in range(4):
            await world.client.post("/graphql", json=VIEWER, headers=world.headers())
        requests = by_name(kept.spans(world.gateway))["request"]

    assert len(requests) == 2
    assert CURRENT.get() is None


async def test_without_an_endpoint_nothing_of_traces_is_in_the_way(running: Running) -> None:
    async with running(council()) as world:
        gateway: Gateway = world.gateway

    assert gateway.tracing is None
    assert not isinstance(gateway.log, TracedLog)
    assert not isinstance(gateway.lookups, TracedLookups)
    assert not any(isinstance(each, TracedSource) for each in gateway.sources)


def test_without_an_endpoint_the_library_is_not_even_imported() -> None:
    program = "import sys, gateway.commands.serve; print([m for m in sys.modules if 'opentelemetry' in m])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def settings_with(section: Mapping[str, Any]) -> Settings:
    return Settings(resource={"identifier": AUDIENCE}, telemetry=section)  # type: ignore[arg-type]


def test_an_endpoint_without_the_library_is_a_fault_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configured, "_NEEDED", ("opentelemetry.of_nobody",))
    settings = settings_with(telemetry()["telemetry"])

    for check in (check_tracing, lambda given: tracing_of(given, ())):
        with pytest.raises(SettingsFault) as fault:
            check(settings)
        assert fault.value.faults == [
            "telemetry.traces_endpoint: needs the packages of the extra `telemetry`, which are not installed"
        ]


@pytest.mark.parametrize(
    "section",
    [
        {"traces_endpoint": "http://collector.example/v1/traces"},
        {"traces_endpoint": "https://user:secret@collector.example/v1/traces"},
        {"traces_endpoint": "collector"},
        {"traces_ratio": 0},
        {"traces_ratio": 1.5},
    ],
)
def test_a_bad_setting_is_refused_without_its_value(section: Mapping[str, Any]) -> None:
    with pytest.raises(ValueError) as fault:
        settings_with(section)

    assert "collector" not in str(fault.value).replace("traces_endpoint", "")
