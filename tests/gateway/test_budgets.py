"""How many children one person, client or organisation may look up, and how often in vain."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.audit.errors import BudgetSpent
from gateway.audit.events import EventKind
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.audit.records import read_records
from gateway.budgets import Allowance, Budgets, Charge, Spent, forget_counts
from gateway.storage.engine import open_engine
from gateway.storage.tables import budget
from schema.vocabulary import InvolvementStatus
from tests.fixtures.migrated import open_migrated
from tests.fixtures.postgresql import PostgreSQLServer
from tests.fixtures.sources import CHILD, UNKNOWN_CHILD, known, row, source
from tests.fixtures.token_factory import CLIENT
from tests.gateway.conftest import Running

pytestmark = pytest.mark.anyio

DAY = 86_400
NOON = 20_000 * DAY + DAY / 2
FREE = Allowance({}, {})


class Clock:
    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    if request.param == "sqlite":
        engine = open_migrated(tmp_path / "budgets.db")
    else:
        server: PostgreSQLServer = request.getfixturevalue("postgresql_server")
        engine = open_engine(server.url(request.getfixturevalue("postgresql_database")))
    yield engine
    engine.dispose()


class Gateway:
    """What one process has of the budgets: the log's transaction decides."""

    def __init__(self, engine: sa.Engine, keys: AuditKeys, clock: Clock, person: Allowance, others: Any) -> None:
        self.log = AuditLog.open(engine, keys, on_fatal=lambda: None)
        self.budgets = Budgets({"person": person, "client": FREE, "organisation": FREE} | others, clock)

    async def charge(self, *principals: str) -> Charge | Spent:
        charge = self.budgets.charge(principals)
        if isinstance(charge, Spent):
            return charge
        try:
            await self.log.append(EventKind.INTENT, {}, charges=charge.counts)
        except BudgetSpent as spent:
            return self.budgets.refused(spent.passed)
        return charge

    async def settle(self, charge: Charge | Spent, *, disclosed: bool) -> None:
        await self.log.append(EventKind.OUTCOME, {}, charges=taken(charge).settled(disclosed=disclosed))


Budgeted = Callable[..., Gateway]


@pytest.fixture
def budgeted(engine: sa.Engine, tmp_path: Path) -> Iterator[Budgeted]:
    keys = AuditKeys.load_or_create(tmp_path / "key")
    made: list[Gateway] = []

    def make(clock: Clock, person: Allowance, **others: Allowance) -> Gateway:
        made.append(Gateway(engine, keys, clock, person, others))
        return made[-1]

    yield make
    for each in made:
        each.log.close()


def taken(charge: Charge | Spent) -> Charge:
    assert isinstance(charge, Charge)
    return charge


def stored(engine: sa.Engine) -> set[tuple[str, int, int]]:
    with engine.connect() as connection:
        return {tuple(row) for row in connection.execute(sa.select(budget.c.window, budget.c.lookups, budget.c.misses))}


@pytest.mark.parametrize(("window", "seconds"), [("minute", 60), ("hour", 3600), ("day", DAY)])
@pytest.mark.parametrize("what", ["lookups", "misses"])
async def test_each_window_is_spent_after_its_allowance_and_whole_again_in_the_next(
    budgeted: Budgeted, window: str, seconds: int, what: str
) -> None:
    clock = Clock(NOON - NOON % seconds + 7)
    allowance = Allowance({window: 2}, {}) if what == "lookups" else Allowance({}, {window: 2})
    counted = budgeted(clock, allowance)

    for _ in range(2):
        taken(await counted.charge("person:a"))
    assert [await counted.charge("person:a") for _ in range(2)] == [Spent(seconds - 7, f"person.{what}.{window}")] * 2
    clock.now += seconds - 8
    assert await counted.charge("person:a") == Spent(1, f"person.{what}.{window}")
    clock.now += 1
    taken(await counted.charge("person:a"))


