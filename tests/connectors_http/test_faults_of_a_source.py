"""Every way in which a source can fail gives its own code within the deadline, and a good source gets through."""

from __future__ import annotations

import asyncio
import re
import socket
import time
import traceback
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import msgspec
import pytest

from connectors.faults import REASON_OF
from connectors.http import Deadline, FaultCode, Reply, SourceClient, SourceFailed
from schema.vocabulary import NOT_ASKED_REASONS
from tests.fixtures.fault_server import (
    FAULTS,
    GOOD_BODY,
    Fault,
    FaultServer,
    Received,
    chunked,
    drips,
    good,
    head,
    in_turn,
    resets,
    response,
    says,
)

pytestmark = [pytest.mark.anyio, pytest.mark.network]

SECONDS = 0.25


class Envelope(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    complete: bool
    count: int
    nhs_number: str
    involvements: list[str]


async def ask(client: SourceClient, *, seconds: float = SECONDS, **how: object) -> Reply:
    arguments = {"json": {"nhsNumber": "9990000018"}, "request_id": "7d1c", **how}
    return await client.request("POST", "/search", deadline=Deadline.after(seconds), **arguments)  # type: ignore[arg-type]


@pytest.fixture
async def clients() -> AsyncIterator[list[SourceClient]]:
    opened: list[SourceClient] = []
    yield opened
    for client in opened:
        await client.aclose()


def client_of(server: FaultServer, clients: list[SourceClient], **how: object) -> SourceClient:
    client = SourceClient(server.url, allow_private=False, **how)  # type: ignore[arg-type]
    clients.append(client)
    return client


async def test_a_good_answer_gets_through(clients: list[SourceClient]) -> None:
    async with FaultServer(good) as server:
        reply = await ask(client_of(server, clients), decode=Envelope)

    assert reply.status == 200
    assert reply.json == Envelope(complete=True, count=0, nhs_number="9990000018", involvements=[])


@pytest.mark.parametrize("fault", [pytest.param(fault, id=name) for name, fault in FAULTS.items()])
async def test_a_fault_gives_its_own_code_in_time(fault: Fault, clients: list[SourceClient]) -> None:
    async with FaultServer(fault.answer) as server:
        client = client_of(server, clients)
        with pytest.raises(SourceFailed) as caught:
            # far beyond every deadline: an answer that comes only now would be a wait without end
            await asyncio.wait_for(ask(client), 10)

        server.answer = good
        after = await ask(client, seconds=2)

    assert caught.value.code == fault.code
    assert caught.value.reason is REASON_OF[FaultCode(fault.code)]
    assert after.status == 200, "the pool was left unusable"


@pytest.mark.parametrize("fault", [pytest.param(fault, id=name) for name, fault in FAULTS.items()])
async def test_what_is_raised_says_neither_where_nor_about_whom(fault: Fault, clients: list[SourceClient]) -> None:
    async with FaultServer(fault.answer) as server:
        client = client_of(server, clients)
        with pytest.raises(SourceFailed) as caught:
            await client.request("GET", "/Patient/9990000018", deadline=Deadline.after(SECONDS), request_id="7d1c")

    shown = "".join(traceback.format_exception_only(caught.value)) + repr(caught.value) + str(caught.value.args)
    assert "9990000018" not in shown
    assert str(server.port) not in shown
    # with its lines of source, the trace may quote code, but it may not go on to the exception below
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_every_code_has_one_reason_and_no_reason_of_not_asking() -> None:
    assert set(REASON_OF) == set(FaultCode)
    assert not set(REASON_OF.values()) & NOT_ASKED_REASONS


@pytest.mark.parametrize("name", ["close-delimited-empty-list", "duplicate-member", "gzip-bomb"])
async def test_control_a_plain_client_believes_what_ours_refuses(name: str) -> None:
    async with FaultServer(FAULTS[name].answer) as server, httpx.AsyncClient(trust_env=False, timeout=10) as plain:
        reply = await plain.get(f"{server.url}/")

    assert reply.status_code == 200
    assert reply.json() in ([], {"count": 0})


async def test_a_refused_connection_is_a_fault_of_connecting(clients: list[SourceClient]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = SourceClient(f"http://127.0.0.1:{unused.getsockname()[1]}", allow_private=False)
        clients.append(client)
        with pytest.raises(SourceFailed) as caught:
            await ask(client)

    assert caught.value.code is FaultCode.CONNECT


async def test_a_host_that_swallows_connections_fails_before_the_deadline(clients: list[SourceClient]) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        try:
            client = SourceClient(f"http://127.0.0.1:{address[1]}", allow_private=False)
            clients.append(client)
            with pytest.raises(SourceFailed) as caught:
                await ask(client, seconds=5)
        finally:
            for filler in fillers:
                filler.close()

    assert caught.value.code is FaultCode.CONNECT


async def test_a_redirect_is_never_followed(clients: list[SourceClient]) -> None:
    async with FaultServer(good) as elsewhere:
        away = says(response(b"", "302 Found", extra=f"Location: {elsewhere.url}/latest/meta-data\r\n"))
        async with FaultServer(away) as server:
            client = client_of(server, clients)
            with pytest.raises(SourceFailed) as caught:
                await ask(client)
            reply = await ask(client, expect=frozenset({200, 302}))

    assert caught.value.code is FaultCode.REDIRECT
    assert reply.headers["location"].endswith("/latest/meta-data")
    assert reply.json is None
    assert elsewhere.connections == 0


async def test_proxies_of_the_environment_are_ignored(
    clients: list[SourceClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FaultServer(good) as proxy, FaultServer(good) as server:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        await ask(client_of(server, clients))

    assert len(server.received) == 1
    assert proxy.connections == 0


async def test_cookies_are_neither_kept_nor_sent(clients: list[SourceClient]) -> None:
    async with FaultServer(says(response(extra="Set-Cookie: a=b\r\n"))) as server:
        client = client_of(server, clients)
        await ask(client)
        await ask(client)

    assert "cookie" not in server.received[1].headers


async def test_every_request_carries_its_id_and_asks_for_no_compression(clients: list[SourceClient]) -> None:
    async with FaultServer(good) as server:
        client = client_of(server, clients, headers={"X-Agency": "a", "User-Agent": "other"})
        await ask(client, request_id="7d1c-4f", traceparent="00-ab-cd-01", accept=("application/fhir+json", "*/*"))

    sent = server.received[0].headers
    assert sent["x-request-id"] == "7d1c-4f"
    assert sent["traceparent"] == "00-ab-cd-01"
    assert sent["accept-encoding"] == "identity"
    assert sent["accept"] == "application/fhir+json, */*"
    assert sent["user-agent"] == "contactpoint-gateway"
    assert sent["x-agency"] == "a"
    assert sent["content-type"] == "application/json"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_must_not_arrive_twice_is_sent_once(method: str, clients: list[SourceClient]) -> None:
    async with FaultServer(in_turn(good, resets(), good)) as server:
        client = client_of(server, clients)
        await ask(client)
        with pytest.raises(SourceFailed) as caught:
            await client.request(
                method, "/notify", deadline=Deadline.after(SECONDS), request_id="7d1c", repeatable=False
            )

    assert caught.value.code is FaultCode.RESET
    assert len(server.received) == 2


async def test_a_source_that_failed_once_answers_the_next_call(clients: list[SourceClient]) -> None:
    async with FaultServer(in_turn(FAULTS["429"].answer, good)) as server:
        client = client_of(server, clients)
        with pytest.raises(SourceFailed):
            await ask(client)
        reply = await ask(client)

    assert reply.status == 200
    assert server.connections == 1, "a whole answer leaves the connection usable"


@pytest.mark.parametrize("pause", [pytest.param(0.0, id="at-once"), pytest.param(0.05, id="later")])
async def test_bytes_after_an_answer_never_become_the_next_answer(pause: float, clients: list[SourceClient]) -> None:
    async def two_answers(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(response())
        await asyncio.sleep(pause)
        writer.write(response(b'{"nhsNumber":"9990000026"}'))

    async with FaultServer(in_turn(two_answers, good)) as server:
        client = client_of(server, clients)
        first = await ask(client)
        await asyncio.sleep(2 * pause)
        second = await ask(client)

    assert first.json["nhsNumber"] == second.json["nhsNumber"] == "9990000018"


async def test_an_answer_may_come_byte_by_byte(clients: list[SourceClient]) -> None:
    async def slowly(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in chunked(GOOD_BODY[:5], GOOD_BODY[5:], extra="X-Trailed: a\r\n"):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    async with FaultServer(slowly) as server:
        client = client_of(server, clients)
        first = await ask(client, seconds=5, decode=Envelope)
        await ask(client, seconds=5)

    assert first.json.complete
    assert server.connections == 1


async def test_a_large_answer_within_the_cap_gets_through(clients: list[SourceClient]) -> None:
    body = b'{"filler":"' + b"a" * 2_000_000 + b'"}'
    async with FaultServer(says(response(body))) as server:
        reply = await ask(client_of(server, clients, byte_cap=4_000_000), seconds=5)

    assert len(reply.json["filler"]) == 2_000_000


async def test_an_interim_response_is_not_the_answer(clients: list[SourceClient]) -> None:
    async with FaultServer(says(b"HTTP/1.1 103 Early Hints\r\nX-Hint: a\r\n\r\n" + response())) as server:
        client = client_of(server, clients)
        reply = await ask(client)
        await ask(client)

    assert reply.status == 200
    assert "x-hint" not in {name.lower() for name in reply.headers}
    assert server.connections == 1


async def test_a_connection_is_used_again_the_last_one_first(clients: list[SourceClient]) -> None:
    async with FaultServer(good) as server:
        client = client_of(server, clients, max_connections=8)
        for _ in range(3):
            await asyncio.gather(*(ask(client, seconds=5) for _ in range(4)))

    assert server.connections <= 4
    assert len(server.received) == 12


async def test_a_connection_that_the_source_closed_while_idle_is_not_used(clients: list[SourceClient]) -> None:
    async with FaultServer(in_turn(says(response(), then_close=True), good)) as server:
        client = client_of(server, clients)
        await ask(client)
        await asyncio.sleep(0.05)
        reply = await client.request("POST", "/notify", deadline=Deadline.after(2), request_id="7d1c", repeatable=False)

    assert reply.status == 200
    assert server.connections == 2


async def test_an_answer_that_ends_the_connection_is_an_answer(clients: list[SourceClient]) -> None:
    async with FaultServer(says(response(extra="Connection: close\r\n"), then_close=True)) as server:
        client = client_of(server, clients)
        assert (await ask(client)).status == 200
        assert (await ask(client)).status == 200

    assert server.connections == 2


async def test_a_source_that_took_the_connection_is_not_dead_because_we_were_busy(clients: list[SourceClient]) -> None:
    async with FaultServer(good) as server:
        asked = asyncio.create_task(ask(client_of(server, clients), seconds=5))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        time.sleep(0.4)  # noqa: ASYNC251 - the busy loop is what is under test
        reply = await asked

    assert reply.status == 200


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a\nb", "a\rb", "a\0b"])
async def test_a_header_of_more_than_one_line_is_our_own_mistake(value: str, clients: list[SourceClient]) -> None:
    async with FaultServer(good) as server:
        with pytest.raises(ValueError, match="header"):
            await ask(client_of(server, clients), headers={"X-Agency": value})

    assert server.connections == 0


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        pytest.param("2", 2.0, id="seconds"),
        pytest.param("1000000000", 3600.0, id="thirty-years"),
        pytest.param("-5", None, id="negative"),
        pytest.param("soon", None, id="a-word"),
        pytest.param("Fri, 31 Dec 1999 23:59:59 GMT", None, id="the-past"),
        pytest.param("Fri, 31 Dec 2999 23:59:59 GMT", 3600.0, id="a-far-date"),
        pytest.param("Fri, 99 Dec 2999 23:59:59 GMT", None, id="no-date"),
    ],
)
@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
async def test_retry_after_is_read_but_not_believed(
    status: str, said: str, seconds: float | None, clients: list[SourceClient]
) -> None:
    async with FaultServer(says(response(b"", status, extra=f"Retry-After: {said}\r\n"))) as server:
        with pytest.raises(SourceFailed) as caught:
            await ask(client_of(server, clients))

    assert caught.value.retry_after_seconds == seconds
    assert len(server.received) == 1


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"count":0,"nhsNumber":"9990000018","involvements":[]}', id="complete-is-missing"),
        pytest.param(b'{"complete":"yes","count":0,"nhsNumber":"9990000018","involvements":[]}', id="wrong-type"),
        pytest.param(b'{"complete":true,"count":0,"nhsNumber":"9","involvements":[],"more":1}', id="unknown-member"),
        pytest.param(b"[]", id="a-bare-list"),
    ],
)
async def test_an_answer_of_another_shape_is_a_fault_of_schema(body: bytes, clients: list[SourceClient]) -> None:
    async with FaultServer(says(response(body))) as server:
        with pytest.raises(SourceFailed) as caught:
            await ask(client_of(server, clients), decode=Envelope)

    assert caught.value.code is FaultCode.SCHEMA


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/fhir+json; charset=UTF-8", "Application/Problem+JSON"]
)
async def test_a_typed_not_found_is_read_where_it_is_expected(content_type: str, clients: list[SourceClient]) -> None:
    body = b'{"resourceType":"OperationOutcome"}'
    async with FaultServer(says(response(body, "404 Not Found", content_type=content_type))) as server:
        reply = await ask(client_of(server, clients), expect=frozenset({200, 404}), decode=Envelope)

    assert reply.status == 404
    assert reply.json == {"resourceType": "OperationOutcome"}


