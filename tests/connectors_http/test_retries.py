"""A call is made once more at most, where that is safe and time is left, and a source in trouble is spared."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from connectors.base import Deadline
from connectors.faults import FaultCode, SourceFailed
from connectors.http import Reply, SourceClient
from connectors.retries import Repeating, RetryBudget
from tests.fixtures.fault_server import FAULTS, Answer, FaultServer, good, in_turn, resets, response, says

pytestmark = [pytest.mark.anyio, pytest.mark.network]

UNWELL = says(response(status="500 Internal Server Error"))


def busy(retry_after: str | None) -> Answer:
    extra = "" if retry_after is None else f"Retry-After: {retry_after}\r\n"
    return says(response(b"", "503 Service Unavailable", extra=extra))


@pytest.fixture
async def clients() -> AsyncIterator[list[SourceClient]]:
    opened: list[SourceClient] = []
    yield opened
    for client in opened:
        await client.aclose()


def client_of(server: FaultServer, clients: list[SourceClient]) -> SourceClient:
    clients.append(SourceClient(server.url, allow_private=False))
    return clients[-1]


async def ask(client: SourceClient, *, seconds: float = 2.0, **how: object) -> Reply:
    arguments = {"json": {"nhsNumber": "9990000018"}, "request_id": "7d1c-4f", **how}
    return await client.request("POST", "/search", deadline=Deadline.after(seconds), **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(resets(), id="reset-before-the-first-byte"),
        pytest.param(UNWELL, id="500-once"),
        pytest.param(busy("0"), id="503-that-says-at-once"),
    ],
)
async def test_what_cannot_have_been_answered_is_tried_once_more_under_the_same_id(
    first: Answer, clients: list[SourceClient]
) -> None:
    async with FaultServer(in_turn(first, good)) as server:
        reply = await ask(client_of(server, clients))

    assert reply.status == 200
    assert [r.headers["x-request-id"] for r in server.received] == ["7d1c-4f"] * 2


@pytest.mark.parametrize("again", [resets(), UNWELL, busy("0")], ids=["reset", "500", "503"])
async def test_it_is_not_tried_a_third_time(again: Answer, clients: list[SourceClient]) -> None:
    async with FaultServer(in_turn(again, again, good)) as server:
        with pytest.raises(SourceFailed):
            await ask(client_of(server, clients))

    assert len(server.received) == 2


@pytest.mark.parametrize(
    "retry_after",
    [
        pytest.param(None, id="does-not-say"),
        pytest.param("1", id="later-than-is-left"),
        pytest.param("1000000000", id="thirty-years"),
        pytest.param("-1", id="negative"),
        pytest.param("soon", id="a-word"),
        pytest.param(format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True), id="a-date-too-far"),
    ],
)
async def test_a_503_is_tried_again_only_when_it_names_a_time_that_is_left(
    retry_after: str | None, clients: list[SourceClient]
) -> None:
    async with FaultServer(in_turn(busy(retry_after), good)) as server:
        with pytest.raises(SourceFailed) as failed:
            await ask(client_of(server, clients), seconds=0.5)

    assert failed.value.code is FaultCode.OVERLOADED
    assert len(server.received) == 1


@pytest.mark.parametrize("name", ["401", "429", "404-bare", "html-login-page", "nan", "cut-short-of-its-length"])
async def test_an_answer_that_cannot_be_used_is_not_asked_for_again(name: str, clients: list[SourceClient]) -> None:
    async with FaultServer(in_turn(FAULTS[name].answer, good)) as server:
        with pytest.raises(SourceFailed):
            await ask(client_of(server, clients))

    assert len(server.received) == 1


@pytest.mark.parametrize("first", [UNWELL, busy("0"), resets()], ids=["500", "503", "reset"])
async def test_what_must_not_arrive_twice_is_sent_once(first: Answer, clients: list[SourceClient]) -> None:
    async with FaultServer(in_turn(first, good)) as server:
        with pytest.raises(SourceFailed):
            await ask(client_of(server, clients), repeatable=False)

    assert len(server.received) == 1


async def test_a_connection_that_was_refused_at_once_is_tried_again(clients: list[SourceClient]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    server = FaultServer(good)
    client = SourceClient(f"http://127.0.0.1:{port}", allow_private=False)
    clients.append(client)
    opened: list[asyncio.Server] = []

    class Comes(RetryBudget):
        def spend(self) -> bool:
            opened.append(asyncio.get_running_loop().create_task(server.listen(port)))  # type: ignore[arg-type]
            return super().spend()

    vars(client)["_retries"] = Comes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("connectors.http.Repeating.pause_before", lambda *_, **__: 0.1)
        reply = await ask(client)
    await server.__aexit__(None, None, None)

    assert reply.status == 200


async def test_a_source_in_trouble_is_asked_a_tenth_more_and_not_twice_as_much(clients: list[SourceClient]) -> None:
    async with FaultServer(UNWELL) as server:
        client = client_of(server, clients)
        for _ in range(200):
            with pytest.raises(SourceFailed):
                await ask(client)

    assert len(server.received) == 220


async def test_one_sources_trouble_spends_nothing_of_anothers_budget(clients: list[SourceClient]) -> None:
    async with FaultServer(UNWELL) as unwell, FaultServer(in_turn(resets(), good)) as other:
        troubled = client_of(unwell, clients)
        for _ in range(20):
            with pytest.raises(SourceFailed):
                await ask(troubled)
        reply = await ask(client_of(other, clients))

    assert reply.status == 200


async def test_a_source_is_told_how_long_it_is_still_waited_for(clients: list[SourceClient]) -> None:
    async with FaultServer(in_turn(resets(), good)) as server:
        await ask(client_of(server, clients), seconds=1.0)

    first, second = (int(r.headers["x-request-timeout-ms"]) for r in server.received)
    assert 0 < second < first <= 1000


class SlowCredentials:
    """Take a while to be had, and are refused once."""

    def __init__(self) -> None:
        self._refusals = 0

    def at_hand(self) -> None:
        return None

    async def headers(self) -> Mapping[str, str]:
        await asyncio.sleep(0.1)
        return {"Authorization": "Bearer a"}

    def refused(self, headers: Mapping[str, str]) -> bool:
        self._refusals += 1
        return self._refusals == 1

    async def aclose(self) -> None:
        return None


async def test_what_the_sign_in_took_is_not_promised_to_the_source(clients: list[SourceClient]) -> None:
    async with FaultServer(in_turn(FAULTS["401"].answer, good)) as server:
        clients.append(SourceClient(server.url, allow_private=False, auth=SlowCredentials()))
        await ask(clients[-1], seconds=2.0)

    first, second = (int(r.headers["x-request-timeout-ms"]) for r in server.received)
    assert 0 < second <= first - 100 <= 1800


async def test_nothing_is_sent_again_when_a_busy_loop_wakes_too_late_for_it(clients: list[SourceClient]) -> None:
    async def resets_a_busy_loop(*connection: Any) -> None:
        await resets()(*connection)
        # after the pause has begun: its end is seen when the deadline has passed
        asyncio.get_running_loop().call_later(0.001, time.sleep, 0.4)

    async with FaultServer(in_turn(good, good, resets_a_busy_loop, good)) as server:
        client = client_of(server, clients)
        await asyncio.gather(ask(client), ask(client))  # so that a connection is at hand when one is reset
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("connectors.http.Repeating.pause_before", lambda *_, **__: 0.02)
            with pytest.raises(SourceFailed) as failed:
                await ask(client, seconds=0.3)
        await asyncio.sleep(0.05)

    assert failed.value.code is FaultCode.DEADLINE
    assert len(server.received) == 3


def test_calls_that_go_well_save_for_ten_repetitions_and_no_more() -> None:
    budget = RetryBudget()
    for _ in range(1000):
        budget.earn()

    assert [budget.spend() for _ in range(11)] == [True] * 10 + [False]


async def test_pauses_are_spread_and_a_silent_connect_is_not_repeated() -> None:
    failure, once = SourceFailed(FaultCode.CONNECT), Repeating(repeatable=False, separable=False)
    deadline = Deadline.after(1)
    pauses = {once.pause_before(failure, deadline, took_seconds=0.0) for _ in range(20)}

    assert len(pauses) > 10
    assert once.pause_before(failure, deadline, took_seconds=0.3) is None
    assert once.pause_before(failure, Deadline.after(-1), took_seconds=0.0) is None


@pytest.mark.parametrize("first", [UNWELL, resets()], ids=["500", "reset"])
async def test_a_call_for_several_children_is_not_made_again_where_each_is_asked_about_alone(
    first: Answer, clients: list[SourceClient]
) -> None:
    async with FaultServer(in_turn(first, good)) as server:
        with pytest.raises(SourceFailed):
            await ask(client_of(server, clients), separable=True)

    assert len(server.received) == 1
