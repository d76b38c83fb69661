"""How fast the log is verified: one that the real writer wrote and the real checkpointer signed, of any size."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.audit.checkpointer import Checkpointer
from gateway.audit.events import EventKind
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.audit.signing import LogSigner
from gateway.audit.verification.trust import Trust
from gateway.audit.verify import Status, verify
from gateway.migrate import migrate
from gateway.storage.engine import open_engine

RECORDS = int(os.environ.get("CONTACTPOINT_TEST_VERIFIED", "2000"))
AT_ONCE = 256
READINGS = 3

# of the size of a lookup's records: some 700 bytes
LOOKUP: dict[str, Any] = {
    "purpose": "CP_S47",
    "reason": "a visit is planned, and nobody knows who else works with the family; asked before the strategy meeting",
    "subject": "a" * 64,
    "key": "b" * 120,
    "caller": {
        "sub": "p" * 40,
        "organisation": "org-oak",
        "roles": ["social_worker"],
        "scopes": ["involvement:read"] * 4,
    },
    "sources": ["cs-oak", "health-oak", "police-oak"],
    "receipt": "r" * 22,
    "fields": ["involvements.contact.phone"] * 6,
}


def test_a_log_of_the_real_writer_is_verified_on_every_processor(
    tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/log.db")
    migrate(engine)
    keys = AuditKeys.load_or_create(tmp_path / "key")
    signer = LogSigner.of(keys)
    log = AuditLog.open(engine, keys, on_fatal=lambda: None, signer=signer)
    sealing = Checkpointer(engine, log, keys.key_id, signer)
    sealing.start()

    async def fill() -> None:
        for _ in range(RECORDS // (2 * AT_ONCE)):
            intents = await asyncio.gather(*(log.append(EventKind.INTENT, LOOKUP) for _ in range(AT_ONCE)))
            closing = (log.append(EventKind.OUTCOME, {**LOOKUP, "intent": each.seq}) for each in intents)
            await asyncio.gather(*closing)

    asyncio.run(fill())
    log.close()
    sealing.close()
    processes = os.cpu_count() or 1
    rates = []
    for _ in range(READINGS):
        began = time.monotonic()
        found = verify(engine, Trust(log_keys=(signer.key,)), processes=processes)
        rates.append(found.records / (time.monotonic() - began))
        assert (found.status, found.findings, found.open_intents, found.unsealed) == (Status.GOOD, [], 0, 0)
    engine.dispose()

    record_testsuite_property("records, with a payload each", found.records)
    record_testsuite_property("checkpoints, each with its root and signatures", found.checkpoints)
    record_testsuite_property("bytes of the database", (tmp_path / "log.db").stat().st_size)
    median, best = sorted(rates)[READINGS // 2], max(rates)
    record_testsuite_property(
        f"records verified a second, {processes} processes: the median of {READINGS}", round(median)
    )
    record_testsuite_property("and the best of them", round(best))


def test_a_change_in_it_is_found_as_well(tmp_path: Path) -> None:
    """The control: what is measured is a verification that finds something."""
    engine = open_engine(f"sqlite:///{tmp_path}/log.db")
    migrate(engine)
    keys = AuditKeys.load_or_create(tmp_path / "key")
    log = AuditLog.open(engine, keys, on_fatal=lambda: None)

    async def fill() -> None:
        await asyncio.gather(*(log.append(EventKind.INTENT, LOOKUP) for _ in range(AT_ONCE)))

    asyncio.run(fill())
    log.close()
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_payload_fixed")
        connection.exec_driver_sql("UPDATE audit_payload SET body = x'7b7d' WHERE seq = 100")

    findings = " ".join(verify(engine).findings)
    engine.dispose()

    assert "payload 100 " in findings
