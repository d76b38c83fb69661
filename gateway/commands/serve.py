"""`contactpoint serve`, `migrate` and `schema print`: what an operator runs."""

from __future__ import annotations

import signal
import socket
from collections.abc import Sequence
from pathlib import Path

import click
import sqlalchemy as sa
import structlog
import uvicorn

from gateway import app as wiring
from gateway.allocating import free_into_one_place
from gateway.audit.claims import is_written_to
from gateway.audit.errors import AuditError
from gateway.audit.keys import KeyFileRefused
from gateway.audit.writer import name_of_error
from gateway.collecting import spare_what_stays
from gateway.commands.errors import CommandError, OneLineCommand, OneLineGroup
from gateway.commands.listening import close_all, listening_on, server_for
from gateway.commands.settings_file import loaded
from gateway.front import asgi
from gateway.front.early_refusals import refusing_early
from gateway.graphql.query import sdl
from gateway.migrate import grant, grant_purging, is_behind
from gateway.migrate import migrate as upgrade
from gateway.settings import DatabaseSection, Settings, SettingsFault
from gateway.storage.engine import open_engine
from gateway.storage.errors import StorageError
from gateway.storage.urls import parsed_url
from gateway.telemetry import configure_logs
from gateway.workers import EX_CONFIG, EX_SOFTWARE, Supervisor

log = structlog.get_logger("gateway.commands.serve")

_CONFIG = click.option(
    "--config", "file", required=True, metavar="FILE", type=click.Path(path_type=Path), help="TOML configuration."
)


@click.command(cls=OneLineCommand)
@_CONFIG
@click.option("--host", metavar="ADDRESS", help="Instead of [server] host.")
@click.option("--port", metavar="PORT", type=click.IntRange(0, 65535), help="Instead of [server] port.")
@click.option("--workers", metavar="N", type=click.IntRange(1, 64), help="Instead of [server] workers.")
def serve(file: Path, host: str | None, port: int | None, workers: int | None) -> None:
    """Run the gateway.

    With several workers, this process starts them on its sockets, starts again one that ends, and lets all of them
    drain when it is told to stop. Several gateways may serve one PostgreSQL database.

    \b
    Examples:
      contactpoint serve --config gateway.toml
      contactpoint serve --config gateway.toml --workers 4
    """
    # until there is a set of agreements to read again, a hangup must not end what is starting
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    free_into_one_place()
    settings = loaded(file)
    count = settings.server.workers if workers is None else workers
    configure_logs(settings.telemetry)
    host, port = host or settings.server.host, settings.server.port if port is None else port
    # before anything is made: a port that is taken leaves no key, no log and no lock behind
    sockets = listening_on(host, port)
    try:
        if count > 1:
            wiring.prepare(settings)
        gateway = None if count > 1 else wiring.build(settings)
    except SettingsFault as fault:
        close_all(sockets)
        raise CommandError(fault.faults[0]) from None
    except (StorageError, AuditError, KeyFileRefused) as fault:
        close_all(sockets)
        raise CommandError(str(fault)) from None
    for each in sockets:
        log.info("listening", address=each.getsockname()[0], port=each.getsockname()[1])
    if gateway is None:
        raise SystemExit(Supervisor(count, run_worker, settings, sockets).run())
    code, started = _served(gateway, host, port, sockets)
    if code:
        raise SystemExit(code)
    if not started:
        raise CommandError("the server could not start; the log says why")


def run_worker(settings: Settings, sockets: Sequence[socket.socket]) -> int:
    """Serve as one of several workers, on sockets that another process listens on; return the exit code."""
    free_into_one_place()
    configure_logs(settings.telemetry)
    try:
        gateway = wiring.build(settings)
    except (SettingsFault, StorageError, AuditError, KeyFileRefused) as fault:
        log.critical("worker_could_not_start", why=str(fault))
        return EX_CONFIG
    host, port, *_ = sockets[0].getsockname()
    code, started = _served(gateway, host, port, sockets)
    return code or (0 if started else 1)


