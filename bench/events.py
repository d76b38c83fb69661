"""How long the index of events and the reports take over a large log: python bench/events.py --records 1000000

Writes a log of that many records (each look-up is two) into a temporary SQLite file, without its tree, and prints what
each reading of it takes. Figures are of this machine.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from gateway.audit.canonical import canonical
from gateway.audit.events import EventKind
from gateway.audit.events_query import Wanted, page
from gateway.audit.index import EventIndex
from gateway.audit.index_tables import Flag
from gateway.audit.keys import AuditKeys
from gateway.audit.leaves import leaf_bytes, payload_hash
from gateway.audit.reports import counting, ledger, looks
from gateway.audit.reports.counting import Period
from gateway.migrate import migrate
from gateway.storage.engine import open_engine, writing
from gateway.storage.sqlite import sqlite_of

SHARD = "f" * 32
EVER = Period(None, None, None)


def payloads(lookups: int, random: Random) -> Iterator[tuple[EventKind, dict[str, Any]]]:
    """Yield INTENT and OUTCOME of each look-up: 200 organisations, 20 people in each, a child for every five."""
    for number in range(lookups):
        organisation = random.randrange(200)
        who = {
            "caller": {
                "issuer": "https://idp.example",
                "subject": f"worker-{organisation}-{random.randrange(20)}",
                "client": "case-system",
                "organisation": f"organisation-{organisation}",
                "actor": None,
                "onBehalfOf": None,
                "name": "Somebody at work",
                "registration": None,
                "roles": ["social_worker"],
                "scopes": ["involvement:read"],
                "assurance": "STRONG",
                "token": "0" * 32,
            },
            "request": "00000000-0000-4000-8000-000000000000",
            "operation": {"document": "0" * 64},
            "subject": f"{random.randrange(lookups // 5 + 1):064x}",
            "receipt": f"{number:022d}",
        }
        override = {"justification": "x"} if number % 1000 == 0 else None
        yield EventKind.INTENT, {**who, "purpose": "SAFEGUARD_S16LA", "reason": "A referral", "override": override}
        entries = [
            {
                "entry": f"{number}-{place}",
                "agency": "cs",
                "sources": ["cs"],
                "practitioner": {"name": "N", "registration": f"SWE:{random.randrange(50_000)}"},
                "fields": ["contact.phone", "practitioner.name", "role", "team.name"],
            }
            for place in range(number % 4)
        ]
        yield (
            EventKind.OUTCOME,
            {
                **who,
                "intent": 2 * number,
                "outcome": "DISCLOSED" if entries else "NOTHING_DISCLOSABLE",
                "complete": True,
                "sources": [{"id": "cs", "status": "ANSWERED", "reason": None, "code": None, "ms": 12}] * 3,
                "disclosed": {"entries": entries, "sections": []},
            },
        )


def written(folder: Path, records: int) -> Any:
    """Return the engine of a new log."""
    engine = open_engine(f"sqlite:///{folder}/log.db")
    migrate(engine)
    columns = "INSERT INTO {} VALUES (?, ?, ?, ?)"
    with writing(engine).begin() as connection:
        driver = sqlite_of(connection)
        driver.execute("INSERT INTO audit_shard (id, origin, opened, state) VALUES (?, 'o', 0, 'OPEN')", (SHARD,))
        leaves, bodies = [], []
        for seq, (kind, payload) in enumerate(payloads(records // 2, Random(7))):  # noqa: S311
            body, salt = canonical(payload), seq.to_bytes(16, "big")
            leaves.append(
                (SHARD, seq, leaf_bytes(SHARD, seq, 1_700_000_000_000 + 60 * seq, kind, payload_hash(salt, body)), b"")
            )
            bodies.append((SHARD, seq, salt, body))
            if len(leaves) == 10_000:
                driver.executemany(columns.format("audit_leaf"), leaves)
                driver.executemany(columns.format("audit_payload"), bodies)
                leaves, bodies = [], []
        driver.executemany(columns.format("audit_leaf"), leaves)
        driver.executemany(columns.format("audit_payload"), bodies)
    return engine


def timed(what: str, work: Callable[[], Any]) -> Any:
    """Print how long it takes."""
    began = time.perf_counter()
    found = work()
    print(f"{what:<52} {time.perf_counter() - began:9.3f} s   {found}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    wanted = parser.parse_args().records
    with tempfile.TemporaryDirectory() as folder:
        keys = AuditKeys.load_or_create(Path(folder) / "key")
        engine = timed(f"write {wanted} records", lambda: written(Path(folder), wanted))
        index = EventIndex(engine, keys)
        timed("index them", lambda: index.catch_up(seconds=float("inf")))
        timed("compare the index with the log", index.differences)
        with engine.connect() as connection:
            own = frozenset({"organisation-7"})
            first = timed("a page of 50 of one organisation", lambda: len(page(connection, Wanted(own), None, 50)[0]))
            del first
            rare = Wanted(own, flags=int(Flag.OVERRIDE))
            timed("a page of overrides of one organisation", lambda: len(page(connection, rare, None, 50)[0]))
            everybody = Wanted(None, flags=int(Flag.OVERRIDE | Flag.NOTHING))
            timed("a page of a rare flag, of everybody", lambda: len(page(connection, everybody, None, 50)[0]))
            timed("look-ups of one child", lambda: len(looks.of_subject(connection, f"{3:064x}")))
            needle = msgspec.json.encode("SWE:123")
            theirs = lambda entry: entry["practitioner"]["registration"] == "SWE:123"  # noqa: E731
            timed("who was told of one practitioner", lambda: len(looks.of_practitioner(connection, needle, theirs)[0]))
            for by in ("organisation", "role", "purpose"):
                of = partial(counting.rates, connection, EVER, by)
                timed(f"rates by {by}", lambda: len(of()))  # noqa: B023
            people = timed("people", lambda: len(counting.people(connection, EVER)))
            del people
            timed("overrides and their reviews", lambda: len(ledger.overrides(connection, EVER)))
        print(f"{'the file':<52} {(Path(folder) / 'log.db').stat().st_size / 1e6:9.0f} MB")


if __name__ == "__main__":
    main()
