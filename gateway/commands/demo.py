"""`contactpoint demo`: fictional agencies, identity provider and gateway; three lookups over HTTP, then it stays up."""

from __future__ import annotations

import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import click
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from gateway import app as wiring
from gateway.audit.errors import AuditError
from gateway.audit.keys import KeyFileRefused
from gateway.commands.asking import ask, described
from gateway.commands.errors import CommandError, OneLineCommand
from gateway.commands.listening import listening_on, server_for
from gateway.commands.lookup import ask_gateway, console, lookup_variables
from gateway.commands.rendering import render_lookup
from gateway.commands.token import fetch_token, persona_named
from gateway.demo.agencies.server import Agencies
from gateway.demo.appointing import appoint_guardian
from gateway.demo.configuration import demo_settings
from gateway.demo.families import World, make_world
from gateway.demo.identity_provider import IdentityProvider, identity_provider
from gateway.demo.personas import PERSONAS
from gateway.front import asgi
from gateway.front.early_refusals import refusing_early
from gateway.settings import SettingsFault
from gateway.storage.errors import StorageError
from gateway.telemetry import configure_logs
from schema.identifiers import NHSNumber
from schema.vocabulary import Purpose

_ASKERS = ("social-worker", "health-visitor", "school-lead")
_START_SECONDS = 10.0


@click.command(cls=OneLineCommand)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen.")
@click.option("--port", default=8000, show_default=True, metavar="PORT", type=click.IntRange(0, 65535))
@click.option("--data", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), help="Default: a new folder.")
@click.option("--children", default=2000, show_default=True, metavar="N", type=click.IntRange(50, 100_000))
@click.option("--seed", default=7, show_default=True, metavar="N", type=int, help="The same seed, the same families.")
@click.option("--once", is_flag=True, help="Stop after the lookups, with exit code 0.")
def demo(host: str, port: int, data: Path | None, children: int, seed: int, once: bool) -> None:
    """Show the gateway at work on fictional families.

    \b
    Examples:
      contactpoint demo
      contactpoint demo --once
      contactpoint demo --port 8080 --data ./demo-data
    """
    sockets = _listening(host, port)
    if data is not None:
        _run(host, sockets, data, children, seed, once, kept=True)
        return
    # nobody asked for the folder, so nobody would clear it away
    with tempfile.TemporaryDirectory(prefix="contactpoint-demo-", ignore_cleanup_errors=True) as made:
        _run(host, sockets, Path(made), children, seed, once, kept=False)


def _run(
    host: str, sockets: list[socket.socket], data: Path, children: int, seed: int, once: bool, *, kept: bool
) -> None:
    port: int = sockets[0].getsockname()[1]
    url = f"http://{'127.0.0.1' if host in {'0.0.0.0', '::'} else host}:{port}"  # noqa: S104 - told, not bound
    note = _noter()
    try:
        data.mkdir(parents=True, exist_ok=True)
        note(f"making {children} fictional children and starting the agencies")
        world = make_world(seed, children)
        with Agencies(world) as agencies:
            provider = identity_provider(f"{url}/idp", f"{url}/graphql")
            settings = demo_settings(data, url, world, agencies, provider, port, host)
            configure_logs(settings.telemetry)
            gateway = wiring.build(settings)
            application = asgi.application(gateway, more_routes=_demo_routes(world, provider))
            server = server_for(application, host, port, protocol=refusing_early(gateway.early_refusals))
            note("starting the gateway")
            with _Running(server, sockets):
                _appoint(url, world)
                stop = None if once else ToldToStop()
                _show(url, world, data, kept=kept, once=once)
                while stop and not stop.within(0.5) and not server.should_exit:
                    pass
    except SettingsFault as fault:
        raise CommandError(fault.faults[0]) from None
    except (StorageError, AuditError, KeyFileRefused) as fault:
        raise CommandError(str(fault)) from None
    except OSError as fault:
        raise CommandError(f"the demo could not start: {fault.strerror or type(fault).__name__}") from None


def _listening(host: str, port: int) -> list[socket.socket]:
    """Return the sockets of the port, or of a free one for 0, from now on nobody else's. Raises CommandError."""
    try:
        return listening_on(host, port)
    except CommandError:
        raise CommandError(
            f"port {port} of --host cannot be used; choose another with --port, or an address of this machine"
        ) from None


