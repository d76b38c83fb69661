"""An answer that discloses nothing leaves at a fixed beat, a positive one at once. Sleeps are noted, not slept."""

from __future__ import annotations

import asyncio

import pytest

from tests.fixtures.sources import CHILD, UNKNOWN_CHILD, known, row, source
from tests.gateway.conftest import Running

pytestmark = pytest.mark.anyio


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The times for which `gateway.lookup` held an answer."""
    times: list[float] = []

    async def sleep(seconds: float) -> None:
        times.append(seconds)

    class Noting:
        def __getattr__(self, name: str) -> object:
            return sleep if name == "sleep" else getattr(asyncio, name)

    monkeypatch.setattr("gateway.lookup.asyncio", Noting())
    return times


async def test_what_discloses_nothing_is_held_to_the_beat(running: Running, held: list[float]) -> None:
    council = source("cs", known(CHILD, row("m")))
    async with running(council, limits={"quiet_seconds": 0.25}) as world:
        await world.ask(UNKNOWN_CHILD)
        await world.ask(family="Somebody-Else")

    assert len(held) == 2
    assert all(0 < seconds <= 0.25 for seconds in held)


async def test_what_discloses_something_is_never_held(running: Running, held: list[float]) -> None:
    async with running(source("cs", known(CHILD, row("m"))), limits={"quiet_seconds": 0.25}) as world:
        told = await world.ask()

    assert (told.outcome, held) == ("DISCLOSED", [])
