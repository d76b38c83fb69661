"""The register against a reading of it that shares nothing with it: who holds what on which day, over random registers.

Controls: a register that forgets any one of its seven conditions is found out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa

from auth.sharing import Organisation
from gateway.appointments import Appointments
from gateway.audit.keys import AuditKeys
from gateway.storage.tables import appointment
from schema.identifiers import NHSNumber
from schema.vocabulary import AgencyKind, Purpose
from tests.auth.model import agreed, caller
from tests.fixtures.migrated import open_migrated
from tests.fixtures.sources import CHILD, OTHER_CHILD

FIRST = date(2026, 6, 1)
PEOPLE = [(organisation, subject) for organisation in ("amber", "brook") for subject in ("one", "two")]
CHILDREN = (CHILD, OTHER_CHILD)
PURPOSES = (Purpose.COURT_ORDER, Purpose.CAFCASS_S42)
DAYS = [FIRST + timedelta(days=days) for days in range(5)]
ROUNDS = 16
COURT = Organisation("court", "A court", AgencyKind.OTHER, None, frozenset(PURPOSES))


@dataclass(frozen=True)
class Row:
    """One appointment, in words."""

    organisation: str
    subject: str
    child: NHSNumber
    purpose: Purpose
    starts_on: date
    expires_on: date
    ended: bool


def drawn(random: Random) -> list[Row]:
    """Return a register of a few appointments, near each other in every way."""
    rows = []
    for _ in range(random.randint(0, 4)):
        starts = random.choice(DAYS)
        rows.append(
            Row(
                *random.choice(PEOPLE),
                random.choice(CHILDREN),
                random.choice(PURPOSES),
                starts,
                starts + timedelta(days=random.randint(0, 3)),
                random.random() < 0.25,
            )
        )
    return rows


def holds(rows: list[Row], organisation: str, subject: str, child: NHSNumber, purpose: Purpose, day: date) -> bool:
    """The reading: what the glossary says of an appointment."""
    return any(
        (row.organisation, row.subject, row.child, row.purpose) == (organisation, subject, child, purpose)
        and row.starts_on <= day <= row.expires_on
        and not row.ended
        for row in rows
    )


Fault = Callable[[list[Row]], list[Row]]
FORGETS: dict[str, Fault] = {
    "organisation": lambda rows: [replace(r, organisation=o) for r in rows for o in ("amber", "brook")],
    "person": lambda rows: [replace(r, subject=s) for r in rows for s in ("one", "two")],
    "child": lambda rows: [replace(r, child=c) for r in rows for c in CHILDREN],
    "purpose": lambda rows: [replace(r, purpose=p) for r in rows for p in PURPOSES],
    "start": lambda rows: [replace(r, starts_on=date.min) for r in rows],
    "expiry": lambda rows: [replace(r, expires_on=date.max) for r in rows],
    "end": lambda rows: [replace(r, ended=False) for r in rows],
}
"""A register that forgets a condition is one that holds every row in which only that condition differs."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = open_migrated(tmp_path / "register.db")
    yield engine
    engine.dispose()


def differences(engine: sa.Engine, keys: AuditKeys, fault: Fault = lambda rows: rows) -> tuple[int, int]:
    """Return how many questions the register answers otherwise than the reading, and how many it answers with yes."""
    random = Random(20261124)
    agreements = agreed(parties=[COURT])
    register = Appointments(engine, keys, None, lambda: agreements)  # type: ignore[arg-type]
    wrong = yes = 0
    for _ in range(ROUNDS):
        rows = drawn(random)
        stored = [_stored(keys, number, row) for number, row in enumerate(fault(rows))]
        with engine.begin() as connection:
            connection.execute(sa.delete(appointment))
            if stored:
                connection.execute(sa.insert(appointment), stored)
        for (organisation, subject), child, purpose, day in product(PEOPLE, CHILDREN, PURPOSES, DAYS):
            who = caller(organisation=organisation, subject=subject)
            held = register.held(who, child, purpose, day) is not None
            wrong += held is not holds(rows, organisation, subject, child, purpose, day)
            yes += held
    return wrong, yes


def _stored(keys: AuditKeys, number: int, row: Row) -> dict[str, str | None]:
    return {
        "id": str(number),
        "appointing_organisation": "court",
        "appointee_organisation": row.organisation,
        "appointee": keys.opaque_id("appointee", row.organisation, row.subject),
        "child": keys.pseudonym(row.child),
        "purpose": row.purpose.value,
        "evidence": "e",
        "registered_by": "r",
        "registered_at": "2026-05-01T00:00:00+00:00",
        "starts_on": row.starts_on.isoformat(),
        "expires_on": row.expires_on.isoformat(),
        "ended_by": "r" if row.ended else None,
        "ended_at": "2026-05-02T00:00:00+00:00" if row.ended else None,
    }


def test_the_register_holds_what_it_should_and_nothing_else(engine: sa.Engine, tmp_path: Path) -> None:
    wrong, yes = differences(engine, AuditKeys.load_or_create(tmp_path / "key"))

    assert wrong == 0
    assert yes > 20  # else nothing was asked that matters


@pytest.mark.parametrize("condition", sorted(FORGETS))
def test_a_register_that_forgets_a_condition_is_found_out(engine: sa.Engine, tmp_path: Path, condition: str) -> None:
    wrong, _ = differences(engine, AuditKeys.load_or_create(tmp_path / "key"), FORGETS[condition])

    assert wrong > 0


def test_a_database_under_another_key_appoints_nobody(engine: sa.Engine, tmp_path: Path) -> None:
    mine, other = (AuditKeys.load_or_create(tmp_path / name) for name in ("key", "other"))
    with engine.begin() as connection:
        connection.execute(
            sa.insert(appointment),
            [_stored(mine, 0, Row("amber", "one", CHILD, Purpose.COURT_ORDER, FIRST, FIRST, False))],
        )
    who = caller(organisation="amber", subject="one")
    agreements = agreed(parties=[COURT])

    def held(keys: AuditKeys) -> bool:
        register = Appointments(engine, keys, None, lambda: agreements)  # type: ignore[arg-type]
        return register.held(who, CHILD, Purpose.COURT_ORDER, FIRST) == "0"

    assert held(mine)
    assert not held(other)


@pytest.mark.parametrize("bodies", [[], [replace(COURT, appoints=frozenset({Purpose.CAFCASS_S42}))]])
def test_an_appointment_counts_no_longer_than_its_body_appoints(
    engine: sa.Engine, tmp_path: Path, bodies: list[Organisation]
) -> None:
    keys = AuditKeys.load_or_create(tmp_path / "key")
    with engine.begin() as connection:
        stored = _stored(keys, 0, Row("amber", "one", CHILD, Purpose.COURT_ORDER, FIRST, FIRST, False))
        connection.execute(sa.insert(appointment), [stored])
    agreements = agreed(parties=[COURT])
    register = Appointments(engine, keys, None, lambda: agreements)  # type: ignore[arg-type]
    who = caller(organisation="amber", subject="one")

    assert register.held(who, CHILD, Purpose.COURT_ORDER, FIRST)
    agreements = agreed(parties=bodies)
    assert not register.held(who, CHILD, Purpose.COURT_ORDER, FIRST)
