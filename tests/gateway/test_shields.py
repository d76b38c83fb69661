"""The shield register, and what a shield does to a lookup."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from auth.shielding import ShieldsUnreadable
from connectors.faults import FaultCode
from gateway.audit.events import EventKind, unlisted_keys
from gateway.audit.keys import AuditKeys
from gateway.shields import DatabaseShields
from schema.identifiers import NHSNumber
from schema.vocabulary import AgencyKind
from tests.fixtures.migrated import open_migrated
from tests.fixtures.sources import (
    CHILD,
    OTHER_CHILD,
    UNKNOWN_CHILD,
    ChangingSource,
    FailingSource,
    RaisingSource,
    known,
    row,
    source,
)
from tests.gateway.conftest import Running

pytestmark = pytest.mark.anyio


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = open_migrated(tmp_path / "shields.db")
    yield engine
    engine.dispose()


@pytest.fixture
def register(engine: sa.Engine, tmp_path: Path) -> DatabaseShields:
    return DatabaseShields(engine, AuditKeys.load_or_create(tmp_path / "key.json"))


def commit(engine: sa.Engine, statements: Any) -> None:
    with engine.begin() as connection:
        for statement, parameters in statements:
            connection.execute(statement, parameters)


def test_what_sources_say_adds_lifts_or_leaves_their_own_row_and_no_other(
    engine: sa.Engine, register: DatabaseShields
) -> None:
    first = register.observed(CHILD, {"a": True, "b": True, "c": None, "d": False}, frozenset())
    commit(engine, first.statements)
    assert register.shielded_by(CHILD) == {"a", "b"}
    assert (first.added, first.removed) == (("a", "b"), ())

    second = register.observed(CHILD, {"a": False, "b": None}, frozenset({"a", "b"}))
    commit(engine, second.statements)
    assert register.shielded_by(CHILD) == {"b"}
    assert (second.added, second.removed) == ((), ("a",))
    assert register.shielded_by(OTHER_CHILD) == frozenset()


def test_the_register_does_not_hold_the_number(engine: sa.Engine, register: DatabaseShields, tmp_path: Path) -> None:
    commit(engine, register.observed(CHILD, {"a": True}, frozenset()).statements)
    engine.dispose()

    assert not any(CHILD.encode() in file.read_bytes() for file in tmp_path.iterdir())


def test_the_write_has_one_shape_for_every_child(register: DatabaseShields) -> None:
    shapes = []
    for said in ({"a": True, "b": False}, {"a": None, "b": None}, {"a": False, "b": True}):
        write = register.observed(CHILD, said, frozenset({"b"}))
        shapes.append([(str(s), sorted(given), sorted(json.loads(given["said"]))) for s, given in write.statements])

    assert shapes[0] == shapes[1] == shapes[2]


def test_a_register_that_cannot_be_read_says_so_and_quotes_nothing(
    engine: sa.Engine, register: DatabaseShields
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE shield"))

    with pytest.raises(ShieldsUnreadable) as refused:
        register.shielded_by(CHILD)
    assert CHILD not in repr(refused.value)
    assert refused.value.__cause__ is None


# ------------------------------------------------------------------------------------------------- at the front door


def council(shielded: bool | None = False, *rows: Any, name: str = "cs-brook") -> Any:
    return source(
        name, known(CHILD, *(rows or (row(),)), shielded=shielded), organisation=f"{name.removeprefix('cs-')}-council"
    )


def police(shielded: bool | None = None) -> Any:
    return source(
        "police-amber",
        known(CHILD, row("p", name="Pat Police"), shielded=shielded),
        kind=AgencyKind.POLICE,
        organisation="amber-police",
    )


async def test_any_sources_shield_hides_the_child_whatever_the_others_hold(running: Running) -> None:
    async with running(council(True), police()) as world:
        told = await world.ask()
        outcome = world.payload(EventKind.OUTCOME)
        unknown = await world.ask(UNKNOWN_CHILD)

    assert told.outcome == "NOTHING_DISCLOSABLE"
    assert outcome["shields"] == {"by": ["cs-brook"], "added": [], "removed": []}
    assert outcome["disclosed"] == {"entries": [], "sections": []}
    assert told.response.content.replace(told.child["receipt"].encode(), b"") == unknown.response.content.replace(
        unknown.child["receipt"].encode(), b""
    )
    assert told.response.headers["content-length"] == unknown.response.headers["content-length"]


async def test_a_shield_on_record_hides_the_child_although_its_source_is_silent(running: Running) -> None:
    shielding = council(True)
    async with running(ChangingSource(shielding, FailingSource(shielding, FaultCode.CONNECT)), police()) as world:
        await world.ask()
        told = await world.ask()

    assert (told.outcome, told.entries) == ("INCOMPLETE", [])


async def test_only_the_owning_sources_own_later_answer_lifts_a_shield_and_the_log_says_so(running: Running) -> None:
    changing = ChangingSource(council(True), council(True), council(False))
    async with running(changing, police(False)) as world:
        first, still = await world.ask(), await world.ask()
        lifted = await world.ask()
        outcome = world.payload(EventKind.OUTCOME)
        after = world.gateway.shields.shielded_by(CHILD)

    assert [t.outcome for t in (first, still, lifted)] == ["NOTHING_DISCLOSABLE"] * 2 + ["DISCLOSED"]
    assert outcome["shields"] == {"by": [], "added": [], "removed": ["cs-brook"]}
    assert after == frozenset()


async def test_a_source_that_no_longer_says_anything_of_a_shield_does_not_lift_it(running: Running) -> None:
    async with running(ChangingSource(council(True), council(None)), police()) as world:
        told = [(await world.ask()).outcome for _ in range(2)]

    assert told == ["NOTHING_DISCLOSABLE"] * 2


async def test_the_owning_authority_sees_through_its_shield(running: Running) -> None:
    async with running(council(True, name="cs-amber"), council(False), police()) as world:
        ours = await world.ask()
        theirs = await world.ask(org="brook-council")

    assert ours.outcome == "DISCLOSED"
    assert theirs.outcome == "NOTHING_DISCLOSABLE"


async def test_a_trusts_restriction_is_not_seen_through_by_that_trust(running: Running) -> None:
    trust = source("health", known(CHILD, row(), shielded=True), kind=AgencyKind.HEALTH, organisation="amber-council")
    async with running(trust) as world:
        told = await world.ask()

    assert told.outcome == "NOTHING_DISCLOSABLE"


async def test_a_practitioner_of_the_child_sees_through_by_registration_and_never_by_name(running: Running) -> None:
    other = source("cs-elm", known(CHILD, row("m", name="Sam Okoro", number="SW1")), organisation="amber-council")
    async with running(council(True), other) as world:
        registered = await world.ask(registration="SWE:SW1")
        namesake = await world.ask(name="Sam Okoro", registration="SWE:SW2")

    assert registered.outcome == "DISCLOSED"
    assert namesake.outcome == "NOTHING_DISCLOSABLE"


async def test_break_glass_sees_through_and_is_recorded_as_such(running: Running) -> None:
    override = {"override": {"justification": "Risk to life", "acceptReview": True}}
    other = source("cs-elm", known(CHILD, row("m")), organisation="elm")
    async with running(council(True), other) as world:
        told = await world.ask(access=override, scope="involvement:read lookup:override", auth_time=int(time.time()))
        outcome = world.payload(EventKind.OUTCOME)

    assert told.outcome == "DISCLOSED"
    assert (outcome["relationship"], outcome["shields"]["by"]) == ("OVERRIDE", ["cs-brook"])


async def test_a_register_that_cannot_be_read_is_503_with_an_outcome_and_nothing_disclosed(running: Running) -> None:
    async with running(police(None)) as world:
        await world.ask()
        world.execute("ALTER TABLE shield RENAME TO gone")
        told = await world.ask()
        kinds, outcome = world.kinds(), world.payload(EventKind.OUTCOME)

    assert (told.status, told.code) == (503, "OVERLOADED")
    assert "Police" not in told.response.text
    assert kinds == ["INTENT", "OUTCOME"] * 2
    assert (outcome["outcome"], outcome["disclosed"]) == ("FAILED", {"entries": [], "sections": []})


async def test_at_the_start_every_sources_full_list_is_read_and_recorded(running: Running) -> None:
    async with running(council(True), police()) as world:
        on_record = world.gateway.shields.shielded_by(CHILD)
        loaded = [
            r.payload for r in world.records(EventKind.ADMIN) if r.payload and r.payload["action"] == "SHIELDS_LOADED"
        ]

    assert on_record == {"cs-brook"}
    assert {p["source"]: p["count"] for p in loaded} == {"cs-brook": 1, "police-amber": 0}
    assert all(not unlisted_keys(EventKind.ADMIN, p) for p in loaded)


@pytest.mark.parametrize(
    "flaw", [FailingSource, RaisingSource, lambda inner: RaisingSource(inner, asyncio.CancelledError())]
)
async def test_a_list_that_cannot_be_read_does_not_keep_the_gateway_from_starting(
    running: Running, flaw: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(flaw(council(True)), police()) as world:
        on_record = world.gateway.shields.shielded_by(CHILD)

    assert on_record == frozenset()
    assert "shield_list_unread" in capsys.readouterr().out


async def test_a_list_that_is_read_again_only_adds_and_a_loaded_one_replaces(running: Running) -> None:
    async with running(council(True), police()) as world:
        shields, log = world.gateway.shields, world.gateway.log
        await shields.load(log, "cs-brook", [OTHER_CHILD], replace=False)
        both = shields.shielded_by(CHILD), shields.shielded_by(OTHER_CHILD)
        await shields.load(log, "cs-brook", [OTHER_CHILD], replace=True)
        one = shields.shielded_by(CHILD), shields.shielded_by(OTHER_CHILD)
        await shields.load(log, "cs-brook", [], replace=True)
        none = shields.shielded_by(CHILD), shields.shielded_by(OTHER_CHILD)
        last = world.records(EventKind.ADMIN)[-1].payload

    assert both == ({"cs-brook"}, {"cs-brook"})
    assert one == (frozenset(), {"cs-brook"})
    assert none == (frozenset(), frozenset())
    assert last == {"action": "SHIELDS_LOADED", "source": "cs-brook", "count": 0, "replaced": True}


async def test_two_gateways_that_load_one_list_add_its_rows_in_one_order(running: Running) -> None:
    """In two orders each would wait on PostgreSQL for what the other has added, until one of them gives up."""
    written: list[list[str]] = []

    class Kept:
        async def append(self, _kind: EventKind, _payload: Any, *, alongside: Any) -> None:
            written.append([row["pseudonym"] for row in alongside[-1][1]])

    listed = [NHSNumber(number) for number in (CHILD, OTHER_CHILD, UNKNOWN_CHILD)]
    async with running(council(True)) as world:
        for children in (listed, listed[::-1], listed[1:] + listed[:1]):
            await world.gateway.shields.load(Kept(), "cs-brook", children, replace=False)  # type: ignore[arg-type]

    assert len(written[0]) == 3
    assert written == [sorted(written[0])] * 3