def _noter() -> Callable[[str], None]:
    started = time.monotonic()
    return lambda what: click.echo(f"[{time.monotonic() - started:4.1f} s] {what} ...", err=True)


def _demo_routes(world: World, provider: IdentityProvider) -> list[BaseRoute]:
    listed = [
        {"nhsNumber": number, "dateOfBirth": born.isoformat(), "familyName": family, "story": story}
        for story, number, born, family in world.stories()
    ]

    async def children(request: Request) -> Response:
        """The fictional children, a story each."""
        return JSONResponse(listed, headers={"Cache-Control": "no-store"})

    return [Mount("/idp", provider.app), Route("/demo/children.json", children)]


class _Running:
    """The server in a thread of its own, answering inside the block."""

    def __init__(self, server: uvicorn.Server, sockets: list[socket.socket]) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.run, args=(sockets,), name="gateway", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()
        until = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > until:
                raise CommandError("the gateway did not start")
            time.sleep(0.01)

    def __exit__(self, *exception: object) -> None:
        self._server.should_exit = True
        self._thread.join()


class ToldToStop:
    """Knows whether somebody has pressed Ctrl-C or ended the process since it was made, in the main thread."""

    def __init__(self) -> None:
        # an Event that a handler sets may wait for ever for the lock that the interrupted `wait` has; its put may come
        # at any moment
        self._told: SimpleQueue[int] = SimpleQueue()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: self._told.put(number))

    def within(self, seconds: float) -> bool:
        """Wait for it for so long; return whether it has come."""
        try:
            self._told.put(self._told.get(timeout=seconds))
        except Empty:
            return False
        return True


def _appoint(url: str, world: World) -> None:
    """Let the court appoint the guardian, as any court does."""
    token = fetch_token(url, PERSONAS["family-court"], None)

    def send(document: str, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        data = ask(url, token, document, variables).body.get("data")
        if not isinstance(data, dict):
            raise CommandError("the demo's appointments could not be registered")
        return data

    appoint_guardian(world, send)


def _show(url: str, world: World, data: Path, *, kept: bool, once: bool) -> None:
    out = console()
    story, number, born, family = next(s for s in world.stories() if s[0] == "ordinary")
    variables = lookup_variables(
        NHSNumber(number), born, family, Purpose.SAFEGUARD_S16LA, "Strategy discussion after a referral", previous=True
    )
    out.print(f"Three practitioners ask about one fictional child: {family}, born {born}, NHS number {number}.\n")
    for name in _ASKERS:
        persona = persona_named(name)
        answer = ask_gateway(url, fetch_token(url, persona, None), variables)
        out.print(render_lookup(answer.body, asker=described(persona)))
        out.print()
    out.print("One fictional child for each story; budgets are raised in the demo:\n")
    for story, number, born, family in world.stories():
        out.print(f"  {story:<24} {number}  {born}  {family}", highlight=False)
    out.print(
        f"\nGateway   {url}/graphql\nTokens    {url}/idp\nStories   {url}/demo/children.json\nData      {data}",
        soft_wrap=True,
    )
    if not kept:
        out.print("          a temporary folder, removed when the demo ends; --data DIR keeps one")
    out.print("\nWhile the demo runs (without --once):\n" if once else "\nAsk for yourself:\n", highlight=False)
    out.print(_curl(url, world), highlight=False, soft_wrap=True)


def _curl(url: str, world: World) -> str:
    _, number, born, family = next(s for s in world.stories() if s[0] == "ordinary")
    body = (
        '{"query": "query($k: ChildKey!, $a: AccessRequest!) { child(key: $k, access: $a) { outcome advice '
        'involvements { practitioner { name } role team { name } agency { name } contact { phone } } } }", '
        f'"variables": {{"k": {{"nhsNumber": "{number}", "dateOfBirth": "{born}", "familyName": "{family}"}}, '
        '"a": {"purpose": "SAFEGUARD_S16LA", "reason": "trying the demo"}}}'
    )
    return (
        f"curl -s {url}/graphql -H 'Content-Type: application/json' "
        f'-H "Authorization: Bearer $(.venv/bin/contactpoint token --as social-worker --url {url})" '
        f"-d '{body}'"
    )