def _served(gateway: wiring.Gateway, host: str, port: int, sockets: Sequence[socket.socket]) -> tuple[int, bool]:
    """Serve until told to stop; return the exit code, and whether it had begun."""
    server = server_for(
        asgi.application(gateway),
        host,
        port,
        protocol=refusing_early(gateway.early_refusals),
        stopping=gateway.stopping,
        wait_seconds=gateway.settings.server.leave_seconds,
        keep_alive_seconds=gateway.settings.server.keep_alive_seconds,
        at_once=lambda: gateway.log.failed,
    )
    _stop_when_told(server)
    spare_what_stays()
    server.run(list(sockets))
    # storage failed, nothing after it was acknowledged
    return EX_SOFTWARE if gateway.log.failed else 0, server.started


def _stop_when_told(server: uvicorn.Server) -> None:
    """Have SIGTERM and SIGINT stop this server from now on, and leave the exit code to this program.

    From now on, for uvicorn listens to signals only once its loop runs: one that came before was lost, and the process
    served on, told to stop or without its supervisor. The exit code, for uvicorn raises the signal once more when it
    has shut down, which by default ends the process there and then: a failed log, which stops the server by SIGTERM,
    would look like an orderly stop to whoever supervises it.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.handle_exit)


@click.command(cls=OneLineCommand)
@_CONFIG
@click.option(
    "--purging-role",
    metavar="ROLE",
    help="Who may delete announced payloads, in place of the role of database.purge_url.",
)
@click.option(
    "--while-serving",
    is_flag=True,
    help="Also while a gateway runs on the database: it may refuse lookups during a step, and goes on.",
)
def migrate(file: Path, purging_role: str | None, while_serving: bool) -> None:
    """Bring the database to this version's schema.

    While a gateway runs on it, that is refused unless you ask for it: what a step changes is locked for as long as the
    step takes, which on large tables is longer than a lookup waits.

    On PostgreSQL, as the role of [database] migrate_url (or CONTACTPOINT_DATABASE__MIGRATE_URL), which owns the tables;
    the role of [database] url is then given what the gateway needs and no more, and the purging role what
    `audit purge` needs. The roles must be there.

    \b
    Examples:
      contactpoint migrate --config gateway.toml
      contactpoint migrate --config gateway.toml --purging-role contactpoint_purger
    """
    database = loaded(file).database
    try:
        engine = open_engine(database.migrate_url or database.url)
        try:
            if not while_serving and is_behind(engine) and is_written_to(engine):
                raise CommandError(
                    "a gateway runs on this database, and may have to refuse lookups while the schema changes: "
                    "stop it first, or give --while-serving"
                )
            _migrate(engine, database, purging_role)
        finally:
            engine.dispose()
    except (StorageError, AuditError) as fault:
        raise CommandError(str(fault)) from None
    except sa.exc.SQLAlchemyError as fault:
        raise CommandError(f"the schema could not be brought up to this version: {name_of_error(fault)}") from None
    click.echo("the database is at this version's schema")


def _migrate(engine: sa.Engine, database: DatabaseSection, purging_role: str | None) -> None:
    role, as_owner = parsed_url(database.url).username, database.migrate_url is not None
    if purging_role is None and as_owner and database.purge_url is not None:
        purging_role = parsed_url(database.purge_url).username
    if purging_role is not None and purging_role in {role, engine.url.username}:
        raise CommandError("the purging role must be another than those of database.url and migrate_url")
    upgrade(engine)
    if as_owner and role is not None and role != engine.url.username:
        grant(engine, role)
        click.echo("the role of database.url may add to the log and read it, and change the other tables")
    if purging_role is not None:
        grant_purging(engine, purging_role)
        click.echo("the purging role may read the log, announce a purge, and delete what a record announces")


@click.group(cls=OneLineGroup)
def schema() -> None:
    """The published GraphQL schema.

    \b
    Example:
      contactpoint schema print > directory.graphql
    """


@schema.command("print", cls=OneLineCommand)
def print_schema() -> None:
    """Print the SDL.

    \b
    Example:
      contactpoint schema print > directory.graphql
    """
    click.echo(sdl(), nl=False)
