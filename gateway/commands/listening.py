"""The sockets and the server of what this project serves: the gateway, the demo's agencies, a witness."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from gateway.commands.errors import CommandError
from gateway.front.request_heads import BoundedHeads
from gateway.front.stopping import OrderlyServer, Stopping
from gateway.workers import DRAIN_SECONDS

_WAITING_CONNECTIONS = 2048
KEEP_ALIVE_SECONDS: Final = 620
"""The default of `server.keep_alive_seconds`."""


def server_for(
    application: ASGIApp,
    host: str,
    port: int,
    *,
    protocol: type[BoundedHeads] = BoundedHeads,
    stopping: Stopping | None = None,
    wait_seconds: float = 0.0,
    keep_alive_seconds: int = KEEP_ALIVE_SECONDS,
    at_once: Callable[[], bool] = lambda: False,
) -> uvicorn.Server:
    """Return the server as this project runs it.

    Bounded request heads, no access log, no server header, 25 s to let answers end; an idle connection is kept for
    `keep_alive_seconds`. It stops as `OrderlyServer` does.
    """
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        loop="uvloop",
        http=protocol,
        ws="none",
        lifespan="on",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing reads the address or the scheme that a proxy tells
        log_config=None,
        timeout_keep_alive=keep_alive_seconds,
        timeout_graceful_shutdown=round(DRAIN_SECONDS),
    )
    return OrderlyServer(config, stopping or Stopping(), wait_seconds=wait_seconds, at_once=at_once)


def listening_on(host: str, port: int) -> list[socket.socket]:
    """Return a listening socket for each address of `host`. Raises CommandError when one of them cannot be had.

    They listen at once: two sockets that do not yet may be bound to one port.
    """
    made: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            made.append(opened := socket.socket(family, kind, protocol))
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            opened.bind(address)
            opened.listen(_WAITING_CONNECTIONS)
            opened.setblocking(False)
    except (OSError, UnicodeError):
        close_all(made)
        raise CommandError(f"cannot listen on port {port} of server.host; is another program using it?") from None
    return made


def close_all(sockets: Sequence[socket.socket]) -> None:
    """Close these."""
    for each in sockets:
        each.close()
