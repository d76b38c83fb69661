"""A gateway that is to stop says so first, goes on answering, and lets its clients go elsewhere."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from connectors.base import Connector
from gateway import app as wiring
from gateway.front.stopping import OrderlyServer, Stopping
from tests.fixtures.sources import CHILD, Remembering, known, row, source
from tests.fixtures.world import running_world

pytestmark = pytest.mark.anyio


async def _application(scope: Any, receive: Any, send: Any) -> None: ...


def server(*, wait_seconds: float = 60.0, failed: bool = False, apart: float = 2.0) -> tuple[OrderlyServer, Stopping]:
    """Return a server, for which every look at the clock is so many seconds after the one before."""
    stopping = Stopping()
    made = OrderlyServer(
        uvicorn.Config(_application),
        stopping,
        wait_seconds=wait_seconds,
        at_once=lambda: failed,
        clock=partial(next, itertools.count(1000.0, apart)),
    )
    return made, stopping


async def test_it_reads_not_ready_at_once_and_takes_connections_until_the_wait_is_over() -> None:
    made, stopping = server(wait_seconds=3.0)
    made.handle_exit(signal.SIGTERM, None)
    assert stopping.begun
    assert await made.on_tick(1) is False

    assert await made.on_tick(2) is True


async def test_who_is_told_twice_at_once_by_a_service_manager_and_by_the_supervisor_still_waits() -> None:
    made, stopping = server(apart=0.3)
    for _ in range(3):
        made.handle_exit(signal.SIGTERM, None)

    assert stopping.begun
    assert await made.on_tick(1) is False


@pytest.mark.parametrize(
    ("how", "signals"),
    [
        pytest.param({}, [signal.SIGTERM, signal.SIGTERM], id="asked-twice"),
        pytest.param({}, [signal.SIGINT], id="from-the-keyboard"),
        pytest.param({"wait_seconds": 0.0}, [signal.SIGTERM], id="no-wait-configured"),
        pytest.param({"failed": True}, [signal.SIGTERM], id="the-log-has-failed"),
    ],
)
async def test_there_is_no_wait_where_nobody_gains_by_one(how: dict[str, Any], signals: list[int]) -> None:
    made, stopping = server(**how)
    for number in signals:
        made.handle_exit(number, None)

    assert stopping.begun
    assert await made.on_tick(1) is True


@pytest.mark.network
async def test_a_worker_that_starts_never_makes_the_socket_block_from_which_another_accepts() -> None:
    """One that blocks lets the other worker, with all that it has under way, stand still until somebody connects."""
    blocks: list[bool] = []

    async def starting(scope: Any, receive: Any, send: Any) -> None:
        blocks.append(os.get_blocking(shared.fileno()))
        await send({"type": "lifespan.startup.complete"})

    with socket.create_server(("127.0.0.1", 0)) as shared:
        shared.setblocking(False)
        # what a worker gets from its supervisor: a handle of its own, which knows nothing of that
        own = socket.socket(fileno=os.dup(shared.fileno()))
        config = uvicorn.Config(starting, lifespan="on", log_config=None)
        made = OrderlyServer(config, Stopping(), wait_seconds=0.0)
        made.should_exit = True
        await made.serve(sockets=[own])

    assert blocks == [False]


@pytest.mark.parametrize("how", ["raises", "cancels-itself", "never-ends"])
async def test_a_driver_that_cannot_be_closed_keeps_no_log_from_being_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(wiring, "_LET_GO_SECONDS", 0.05)
    good, stubborn = Remembering(source("cs-amber", known(CHILD, row()))), Stubborn(source("cs-brook"), how)
    async with running_world(tmp_path, stubborn, good) as world:
        await world.ask()
        was_open = world.gateway.log.ready

    assert (was_open, world.gateway.log.ready, good.closed) == (True, False, True)


class Stubborn(Remembering):
    """A source whose driver does not let itself be closed."""

    def __init__(self, inner: Connector, how: str) -> None:
        super().__init__(inner)
        self.how = how

    async def aclose(self) -> None:
        match self.how:
            case "raises":
                raise RuntimeError("it cannot be closed")
            case "cancels-itself":
                raise asyncio.CancelledError
            case _:
                await asyncio.Event().wait()


async def test_while_it_leaves_it_answers_reads_not_ready_and_closes_each_connection(tmp_path: Path) -> None:
    async with running_world(tmp_path, source("cs-amber", known(CHILD, row()))) as world:
        staying, ready = await world.ask(), await world.client.get("/readyz")
        world.gateway.stopping.begun = True
        leaving, not_ready = await world.ask(), await world.client.get("/readyz")

    assert (staying.outcome, ready.status_code) == ("DISCLOSED", 200)
    assert "connection" not in staying.response.headers
    assert (leaving.outcome, not_ready.status_code) == ("DISCLOSED", 503)
    assert not_ready.json()["checks"]["staying"] is False
    assert leaving.response.headers["connection"] == "close"
