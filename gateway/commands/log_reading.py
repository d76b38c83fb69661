"""How a command reads the log: with its index brought up, and with a READ record before anything is shown."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import sqlalchemy as sa

from auth.sharing import AgreementSet
from connectors import registry
from connectors.settings import ConnectorMisconfigured
from gateway.audit.checkpointer import Checkpointer
from gateway.audit.errors import AuditError
from gateway.audit.events import EventKind, Reading
from gateway.audit.events_query import NotWhatWasWritten
from gateway.audit.index import EventIndex
from gateway.audit.index_tables import event_index
from gateway.audit.keys import AuditKeys, KeyFileRefused
from gateway.audit.log import AuditLog
from gateway.audit.recovery import keys_of_log, signer_of_log
from gateway.audit.tables import audit_leaf
from gateway.commands.errors import CommandError, LogContradicted
from gateway.commands.progress_bar import progress_bar
from gateway.commands.settings_file import loaded
from gateway.configured import load_agreements
from gateway.migrate import migrate
from gateway.progress import Progress
from gateway.settings import Settings, SettingsFault, audit_key_file
from gateway.settings_reading import from_values
from gateway.shields import lists_read
from gateway.storage.engine import open_engine
from gateway.storage.errors import NoDatabase, StorageError
from schema.vocabulary import AgencyKind

_INDEX_SECONDS: Final = 600.0

config_option: Final = click.option(
    "--config", "file", metavar="FILE", type=click.Path(path_type=Path), help="TOML configuration."
)
data_option: Final = click.option(
    "--data", metavar="DIR", type=click.Path(path_type=Path), help="A demo's data folder instead."
)


@dataclass(frozen=True)
class OpenedLog:
    """The log of a deployment, opened to be read. `record` writes what was read before it is shown."""

    engine: sa.Engine
    keys: AuditKeys
    log: AuditLog
    index: EventIndex
    settings: Settings

    def record(self, reading: Reading, command: str, payload: Mapping[str, Any]) -> None:
        """Put a reading on record, with the operator's name on this machine. Raises AuditError."""
        caller = {"command": command, "user": operator()}
        asyncio.run(self._append({"caller": caller, "reading": reading, **payload}))

    async def _append(self, payload: Mapping[str, Any]) -> None:
        await self.log.append(EventKind.READ, payload)

    def agreements(self) -> AgreementSet:
        """Return the configured agreements. Raises SettingsFault."""
        return load_agreements(self.settings)

    def require_known(self, organisation: str | None) -> None:
        """Raise CommandError for an organisation that is in no agreement and in no event: an answer would read as zero.

        None is every organisation. Raises SettingsFault if the log does not know it and the agreements cannot be read.
        """
        if organisation is None:
            return
        of = event_index.c.organisation
        with self.engine.connect() as connection:
            if connection.scalar(sa.select(of).where(of == organisation).limit(1)) is not None:
                return
        if organisation not in self.agreements().organisations:
            raise CommandError("no agreement names the organisation of --organisation, and nobody of it is on the log")

    def bring_index_up(self, progress: Progress) -> None:
        """Read what the index has not yet read. Raises CommandError if that is too much; msgspec, sqlalchemy errors."""
        if not self.index.catch_up(seconds=_INDEX_SECONDS, progress=progress):
            raise CommandError("the index is too far behind the log; run `contactpoint audit index` first")

    def kinds(self) -> dict[str, AgencyKind]:
        """Return of which kind each connector is."""
        found = {}
        for entry in self.settings.connectors:
            if entry.get("kind") in AgencyKind.__members__:
                found[str(entry.get("id"))] = AgencyKind(entry["kind"])
        return found

    def shields_unread(self) -> frozenset[str]:
        """Return the enabled connectors that list their shields and whose list was never read: any child may be on it.

        One that cannot be made here is taken to list them; a demo's folder names none. Raises sqlalchemy errors.
        """
        with self.engine.connect() as connection:
            read = lists_read(connection)
        entries = [e for e in self.settings.connectors if e.get("enabled", True) and e.get("id") not in read]
        return frozenset(str(entry.get("id")) for entry in entries if _lists_shields(entry))


