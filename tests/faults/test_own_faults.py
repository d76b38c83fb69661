"""What goes wrong around the gateway reads as it must; and each of these would be found if it did not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from auth.agreement_files import AgreementsUnreadable
from auth.sharing import AgreementSet
from gateway.agreements_in_force import AgreementsInForce
from gateway.audit.errors import AuditUnavailable
from gateway.audit.log import AuditLog
from gateway.audit.writer import ShardWriter
from gateway.front.shedding import Admission
from tests.faults import gone
from tests.faults import own_faults as faults

pytestmark = pytest.mark.network

Fault = Callable[[Path], Any]
Defect = Callable[[pytest.MonkeyPatch], None]


def believes_the_future(patch: pytest.MonkeyPatch) -> None:
    """What a source says of tomorrow counts today."""
    patch.setattr("gateway.federation.upstream._AHEAD", timedelta(days=2))


def looks_at_no_clock(patch: pytest.MonkeyPatch) -> None:
    """A clock may jump as far as it likes."""
    patch.setattr("gateway.clock.MOST_SECONDS", float("inf"))


def takes_busy_for_written(patch: pytest.MonkeyPatch) -> None:
    """A record that could not be written in time counts as written."""
    write = ShardWriter.write

    def written(self: ShardWriter, batch: Any, *, until: float) -> int:
        try:
            return write(self, batch, until=until)
        except AuditUnavailable:
            return self.size

    patch.setattr(ShardWriter, "write", written)


def waits_for_the_lock(patch: pytest.MonkeyPatch) -> None:
    """The database is waited for as long as it takes; whoever locks it gives in after a while."""
    patch.setattr(faults, "PATIENCE", 60.0)
    connect = faults.sqlite3.connect

    class Impatient:
        def __init__(self, *how: Any, **more: Any) -> None:
            self._inner = connect(*how, **more)

        def execute(self, text: str) -> None:
            if text == "ROLLBACK" and not self.in_transaction:
                return
            self._inner.execute(text)
            if text == "BEGIN IMMEDIATE":
                asyncio.get_running_loop().call_later(0.6, self._inner.execute, "ROLLBACK")

        @property
        def in_transaction(self) -> bool:
            return self._inner.in_transaction

        def close(self) -> None:
            self._inner.close()

    patch.setattr(faults.sqlite3, "connect", Impatient)


def keeps_keys_for_ever(patch: pytest.MonkeyPatch) -> None:
    """The last keys of an issuer serve however long it has been gone."""
    patch.setattr("auth.keys.OUTAGE_SECONDS", float("inf"))


def takes_what_it_can_read_of_the_agreements(patch: pytest.MonkeyPatch) -> None:
    """A set at fault is taken without the file that is at fault."""
    take = AgreementsInForce._take

    async def taken(self: AgreementsInForce, files: Any) -> bool:
        try:
            from auth import agreement_files  # noqa: PLC0415

            agreement_files.parsed(files)
        except AgreementsUnreadable:
            nothing: AgreementSet = replace(self._current, agreements=())
            self._current = nothing
            return False
        return await take(self, files)

    patch.setattr(AgreementsInForce, "_take", taken)


def discloses_unseen(patch: pytest.MonkeyPatch) -> None:
    """However long no witness has seen the log, lookups are answered."""
    patch.setattr(AuditLog, "withhold", lambda self, withheld: None)


def lets_everybody_in(patch: pytest.MonkeyPatch) -> None:
    """There is room for everybody."""

    def enter(self: Admission, priority: object) -> None:
        self.under_way += 1

    patch.setattr(Admission, "enter", enter)


FAULTS: dict[str, tuple[Fault, tuple[Defect, ...]]] = {
    "30-a-source-s-clock": (faults.a_sources_clock_is_wrong, (believes_the_future,)),
    "34-our-clock": (faults.the_clock_jumps, (looks_at_no_clock,)),
    "35-database-locked": (faults.somebody_locks_the_database, (takes_busy_for_written, waits_for_the_lock)),
    "38-keys": (gone.the_keys_of_an_issuer_cannot_be_had, (keeps_keys_for_ever,)),
    "39-agreements": (gone.the_agreements_cannot_be_read, (takes_what_it_can_read_of_the_agreements,)),
    "40-witness": (gone.the_witness_is_gone, (discloses_unseen,)),
    "43-overload": (faults.ten_times_as_many_ask_as_may, (lets_everybody_in,)),
}


@pytest.mark.parametrize("fault", [pytest.param(fault, id=name) for name, (fault, _) in FAULTS.items()])
def test_a_fault_of_our_own_reads_as_it_must(fault: Fault, tmp_path: Path) -> None:
    assert asyncio.run(fault(tmp_path)) == []


@pytest.mark.records_otherwise
@pytest.mark.parametrize(
    ("fault", "defect"),
    [
        pytest.param(fault, defect, id=f"{name}-{defect.__name__}")
        for name, (fault, defects) in FAULTS.items()
        for defect in defects
    ],
)
def test_a_defect_is_found(fault: Fault, defect: Defect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The controls."""
    defect(monkeypatch)

    assert asyncio.run(fault(tmp_path)) != []