async def test_a_spent_budget_charges_nobody_anything_and_leaves_no_record(
    engine: sa.Engine, budgeted: Budgeted
) -> None:
    counted = budgeted(Clock(), Allowance({"day": 1}, {}), organisation=Allowance({"day": 2}, {}))
    taken(await counted.charge("organisation:o", "person:a"))
    for _ in range(5):
        assert await counted.charge("organisation:o", "person:a") == Spent(DAY // 2, "person.lookups.day")

    taken(await counted.charge("organisation:o", "person:b"))
    assert await counted.charge("organisation:o", "person:c") == Spent(DAY // 2, "organisation.lookups.day")
    assert [record.kind for record in read_records(engine)].count(EventKind.INTENT) == 2


async def test_the_reserved_miss_comes_back_when_something_is_disclosed_and_stays_when_not(budgeted: Budgeted) -> None:
    counted = budgeted(Clock(), Allowance({}, {"hour": 1}))

    for _ in range(3):
        await counted.settle(await counted.charge("person:a"), disclosed=True)
    await counted.settle(await counted.charge("person:a"), disclosed=False)

    assert isinstance(await counted.charge("person:a"), Spent)


async def test_a_miss_that_came_back_can_be_used_although_the_budget_was_spent_meanwhile(budgeted: Budgeted) -> None:
    counted = budgeted(Clock(), Allowance({}, {"hour": 1}))
    first = await counted.charge("person:a")
    assert isinstance(await counted.charge("person:a"), Spent)

    await counted.settle(first, disclosed=True)

    taken(await counted.charge("person:a"))


async def test_settling_has_one_shape_whether_or_not_anything_is_disclosed(budgeted: Budgeted) -> None:
    charge = taken(await budgeted(Clock(), FREE).charge("person:a"))
    yes, no = charge.settled(disclosed=True), charge.settled(disclosed=False)

    assert [count.slot for count in yes] == [count.slot for count in no] == [count.slot for count in charge.counts]


async def test_counts_outlive_a_restart(engine: sa.Engine, budgeted: Budgeted) -> None:
    clock = Clock()
    first = budgeted(clock, Allowance({"day": 2}, {"day": 2}))
    disclosed, missed = await first.charge("person:a"), await first.charge("person:a")
    await first.settle(disclosed, disclosed=True)
    await first.settle(missed, disclosed=False)
    first.log.close()

    again = budgeted(clock, Allowance({"day": 2}, {"day": 2}))
    assert await again.charge("person:a") == Spent(DAY // 2, "person.lookups.day")
    once_more = budgeted(clock, Allowance({"day": 3}, {"day": 1}))
    assert await once_more.charge("person:a") == Spent(DAY // 2, "person.misses.day")
    assert stored(engine) == {("minute", 2, 1), ("hour", 2, 1), ("day", 2, 1)}


async def test_settling_after_the_windows_have_passed_and_are_forgotten_does_no_harm(
    engine: sa.Engine, budgeted: Budgeted
) -> None:
    clock = Clock()
    counted = budgeted(clock, Allowance({}, {"day": 1}))
    late = await counted.charge("person:a")
    clock.now += 4 * DAY
    forget_counts(engine, clock.now)
    assert stored(engine) == set()
    await counted.settle(late, disclosed=True)

    taken(await counted.charge("person:a"))
    assert isinstance(await counted.charge("person:a"), Spent)


async def test_of_many_at_once_exactly_the_allowance_passes(engine: sa.Engine, budgeted: Budgeted) -> None:
    """Two gateways, each with its own log and no knowledge of the other but the database."""
    both = [budgeted(Clock(), Allowance({"day": 10}, {})) for _ in range(2)]

    found = await asyncio.gather(*(each.charge("person:a", "organisation:o") for _ in range(40) for each in both))

    assert sum(isinstance(each, Charge) for each in found) == 10
    assert stored(engine) == {("minute", 10, 10), ("hour", 10, 10), ("day", 10, 10)}


# Asks for a budget of ten, from the moment that standard input ends; says how many it got.
PROCESS = """
import asyncio, sys
from gateway.audit.errors import BudgetSpent
from gateway.audit.events import EventKind
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.budgets import Allowance, Budgets
from gateway.storage.engine import open_engine
from gateway.storage.tables import budget

async def main():
    engine = open_engine(sys.argv[1])
    log = AuditLog.open(engine, AuditKeys.load_or_create(sys.argv[2]), on_fatal=lambda: None)
    budgets = Budgets({"person": Allowance({"day": 10}, {})}, lambda: 1_728_000_000.0)
    print("ready", flush=True)
    sys.stdin.read()
    passed = 0
    for _ in range(30):
        # as if it knew nothing of what was spent: the database decides
        charge = Budgets(budgets._allowances, budgets._clock).charge(["person:a"])
        try:
            await log.append(EventKind.INTENT, {}, charges=charge.counts)
            passed += 1
        except BudgetSpent:
            pass
    print(passed, flush=True)
    log.close()

asyncio.run(main())
"""


def test_two_processes_with_one_budget_of_ten_pass_exactly_ten(engine: sa.Engine, tmp_path: Path) -> None:
    repository = Path(__file__).parents[2]
    AuditKeys.load_or_create(tmp_path / "key")
    url = engine.url.render_as_string(hide_password=False)
    both = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, url, str(tmp_path / "key")],
            cwd=repository,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(repository)},
        )
        for _ in range(2)
    ]
    for each in both:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in both:
        assert each.stdin is not None
        each.stdin.close()
    passed = [int(each.stdout.read()) for each in both if each.stdout is not None]
    for each in both:
        assert each.wait(30) == 0
        assert each.stdout is not None
        each.stdout.close()

    assert sum(passed) == 10
    assert stored(engine) == {("minute", 10, 10), ("hour", 10, 10), ("day", 10, 10)}
    assert [record.kind for record in read_records(engine)].count(EventKind.INTENT) == 10