@contextmanager
def opened_log(
    file: Path | None, data: Path | None, *, catch_up: bool = True, shown: bool = False
) -> Iterator[OpenedLog]:
    """Open the log that one of `--config` and `--data` names, its index brought up.

    `shown` shows on a terminal how far that is, if it takes long.
    A fault is one line: exit 4 where the log is not what was written, 2 for any other.
    """
    if (file is None) == (data is None):
        raise CommandError("give one of --config and --data")
    try:
        settings = loaded(file) if file is not None else _of_data(data or Path())
        engine = open_engine(settings.database.url, create=False)
        try:
            _check_log(engine)
            migrate(engine)
            keys = keys_of_log(engine, audit_key_file(settings))
            signer = signer_of_log(engine, keys, settings.audit.signing_key_file)
            log = AuditLog.open(engine, keys, on_fatal=lambda: None, signer=signer)
            try:
                index = EventIndex(engine, keys)
                opened = OpenedLog(engine, keys, log, index, settings)
                if catch_up:
                    with progress_bar("records", shown=shown) as progress:
                        opened.bring_index_up(progress)
                yield opened
            finally:
                log.close()
                # the record of the reading is not left for the next gateway to sign
                Checkpointer(engine, log, keys.key_id, signer).close()
        finally:
            engine.dispose()
    except NoDatabase:
        raise CommandError("there is no log there") from None
    except NotWhatWasWritten as fault:
        raise LogContradicted(
            f"{fault}; run `contactpoint audit verify` and `contactpoint audit index --check`"
        ) from None
    except msgspec.MsgspecError:
        raise LogContradicted("a record of the log cannot be read; run `contactpoint audit verify`") from None
    except SettingsFault as fault:
        raise CommandError(fault.faults[0]) from None
    except (StorageError, AuditError, KeyFileRefused) as fault:
        raise CommandError(str(fault)) from None
    except sa.exc.SQLAlchemyError:
        # its text holds the statement's parameters
        raise CommandError("the log cannot be read") from None


def moment_of(text: str | None) -> int | None:
    """Return the milliseconds of a day or a time with an offset. Raises CommandError."""
    if text is None:
        return None
    try:
        if len(text) == len("2026-11-26"):
            day = date.fromisoformat(text)
            return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
        found = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError("a time is a day such as 2026-11-26, or 2026-11-26T09:30:00+00:00") from None
    if found.tzinfo is None:
        raise CommandError("a time needs an offset, such as +00:00")
    return int(found.timestamp() * 1000)


def period_of(given: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return the milliseconds of `since` and `until`. Raises CommandError also for a period that holds no moment."""
    since, until = moment_of(given["since"]), moment_of(given["until"])
    if since is not None and until is not None and since >= until:
        # an answer would read as if nothing had happened
        raise CommandError("--since must be before --until")
    return since, until


def period_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--since` and `--until`."""
    command = click.option("--until", metavar="TIME", help="Before this moment.")(command)
    return click.option("--since", metavar="TIME", help="From this day or moment on, included (UTC).")(command)


def _lists_shields(entry: Mapping[str, Any]) -> bool:
    try:
        return registry.build(entry).manifest.lists_shields
    except ConnectorMisconfigured:
        return True


def _check_log(engine: sa.Engine) -> None:
    if not sa.inspect(engine).has_table(audit_leaf.name):
        raise CommandError("there is no log there")


def _of_data(folder: Path) -> Settings:
    agreements = folder / "agreements"
    values: dict[str, Any] = {
        "resource": {"identifier": "https://demo.example/graphql"},
        "database": {"url": f"sqlite:///{folder / 'contactpoint.db'}"},
    }
    if agreements.is_dir():
        values["agreements"] = {"directory": str(agreements)}
    return from_values(values, "demo", relative_to=Path.cwd())


def operator() -> str:
    """Return the name under which whoever runs this is known to this machine."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "(no name)"