@pytest.mark.parametrize("name", ["404-bare", "404-of-a-proxy"])
async def test_a_bare_not_found_is_no_answer_even_where_one_is_expected(name: str, clients: list[SourceClient]) -> None:
    async with FaultServer(FAULTS[name].answer) as server:
        with pytest.raises(SourceFailed) as caught:
            await ask(client_of(server, clients), expect=frozenset({200, 404}))

    assert caught.value.code is FaultCode.NOT_FOUND_BARE


async def test_a_full_bulkhead_refuses_at_once_and_empties_again(clients: list[SourceClient]) -> None:
    async with FaultServer(in_turn(drips(head(extra="Content-Length: 900\r\n"), b" "), good)) as server:
        client = client_of(server, clients, max_connections=1)
        slow = asyncio.create_task(ask(client, seconds=0.3))
        await server.requests(1)
        with pytest.raises(SourceFailed) as caught:
            await ask(client)
        with pytest.raises(SourceFailed):
            await slow
        reply = await ask(client)

    assert caught.value.code is FaultCode.BULKHEAD_FULL
    assert reply.status == 200
    assert len(server.received) == 2


async def test_a_source_that_holds_all_its_connections_takes_none_from_another(clients: list[SourceClient]) -> None:
    async with FaultServer(FAULTS["body-drips"].answer) as hanging, FaultServer(good) as well:
        stuck, free = (client_of(server, clients, max_connections=1) for server in (hanging, well))
        waiting = asyncio.create_task(ask(stuck, seconds=30))
        await hanging.requests(1)
        reply = await ask(free)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    assert reply.status == 200