# ------------------------------------------------------------------------------------------------- at the front door


def council() -> Any:
    return source("cs-amber", known(CHILD, row(), row("b", status=InvolvementStatus.PREVIOUS)))


async def test_a_spent_budget_is_429_with_one_body_for_every_budget_and_is_recorded(running: Running) -> None:
    one = {"minute": 100, "hour": 100, "day": 1}
    answers = []
    for limit in ("person_lookups", "person_misses", "client_lookups", "organisation_misses"):
        async with running(council(), limits={limit: one}) as world:
            await world.ask(UNKNOWN_CHILD)
            spent = await world.ask(UNKNOWN_CHILD)
            other = await world.ask(sub="somebody-else")
            answers.append((limit, spent, other.status, world.payload(EventKind.DENIED)["code"]))
        (world.folder / "gateway.db").unlink()

    assert {told.response.content for _, told, _, _ in answers} == {answers[0][1].response.content}
    assert {(told.status, told.code) for _, told, _, _ in answers} == {(429, "RATE_LIMITED")}
    assert all(0 < int(told.response.headers["retry-after"]) <= DAY for _, told, _, _ in answers)
    assert [(limit, others) for limit, _, others, _ in answers] == [
        ("person_lookups", 200),
        ("person_misses", 200),
        ("client_lookups", 429),
        ("organisation_misses", 429),
    ]
    assert [code for *_, code in answers] == [
        "BUDGET person.lookups.day",
        "BUDGET person.misses.day",
        "BUDGET client.lookups.day",
        "BUDGET organisation.misses.day",
    ]


async def test_a_lookup_that_discloses_is_no_miss_and_one_that_does_not_is_whatever_the_cause(running: Running) -> None:
    async with running(council(), limits={"person_misses": {"day": 2}}) as world:
        disclosed = [(await world.ask()).status for _ in range(5)]
        wrong_name = await world.ask(family="Other")
        forbidden = await world.ask(purpose="OMA_S14")
        spent = await world.ask()

    assert disclosed == [200] * 5
    assert wrong_name.outcome == "NOTHING_DISCLOSABLE"
    assert forbidden.code == "FORBIDDEN"
    assert spent.status == 429


async def test_two_systems_on_behalf_of_one_practitioner_share_that_practitioners_budget(running: Running) -> None:
    async with running(council(), limits={"person_lookups": {"day": 1}}) as world:
        acting = world.tokens.on_behalf_of(subject="sw-1")
        first = await world.ask(**acting)
        second = await world.ask(**acting | {"client_id": "another", "sub": "another"})
        other = await world.ask(**world.tokens.on_behalf_of(subject="sw-2"))

    assert acting["sub"] == CLIENT
    assert (first.status, second.status, other.status) == (200, 429, 200)


async def test_viewer_and_introspection_are_no_lookups(running: Running) -> None:
    async with running(council(), limits={"person_lookups": {"day": 0}}) as world:
        viewer = await world.post("{ viewer { subject onBehalfOf roles scopes } __typename }")
        kinds = world.kinds()

    assert viewer.body["data"]["viewer"]["roles"] == ["social_worker"]
    assert kinds == []
