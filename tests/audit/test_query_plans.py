"""No query that a lookup, a scrape or a reader of the log waits for reads a table through that grows with use.

The statements are those that the program sends, taken down at the driver; the database says how it would find the rows.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any, Final

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import event

from gateway.appointments import Appointments
from gateway.audit.events import EventKind
from gateway.audit.events_query import Place, Wanted, page
from gateway.audit.index import EventIndex
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.audit.receipts import UnknownReceipt, bundle_of
from gateway.audit.reports import ledger, looks
from gateway.audit.reports.counting import Period
from gateway.audit.sealed import cosigned_size
from gateway.detection.detector import Alert
from gateway.detection.findings import Findings
from gateway.detection.lookups import Place as OfAlert
from gateway.detection.rules.exceptional import BreakGlass
from gateway.reviews import Reviews
from gateway.shields import DatabaseShields
from gateway.storage.engine import is_postgresql
from gateway.storage.postgresql import psycopg_of
from gateway.storage.sqlite import sqlite_of
from schema.vocabulary import Purpose, ReviewSeverity
from tests.auth.model import caller
from tests.fixtures.sources import CHILD

pytestmark = pytest.mark.anyio

OpenLog = Callable[..., AuditLog]
Sent = tuple[str, Any]

GROWS: Final = frozenset(
    {
        *("shield", "budget", "appointment", "review", "event_index", "announced_purge"),
        *("audit_leaf", "audit_payload", "audit_node", "audit_checkpoint", "audit_cosignature"),
    }
)
"""Every other table has a row for each shard or source."""
IN_ORDER: Final = frozenset({"event_index_at"})
"""Read from its end by who wants the newest first, and no further than the page."""
ROWS: Final = 20_000
SUBJECT: Final = "ab" * 32
NOW: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)


@dataclass
class Taken:
    """What was sent while it listened."""

    engine: sa.Engine
    listening: bool = False
    sent: list[Sent] = field(default_factory=list)

    def begin(self) -> None:
        """Take down what connections send that are opened from now on."""
        self.engine.dispose()
        event.listen(self.engine, "connect", self._opened)

    def _opened(self, driver: Any, _: Any) -> None:
        if isinstance(driver, sqlite3.Connection):
            driver.set_trace_callback(lambda text: self.take(text, None))
            return
        taken = self

        class Taking(psycopg.Cursor[Any]):
            def execute(self, query: Any, params: Any = None, **more: Any) -> Any:
                taken.take(query if isinstance(query, str) else bytes(query).decode(), params)
                return super().execute(query, params, **more)

        driver.cursor_factory = Taking

    def take(self, text: str, parameters: Any) -> None:
        if self.listening and re.match(r"\s*(SELECT|DELETE|UPDATE|WITH)\b", text):
            self.sent.append((text, parameters))


Ask = Callable[["Program"], Any]


@dataclass
class Program:
    """The parts that ask."""

    engine: sa.Engine
    keys: AuditKeys
    log: AuditLog

    async def shield_of_a_lookup(self) -> None:
        shields = DatabaseShields(self.engine, self.keys)
        await shields.shielding(CHILD)
        shields.close()
        observed = shields.observed(CHILD, {"cs-amber": False, "police-amber": True}, frozenset({"cs-amber"}))
        await self.log.append(EventKind.OUTCOME, {"outcome": "DISCLOSED"}, alongside=observed.statements)

    async def appointment_of_a_lookup(self) -> None:
        body = SimpleNamespace(id="amber-court", appoints={Purpose.CP_S47})
        agreements: Any = SimpleNamespace(organisations={"amber-court": body})
        register = Appointments(self.engine, self.keys, self.log, lambda: agreements)
        register.held(caller(), CHILD, Purpose.CP_S47, date(2026, 3, 2))
        await register.of_body("amber-court")

    async def reviews_of_a_scrape(self) -> None:
        await Reviews(self.engine, self.keys, self.log, lambda: None).waiting()  # type: ignore[arg-type, return-value]

    async def findings(self) -> None:
        findings = Findings(self.engine, self.keys, self.log)
        for rules in (("D1",), (BreakGlass.id,)):
            at = OfAlert("shard", 7)
            how = (rules, ReviewSeverity.QUEUE, 1.0, ("words",), "receipt", (), None, None, None, None, None)
            findings.unknown([Alert(at, 0, False, *how)])
        await findings.escalate(NOW, 5)

    async def pages_of_events(self) -> None:
        everybody: dict[str, Any] = {"organisations": None}
        for wanted in (
            Wanted(**everybody),
            Wanted(organisations=frozenset({"amber-council"})),
            Wanted(**everybody, person="person"),
            Wanted(**everybody, subject=SUBJECT),
            Wanted(**everybody, receipt="receipt"),
            Wanted(**everybody, since_ms=1, until_ms=10),
        ):
            for after in (None, Place(10, "shard", 3)):
                with self.engine.connect() as connection:
                    page(connection, wanted, after, 20)

    async def receipts(self) -> None:
        with self.engine.connect() as connection, pytest.raises(UnknownReceipt):
            bundle_of(connection, "no-such-receipt")

    async def reports_about_a_child(self) -> None:
        with self.engine.connect() as connection:
            looks.of_subject(connection, SUBJECT, None, None)
            looks.circumstances(connection, {SUBJECT}, None, 0, 1, presumed_shielded=False)  # type: ignore[arg-type]

    async def ledger_of_overrides(self) -> None:
        with self.engine.connect() as connection:
            ledger.overrides(connection, Period(0, 10, "amber-council"))

    async def index(self) -> None:
        assert EventIndex(self.engine, self.keys).catch_up(seconds=30)

    async def witnesses(self) -> None:
        with self.engine.connect() as connection:
            cosigned_size(connection, self.log.shard, ["witness"])


ASKS: Final = [name for name, each in vars(Program).items() if callable(each) and not name.startswith("_")]


@pytest.fixture
def taken(engine: sa.Engine) -> Taken:
    taken = Taken(engine)
    taken.begin()
    return taken


@pytest.mark.parametrize("ask", ASKS)
async def test_no_table_that_grows_is_read_through(
    engine: sa.Engine, owner: sa.Engine, keys: AuditKeys, open_log: OpenLog, taken: Taken, ask: str
) -> None:
    log = open_log()
    taken.listening = True
    await getattr(Program(engine, keys, log), ask)()
    taken.listening = False
    log.close()
    fill(owner)

    assert taken.sent
    assert {text: found for text, given in taken.sent if (found := read_through(owner, text, given))} == {}


def test_a_query_without_an_index_would_be_found(owner: sa.Engine) -> None:
    fill(owner)
    with owner.begin() as connection:
        connection.exec_driver_sql("DROP INDEX shield_of")

    assert read_through(owner, "SELECT source FROM shield WHERE pseudonym = 'p7'", None) == ["shield"]
    assert read_through(owner, "SELECT pseudonym FROM shield WHERE source = 's1'", None) == []
    assert read_through(owner, "SELECT id FROM review WHERE person = 'nobody'", None) == ["review"]


def fill(owner: sa.Engine) -> None:
    """Let PostgreSQL know large tables; SQLite plans as if they were."""
    if not is_postgresql(owner):
        return
    with owner.begin() as connection:
        for text in (
            "shield SELECT 's' || mod(i, 4), 'p' || i, '2026'",
            "budget SELECT 'p' || i, 'hour', i, 1, 1",
            "appointment SELECT i::text, 'b' || mod(i, 99), 'o' || mod(i, 99), 'a' || i, 'c' || i, 'CP_S47', 'e', 'r',"
            " '2026', '2026', '2026', NULL, NULL",
            "review SELECT i::text, 'DETECTION', 's', i, 'r' || i, 'o' || mod(i, 99), 'p', 'c', 'CP_S47', '2026',"
            " '2026', CASE WHEN mod(i, 1000) = 0 THEN 'OPEN' ELSE 'UPHELD' END, NULL, NULL, NULL, NULL, NULL",
            "event_index SELECT 's' || mod(i, 4), i, i, 'INTENT', i + 1, NULL, 'o' || mod(i, 99), 'p' || mod(i, 999),"
            " '', 'c' || mod(i, 999), 'CP_S47', 'DISCLOSED', NULL, NULL, 'r' || i, 0, 1, 0, NULL",
            "audit_leaf SELECT 's' || mod(i, 4), i, '', ''",
            "audit_payload SELECT 's' || mod(i, 4), i, '', ''",
            "audit_node SELECT 's' || mod(i, 4), 0, i, ''",
            "audit_checkpoint SELECT 's' || mod(i, 4), i, ''",
            "audit_cosignature SELECT 's' || mod(i, 4), i, 'w', ''",
        ):
            connection.exec_driver_sql(f"INSERT INTO {text} FROM generate_series(1, {ROWS}) AS i")
    with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")


def read_through(owner: sa.Engine, text: str, parameters: Any) -> list[str]:
    """Return the tables that grow and of which the statement reads every row, or every entry of an index."""
    with owner.connect() as connection:
        if is_postgresql(owner):
            return list(_of_postgresql(psycopg_of(connection), text, parameters))
        plan = sqlite_of(connection).execute(f"EXPLAIN QUERY PLAN {text}").fetchall()
    return [table for row in plan for table in _of_sqlite(row[3])]


def _of_sqlite(detail: str) -> Iterator[str]:
    scanned = re.match(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", detail)
    if scanned and scanned[1] in GROWS and scanned[2] not in IN_ORDER:
        yield scanned[1]


def _of_postgresql(driver: psycopg.Connection[Any], text: str, parameters: Any) -> Iterator[str]:
    first = dict(
        driver.execute(
            "SELECT i.indexrelid::regclass::text, a.attname FROM pg_index i "
            "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]"
        ).fetchall()
    )
    row = psycopg.ClientCursor(driver).execute(f"EXPLAIN (FORMAT JSON) {text}", parameters).fetchone()
    assert row is not None
    waiting: list[Mapping[str, Any]] = [row[0][0]["Plan"]]
    while waiting:
        node = waiting.pop()
        waiting += _inner(node)
        table, index = node.get("Relation Name"), node.get("Index Name")
        if index is not None:
            # by a later column alone, an index is read from one end to the other
            leading = first[index] in node.get("Index Cond", "")
            if not leading and index not in IN_ORDER:
                yield str(table or index)
        elif table in GROWS and node["Node Type"] == "Seq Scan":
            yield str(table)


def _inner(node: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return node.get("Plans", ())
