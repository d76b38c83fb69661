"""How many children one person, client or organisation may look up, and how often in vain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.audit.events import EventKind
from gateway.budgets import Allowance, Budgets, Charge, Spent
from gateway.migrate import migrate
from gateway.storage.engine import open_engine
from schema.vocabulary import InvolvementStatus
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


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/budgets.db")
    migrate(engine)
    yield engine
    engine.dispose()


def budgets(engine: sa.Engine, clock: Clock, person: Allowance, **others: Allowance) -> Budgets:
    return Budgets(engine, {"person": person, "client": FREE, "organisation": FREE} | others, clock)


def write(engine: sa.Engine, statements: Any) -> None:
    with engine.begin() as connection:
        for statement, parameters in statements:
            connection.execute(statement, parameters)


def taken(charge: Charge | Spent) -> Charge:
    assert isinstance(charge, Charge)
    return charge


@pytest.mark.parametrize(("window", "seconds"), [("minute", 60), ("hour", 3600), ("day", DAY)])
@pytest.mark.parametrize("what", ["lookups", "misses"])
def test_each_window_is_spent_after_its_allowance_and_whole_again_in_the_next(
    engine: sa.Engine, window: str, seconds: int, what: str
) -> None:
    clock = Clock(NOON - NOON % seconds + 7)
    allowance = Allowance({window: 2}, {}) if what == "lookups" else Allowance({}, {window: 2})
    counted = budgets(engine, clock, allowance)

    assert all(isinstance(counted.charge(["person:a"]), Charge) for _ in range(2))
    spent = counted.charge(["person:a"])
    assert spent == Spent(seconds - 7, f"person.{what}.{window}")
    clock.now += seconds - 8
    assert isinstance(counted.charge(["person:a"]), Spent)
    clock.now += 1
    assert isinstance(counted.charge(["person:a"]), Charge)


def test_a_spent_budget_charges_nobody_anything(engine: sa.Engine) -> None:
    counted = budgets(engine, Clock(), Allowance({"day": 1}, {}), organisation=Allowance({"day": 2}, {}))
    assert isinstance(counted.charge(["organisation:o", "person:a"]), Charge)
    for _ in range(5):
        assert counted.charge(["organisation:o", "person:a"]) == Spent(DAY // 2, "person.lookups.day")

    assert isinstance(counted.charge(["organisation:o", "person:b"]), Charge)
    assert counted.charge(["organisation:o", "person:c"]) == Spent(DAY // 2, "organisation.lookups.day")


def test_the_reserved_miss_comes_back_when_something_is_disclosed_and_stays_when_not(engine: sa.Engine) -> None:
    counted = budgets(engine, Clock(), Allowance({}, {"hour": 1}))

    for _ in range(3):
        counted.settle(taken(counted.charge(["person:a"])), disclosed=True)
    counted.settle(taken(counted.charge(["person:a"])), disclosed=False)

    assert isinstance(counted.charge(["person:a"]), Spent)


def test_settling_writes_the_same_statement_whether_or_not_anything_is_disclosed(engine: sa.Engine) -> None:
    counted = budgets(engine, Clock(), FREE)
    one, other = taken(counted.charge(["person:a"])), taken(counted.charge(["person:b"]))
    yes, no = counted.settling(one, disclosed=True), counted.settling(other, disclosed=False)

    assert [s for s, _ in yes] == [s for s, _ in no]
    assert [set(row) for _, rows in yes for row in rows] == [set(row) for _, rows in no for row in rows]


def test_a_charge_that_was_never_written_can_be_undone(engine: sa.Engine) -> None:
    counted = budgets(engine, Clock(), Allowance({"day": 1}, {"day": 1}))
    counted.cancel(taken(counted.charge(["person:a"])))

    assert isinstance(counted.charge(["person:a"]), Charge)


def test_counts_outlive_a_restart(engine: sa.Engine) -> None:
    clock = Clock()
    first = budgets(engine, clock, Allowance({"day": 2}, {"day": 2}))
    disclosed, missed = taken(first.charge(["person:a"])), taken(first.charge(["person:a"]))
    for statements in (
        disclosed.statements,
        missed.statements,
        first.settling(disclosed, disclosed=True),
        first.settling(missed, disclosed=False),
    ):
        write(engine, statements)

    again = budgets(engine, clock, Allowance({"day": 2}, {"day": 2}))
    assert again.charge(["person:a"]) == Spent(DAY // 2, "person.lookups.day")
    once_more = budgets(engine, clock, Allowance({"day": 3}, {"day": 1}))
    assert once_more.charge(["person:a"]) == Spent(DAY // 2, "person.misses.day")
    with engine.connect() as connection:
        rows = connection.execute(sa.text('SELECT "window", lookups, misses FROM budget')).all()
    assert {tuple(r) for r in rows} == {("minute", 2, 1), ("hour", 2, 1), ("day", 2, 1)}


def test_counts_of_the_day_outlive_being_forgotten_in_memory(engine: sa.Engine) -> None:
    clock = Clock()
    counted = budgets(engine, clock, Allowance({"day": 1}, {}))
    charge = taken(counted.charge(["person:a"]))
    write(engine, charge.statements)
    clock.now += 3601
    counted.charge(["person:b"])

    assert isinstance(counted.charge(["person:a"]), Spent)


def test_settling_after_the_windows_have_passed_does_no_harm(engine: sa.Engine) -> None:
    clock = Clock()
    counted = budgets(engine, clock, Allowance({}, {"day": 1}))
    late = taken(counted.charge(["person:a"]))
    clock.now += 2 * DAY
    taken(counted.charge(["person:b"]))
    counted.settle(late, disclosed=True)
    counted.cancel(late)

    assert isinstance(counted.charge(["person:a"]), Charge)


def test_nobody_is_charged_when_the_counts_cannot_be_read(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE budget"))

    with pytest.raises(sa.exc.SQLAlchemyError):
        budgets(engine, Clock(), FREE).charge(["person:a"])


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
