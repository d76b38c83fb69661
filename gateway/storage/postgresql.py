"""PostgreSQL: the settings under which what it committed survives a crash, read back from every connection."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from sqlalchemy import event

from gateway.storage.errors import DatabaseUnreadable, DurabilityNotMet, StorageError

# `off` acknowledges what is on no disk; `local` and `remote_write` do not wait for a standby that is meant to be waited
# for. Stronger than `on` is only `remote_apply`.
_SYNCHRONOUS: Final = frozenset({"on", "remote_apply"})

# Of the whole server: a setting of a connection cannot change them, so they are only read.
_SERVER: Final = (
    ("fsync", "on"),
    ("full_page_writes", "on"),
    # an fsync that failed is not to be tried again: the second one would succeed over lost pages
    ("data_sync_retry", "off"),
)

_CONNECT_SECONDS: Final = 2

_ARGUMENTS: Final[dict[str, Any]] = {
    "connect_timeout": _CONNECT_SECONDS,
    "application_name": "contactpoint",
    # a server that is gone without a word is noticed within seconds, not after the kernel's two hours
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 5_000,
}

# A name that fails over leads to a standby for a while. A session there would never write, and outlive the failover;
# and what it reads of shields and revocations may be out of date.
_TO_WRITE: Final[dict[str, Any]] = {"target_session_attrs": "read-write"}

_waiting: Final = threading.local()

_SILENT_SECONDS: Final = 300.0
"""So long a server may say nothing, of what no person waits for: the longest statements of the timers take seconds."""

_POOLED: Final = 16
_POOL_SECONDS: Final = 2.0


def open_postgresql(parsed: sa.URL, *, to_write: bool) -> sa.Engine:
    """Return the engine of a database; see `gateway.storage.engine.open_engine`.

    `to_write`: each connection is to a server that may be written to, unless the URL says otherwise.
    """
    arguments = _ARGUMENTS | _TO_WRITE if to_write else _ARGUMENTS
    engine = sa.create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        connect_args={name: value for name, value in arguments.items() if name not in parsed.query},
        pool_size=_POOLED,
        max_overflow=0,
        pool_timeout=_POOL_SECONDS,
        # a connection that died while it lay idle is replaced before it is used
        pool_pre_ping=True,
        # the text of an error would else hold the parameters
        hide_parameters=True,
    )
    event.listen(engine, "connect", _set_and_check)
    try:
        with engine.connect() as connection:
            check_postgresql(psycopg_of(connection))
    except sa.exc.DBAPIError as error:
        engine.dispose()
        raise DatabaseUnreadable(
            "database.url: the PostgreSQL server cannot be reached, does not let this user in, or may only be read"
        ) from error
    except StorageError:
        engine.dispose()
        raise
    return engine


def psycopg_of(connection: sa.Connection) -> psycopg.Connection[Any]:
    """Return the driver's connection below SQLAlchemy's. Raises StorageError if it is not PostgreSQL's."""
    # a detached connection has no other name for it
    driver: Any = connection.connection.dbapi_connection
    if not isinstance(driver, psycopg.Connection):
        raise StorageError("this is not a connection to PostgreSQL")
    return driver


def check_postgresql(driver: psycopg.Connection[Any]) -> None:
    """Read every durability setting that holds for this connection. Raises DurabilityNotMet, naming the first fault."""
    names = ("synchronous_commit", *(name for name, _ in _SERVER))
    query = "SELECT " + ", ".join(f"pg_catalog.current_setting('{name}')" for name in names)
    with driver.cursor() as cursor:
        row = cursor.execute(query).fetchone() or (None,) * len(names)
    if row[0] not in _SYNCHRONOUS:
        raise DurabilityNotMet("the database does not hold synchronous_commit at on")
    for value, (name, wanted) in zip(row[1:], _SERVER, strict=True):
        if value != wanted:
            raise DurabilityNotMet(f"the database server does not hold {name} at {wanted}")


def impatient(driver: psycopg.Connection[Any], patience: Callable[[], float], *, while_it_sends: bool = False) -> None:
    """Let every wait of this connection for its server end after `patience` seconds with psycopg.OperationalError.

    For servers that stand still: what is gone is noticed by the kernel. `while_it_sends`: one that sends is waited for
    anew. The connection is then closed, as it is of no more use. It takes the place of what was said of it before.
    """
    wait = type(driver).wait

    def waiting(answer: Generator[Any, Any, Any], *arguments: Any, **options: Any) -> Any:
        return wait(driver, _patiently(driver, answer, patience, while_it_sends), *arguments, **options)

    driver.wait = waiting  # type: ignore[method-assign, assignment]


@contextmanager
def patient_for(seconds: float) -> Iterator[None]:
    """Let this thread wait so long, all in all, for the servers of what `open_postgresql` opened.

    After that each wait of its ends as those of `impatient` do, and the thread is free for others. Without it, a wait
    ends when a server has been silent for five minutes.
    """
    before, _waiting.end = getattr(_waiting, "end", None), time.monotonic() + seconds
    try:
        yield
    finally:
        _waiting.end = before


def _patience() -> float:
    end: float | None = getattr(_waiting, "end", None)
    return _SILENT_SECONDS if end is None else end - time.monotonic()


def _patiently(
    driver: psycopg.Connection[Any],
    answer: Generator[Any, Any, Any],
    patience: Callable[[], float],
    while_it_sends: bool,
) -> Generator[Any, Any, Any]:
    """Go through the driver's own steps; it is told Ready.NONE a few times a second while nothing comes."""
    try:
        wanted = next(answer)
        end = time.monotonic() + patience()
        while True:
            ready = yield wanted
            if ready and while_it_sends:
                end = time.monotonic() + patience()
            elif not ready and time.monotonic() >= end:
                driver.close()
                raise psycopg.OperationalError("the server does not answer")
            wanted = answer.send(ready)
    except StopIteration as ended:
        return ended.value


def standing_of_role(engine: sa.Engine) -> str | None:
    """Return why the role of this connection may do more than the log should allow it, or None."""
    query = sa.text(
        "SELECT r.rolsuper, EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = to_regclass('audit_leaf') "
        "AND pg_catalog.pg_has_role(c.relowner, 'USAGE')) FROM pg_catalog.pg_roles r WHERE r.rolname = current_user"
    )
    with engine.connect() as connection:
        superuser, owner = connection.execute(query).one()
    if superuser:
        return "this role is a superuser"
    return "this role owns the log's tables" if owner else None


def _set_and_check(driver: psycopg.Connection[Any], _record: Any) -> None:
    impatient(driver, _patience, while_it_sends=True)
    autocommit, driver.autocommit = driver.autocommit, True
    try:
        with driver.cursor() as cursor:
            row = cursor.execute("SELECT pg_catalog.current_setting('synchronous_commit')").fetchone()
            if row is None or row[0] not in _SYNCHRONOUS:
                cursor.execute("SET synchronous_commit TO on")
            # a lookup waits for no lock for longer than a person waits for an answer
            cursor.execute("SET lock_timeout TO '2s'")
            cursor.execute("SET idle_in_transaction_session_timeout TO '60s'")
        check_postgresql(driver)
    finally:
        driver.autocommit = autocommit
