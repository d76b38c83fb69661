"""A crowd of new connections does not wait a turn of the event loop each."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from typing import Any

import pytest
import uvloop

from gateway.commands.serve import server_for

pytestmark = pytest.mark.network

CROWD = 64


async def silent(scope: Any, receive: Any, send: Any) -> None:
    """An application that is never asked for anything but to start and to stop."""
    for kind in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{kind}.complete"})


async def turns_until_all_are_taken(*, by: str) -> int:
    """Return how many turns of the loop it takes until a server has taken a crowd that came between two of them."""
    with ExitStack() as ended:
        listening = ended.enter_context(socket.create_server(("127.0.0.1", 0), backlog=CROWD))
        server = server_for(silent, "127.0.0.1", 0)
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        if by == "us":
            await server.startup([listening])
        else:
            await super(type(server), server).startup([listening])
        for _ in range(CROWD):
            ended.enter_context(socket.create_connection(listening.getsockname()))
        turns = 0
        while len(server.server_state.connections) < CROWD:
            await asyncio.sleep(0)
            turns += 1
            assert turns < 100 * CROWD, "some are never taken"
        await server.shutdown([listening])
        assert not server.server_state.connections
        assert listening.fileno() == -1
        return turns


def test_many_are_taken_in_one_turn() -> None:
    assert uvloop.run(turns_until_all_are_taken(by="us")) <= CROWD // 8


def test_the_event_loop_itself_takes_one_a_turn() -> None:
    # the day this fails, the handles in `OrderlyServer.startup` can go
    assert uvloop.run(turns_until_all_are_taken(by="uvicorn")) >= CROWD