async def test_cancelled_calls_leave_the_pool_usable(clients: list[SourceClient]) -> None:
    async with FaultServer(FAULTS["body-drips"].answer) as server:
        client = client_of(server, clients, max_connections=128)
        calls = [asyncio.create_task(ask(client, seconds=30)) for _ in range(128)]
        await server.requests(128)
        for call in calls:
            call.cancel()
        ended: Sequence[object] = await asyncio.gather(*calls, return_exceptions=True)
        server.answer = good
        reply = await ask(client, seconds=2)

    assert all(isinstance(end, asyncio.CancelledError) for end in ended)
    assert reply.status == 200


async def test_a_spent_deadline_opens_no_connection(clients: list[SourceClient]) -> None:
    async with FaultServer(good) as server:
        with pytest.raises(SourceFailed) as caught:
            await ask(client_of(server, clients), seconds=-1)

    assert caught.value.code is FaultCode.DEADLINE
    assert server.connections == 0


@pytest.mark.parametrize("echo", ["", "X-Request-ID: other\r\n"])
async def test_an_answer_to_another_request_is_a_mismatch(echo: str, clients: list[SourceClient]) -> None:
    right = says(response(extra="X-Request-ID: 7d1c\r\n"))
    async with FaultServer(in_turn(says(response(extra=echo)), right)) as server:
        client = client_of(server, clients, echoes_request_id=True)
        with pytest.raises(SourceFailed) as caught:
            await ask(client)
        reply = await ask(client)

    assert caught.value.code is FaultCode.MISMATCH
    assert reply.status == 200


def test_every_code_is_reached_by_a_test() -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    reached = {fault.code for fault in FAULTS.values()} | set(re.findall(r"FaultCode\.([A-Z_0-9]+)", tests))

    # an open circuit refuses before there is a call: tests/gateway/test_batching.py
    assert {code.name for code in FaultCode} - {"CIRCUIT_OPEN"} <= reached
