"""All simulated agencies on loopback ports of their own, in one background thread."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.demo.agencies import childrens_services, health, police, probation
from gateway.demo.agencies.answers import TRANSPORT
from gateway.demo.agencies.desk import Call, Notice
from gateway.demo.agencies.faults import Faults
from gateway.demo.families import World
from gateway.demo.staff import AUTHORITIES

_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Agency:
    """One running agency: its faults to set, its calls and access notices to read."""

    app: Starlette

    @property
    def faults(self) -> Faults:
        faults: Faults = self.app.state.faults
        return faults

    @property
    def calls(self) -> deque[Call]:
        calls: deque[Call] = self.app.state.calls
        return calls

    @property
    def notices(self) -> deque[Notice]:
        notices: deque[Notice] = self.app.state.notices
        return notices

    def subjects_asked(self) -> list[str]:
        """Return whom the agency was asked about, in order, with repetitions."""
        return [subject for call in self.calls for subject in call.subjects]


class Agencies:
    """Context manager: inside it every agency answers, and `base_urls` and `credentials` say where and how to ask.

    The keys are connector ids. The three authorities share one server: to stop one is to stop all three.
    """

    def __init__(self, world: World, *, host: str = "127.0.0.1") -> None:
        self.world = world
        self.health = Agency(health.app(world))
        self.police = Agency(police.app(world))
        self.probation = Agency(probation.app(world))
        self.childrens_services = Agency(childrens_services.app(world))
        self._host = host
        self._listeners = {
            "health-northshire": _Listener(self.health.app, host),
            "police-northshire": _Listener(self.police.app, host),
            "probation-northshire": _Listener(self.probation.app, host),
            "childrens-services": _Listener(self.childrens_services.app, host),
        }
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def base_urls(self) -> dict[str, str]:
        """Where each connector asks. Ports are chosen when the agencies start."""
        councils = self._origin("childrens-services")
        return {
            **{f"cs-{authority}": f"{councils}/{authority}" for authority in AUTHORITIES},
            "police-northshire": self._origin("police-northshire"),
            "health-northshire": f"{self._origin('health-northshire')}{health.BASE}",
            "probation-northshire": self._origin("probation-northshire"),
        }

    @property
    def credentials(self) -> dict[str, dict[str, str]]:
        """How each connector proves who it is: OAuth client credentials; for probation, a key and a certificate."""
        councils = self.childrens_services.app.state.clients
        clients = {
            **{f"cs-{authority}": (f"/{authority}", councils[authority]) for authority in AUTHORITIES},
            "police-northshire": ("", self.police.app.state.client),
            "health-northshire": ("", self.health.app.state.client),
        }
        api = self.probation.app.state.client
        return {
            **{
                connector: {
                    "token_url": f"{self._origin(connector)}{prefix}/oauth/token",
                    "client_id": client.id,
                    "client_secret": client.secret,
                    "scope": client.scope,
                }
                for connector, (prefix, client) in clients.items()
            },
            "probation-northshire": {"api_key": api.api_key, "distinguished_name": api.distinguished_name},
        }

    def __enter__(self) -> Self:
        loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self._loop = loop
        self._thread = threading.Thread(target=_run, args=(loop,), name="simulated-agencies", daemon=True)
        self._thread.start()
        for listener in self._listeners.values():
            self._do(listener.start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(_all([listener.stop() for listener in self._listeners.values()]))
        loop, thread = self._loop, self._thread
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_PATIENCE_SECONDS)
        self._loop = self._thread = None

    def stop(self, connector: str) -> None:
        """Take one agency down: its port refuses connections until `start`."""
        self._do(self._listener(connector).stop())

    def start(self, connector: str) -> None:
        """Bring one agency back on the port that it had."""
        self._do(self._listener(connector).start())

    def _listener(self, connector: str) -> _Listener:
        return self._listeners["childrens-services" if connector.startswith("cs-") else connector]

    def _origin(self, connector: str) -> str:
        return f"http://{self._host}:{self._listener(connector).port}"

    def _do(self, work: Any) -> None:
        if self._loop is None:
            work.close()
            raise RuntimeError("the agencies are not running")
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE_SECONDS)


class _Listener:
    """One server on one port, which it keeps."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._host = host
        self.port = 0
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._server is not None:
            return
        listening = socket.create_server((self._host, self.port), backlog=512)
        self.port = listening.getsockname()[1]
        config = uvicorn.Config(
            _WithTransport(self._app),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]))
        while not self._server.started:
            if self._serving.done():
                self._serving.result()
            await asyncio.sleep(0.002)  # the server tells by a flag alone

    async def stop(self) -> None:
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        await self._serving
        self._server = self._serving = None


class _WithTransport:
    """Leaves the connection in the scope, so that a fault can break the framing which a server would mend."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[TRANSPORT] = getattr(getattr(send, "__self__", None), "transport", None)
        await self._app(scope, receive, send)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()


async def _all(work: list[Any]) -> None:
    await asyncio.gather(*work)
