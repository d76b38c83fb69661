"""The shield register on the database: keyed pseudonyms, one row for each source and child.

A row is added by any answer that carries a shield, by a source's full list and by `contactpoint shields load`; it goes
only by the owning source's own later answer without the shield, or by that command. Both are audited.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
import psycopg
import sqlalchemy as sa

from auth.shielding import ShieldsUnreadable
from gateway.audit.events import AdminAction, EventKind
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.storage.engine import awaited, is_postgresql, reading
from gateway.storage.postgresql import psycopg_of
from gateway.storage.sqlite import sqlite_of
from gateway.storage.tables import shield, shield_list
from schema.identifiers import NHSNumber
from schema.made_quickly import made_quickly

Statements = list[tuple[sa.Executable, Mapping[str, Any] | Sequence[Mapping[str, Any]]]]

_Asked = list[tuple[str, asyncio.Future[frozenset[str]]]]
"""Who is asked about, by pseudonym, and who waits to be told."""

_ADD = sa.text(
    "INSERT INTO shield (source, pseudonym, since) VALUES (:source, :pseudonym, :since) "
    "ON CONFLICT (source, pseudonym) DO NOTHING"
)
# `said` is an object of what each source said; `rows` are its members. The same statements whatever they said.
_ADD_SAID = (
    "INSERT INTO shield (source, pseudonym, since) SELECT key, :pseudonym, :since FROM {rows} AS said "
    "WHERE said.value = {add} ON CONFLICT (source, pseudonym) DO NOTHING"
)
_REMOVE_SAID = (
    "DELETE FROM shield WHERE pseudonym = :pseudonym "
    "AND source IN (SELECT key FROM {rows} AS said WHERE said.value = {remove})"
)
_ON_SQLITE = {"rows": "json_each(:said)", "add": "1", "remove": "0"}
_ON_POSTGRESQL = {"rows": "json_each_text(CAST(:said AS json))", "add": "'1'", "remove": "'0'"}
# On a connection of its own and the driver's cursor: through SQLAlchemy it costs several times more.
_SHIELDED_BY = "SELECT pseudonym, source FROM shield WHERE pseudonym IN (SELECT value FROM json_each(?))"
_SHIELDED_BY_ON_POSTGRESQL = "SELECT pseudonym, source FROM shield WHERE pseudonym = ANY(%s)"
_READ = sa.text(
    "INSERT INTO shield_list (source, read_at) VALUES (:source, :since) "
    "ON CONFLICT (source) DO UPDATE SET read_at = excluded.read_at"
)

_encode = msgspec.json.Encoder().encode


@made_quickly
@dataclass(frozen=True, slots=True)
class ShieldWrite:
    """What goes into the register together with OUTCOME, and what of it is a change."""

    statements: Statements
    added: tuple[str, ...]
    removed: tuple[str, ...]


class DatabaseShields:
    """The register. Reads see what has been committed; writes go with an audit record, in its transaction."""

    def __init__(self, engine: sa.Engine, keys: AuditKeys) -> None:
        self._engine = engine
        self._keys = keys
        self._reader: sa.Connection | None = None
        words = _ON_POSTGRESQL if is_postgresql(engine) else _ON_SQLITE
        self._observed = [sa.text(text.format(**words)) for text in (_ADD_SAID, _REMOVE_SAID)]
        self._asked: _Asked = []
        self._reading: set[asyncio.Task[None]] = set()
        with engine.connect() as connection:
            self._read = lists_read(connection)

    async def never_read(self, sources: Iterable[str]) -> frozenset[str]:
        """Return those of the sources whose full list has never been read: any child may be on it.

        A list once read stays so; whether another process has read one is looked up. Raises ShieldsUnreadable.
        """
        if unread := frozenset(sources) - self._read:
            try:
                self._read |= await reading(self._engine, lists_read)
            except sa.exc.SQLAlchemyError:
                raise ShieldsUnreadable("the shield register cannot be read") from None
        return unread - self._read

    async def shielding(self, nhs_number: NHSNumber) -> frozenset[str]:
        """Return the ids of the sources whose shield is on record, as any process has committed it.

        Who asks in the same turn of the event loop is told by one read, begun after all of them have asked: each read
        after a commit of the log's reads pages anew. Raises ShieldsUnreadable.
        """
        told: asyncio.Future[frozenset[str]] = asyncio.get_running_loop().create_future()
        pseudonym = self._keys.pseudonym(nhs_number)
        if not self._asked:
            asyncio.get_running_loop().call_soon(self._begin_reading)
        self._asked.append((pseudonym, told))
        return await told

    def _begin_reading(self) -> None:
        asked, self._asked = self._asked, []
        if is_postgresql(self._engine):
            self._read_beside(asked)
            return
        # a file is read where we are: a task for it is another turn of the loop, which a lookup alone has to itself
        try:
            found = self._shielding([pseudonym for pseudonym, _ in asked])
        except Exception as fault:
            _tell(asked, fault)
        else:
            _tell(asked, found)

    def _read_beside(self, asked: _Asked) -> None:
        reading = self._read_and_tell(asked)
        try:
            task = asyncio.get_running_loop().create_task(reading)
        except Exception as fault:
            # whoever asks next begins anew; these would wait for ever
            reading.close()
            _tell(asked, fault)
            return
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    async def _read_and_tell(self, asked: _Asked) -> None:
        try:
            found = await awaited(self._engine, lambda: self._shielding([pseudonym for pseudonym, _ in asked]))
        except sa.exc.SQLAlchemyError:
            _tell(asked, ShieldsUnreadable("the shield register cannot be read"))
        except Exception as fault:
            _tell(asked, fault)
        else:
            _tell(asked, found)

    def shielded_by(self, nhs_number: NHSNumber) -> frozenset[str]:
        """As `shielding`, blocking."""
        pseudonym = self._keys.pseudonym(nhs_number)
        return self._shielding([pseudonym]).get(pseudonym, frozenset())

    def _shielding(self, pseudonyms: Sequence[str]) -> Mapping[str, frozenset[str]]:
        """Return the sources that shield each of these; who is not shielded is left out. Raises ShieldsUnreadable."""
        rows: Sequence[tuple[str, str]]
        try:
            if is_postgresql(self._engine):
                with self._engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                    rows = psycopg_of(connection).execute(_SHIELDED_BY_ON_POSTGRESQL, (list(pseudonyms),)).fetchall()
            else:
                if self._reader is None:
                    self._reader = self._engine.connect()
                rows = sqlite_of(self._reader).execute(_SHIELDED_BY, (_json(pseudonyms),)).fetchall()
        except (sqlite3.Error, psycopg.Error, sa.exc.SQLAlchemyError):
            # its text holds the statement's parameters
            self.close()
            raise ShieldsUnreadable("the shield register cannot be read") from None
        found: dict[str, frozenset[str]] = {}
        for pseudonym, source in rows:
            found[pseudonym] = found.get(pseudonym, frozenset()) | {source}
        return found

    def close(self) -> None:
        """Close the connection that reads; the next read opens another."""
        reader, self._reader = self._reader, None
        if reader is not None:
            with suppress(sqlite3.Error, sa.exc.SQLAlchemyError):
                reader.close()

    def observed(
        self, nhs_number: NHSNumber, said: Mapping[str, bool | None], on_record: frozenset[str]
    ) -> ShieldWrite:
        """Return the write for what each asked source said; the same statements for every lookup, shielded or not.

        A source that does not say (None, or no answer) neither adds nor removes.
        """
        # 2 is neither added nor removed: the statement runs all the same. What was not on record is not removed: a
        # lookup beside this one may have put it there since, and its removal would be on no record.
        flags: list[tuple[str, int]] = []
        added: list[str] = []
        removed: list[str] = []
        for source, shielded in sorted(said.items()):
            flag = 2
            if shielded:
                flag = 1
                if source not in on_record:
                    added.append(source)
            elif shielded is False and source in on_record:
                flag = 0
                removed.append(source)
            flags.append((source, flag))
        parameters = {
            "pseudonym": self._keys.pseudonym(nhs_number),
            "since": _moment(int(time.time())),
            "said": _said_in_json(tuple(flags)),
        }
        return ShieldWrite(
            statements=[(statement, parameters) for statement in self._observed] if flags else [],
            added=tuple(added),
            removed=tuple(removed),
        )

    async def load(self, log: AuditLog, source: str, children: Iterable[NHSNumber], *, replace: bool) -> int:
        """Put a source's list into the register with one ADMIN record; return how many are on it.

        `replace` also lifts the shields of that source that the list lacks: for the load command, which is somebody's
        decision; a list that a source gave at start-up only adds.
        """
        now = _moment(int(time.time()))
        # in one order everywhere: two gateways that load a list at once would else wait for each other's rows
        pseudonyms = sorted({self._keys.pseudonym(number) for number in children})
        rows = [{"source": source, "pseudonym": pseudonym, "since": now} for pseudonym in pseudonyms]
        statements: Statements = [(_READ, {"source": source, "since": now})]
        if replace:
            statements.append((sa.delete(shield).where(shield.c.source == sa.bindparam("of")), {"of": source}))
        if rows:
            statements.append((_ADD, rows))
        payload = {"action": AdminAction.SHIELDS_LOADED, "source": source, "count": len(rows), "replaced": replace}
        await log.append(EventKind.ADMIN, payload, alongside=statements)
        self._read |= {source}
        return len(rows)


def _tell(asked: _Asked, found: Mapping[str, frozenset[str]] | Exception) -> None:
    """Tell all who asked what was found, or with what fault their lookups end."""
    for pseudonym, told in asked:
        if told.done():
            continue  # nobody waits any more
        if isinstance(found, Exception):
            told.set_exception(found)
        else:
            told.set_result(found.get(pseudonym, frozenset()))


def lists_read(connection: sa.Connection) -> frozenset[str]:
    """Return the sources whose full list of shields has been read. Raises sqlalchemy errors."""
    return frozenset(connection.execute(sa.select(shield_list.c.source)).scalars())


@lru_cache(maxsize=1)
def _moment(second: int) -> str:
    """Return a second of the time of day as the register has it; most lookups end in that of the one before."""
    return datetime.fromtimestamp(second, UTC).isoformat(timespec="seconds")


@lru_cache(maxsize=256)
def _said_in_json(flags: tuple[tuple[str, int], ...]) -> str:
    """Return what sources said as an object; of lookups that were shielded nowhere it is the same."""
    return _json(dict(flags))


def _json(value: object) -> str:
    return _encode(value).decode()
