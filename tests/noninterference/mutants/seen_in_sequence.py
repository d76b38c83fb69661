"""The oracle of sequences: what earlier lookups, or others' lookups, leave behind must not show in a later answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from connectors.base import Ask, FieldMask
from schema.records import Answer, NoAnswer, SubjectRef
from schema.vocabulary import SourceReason
from tests.fixtures.sources import Remembering
from tests.fixtures.token_factory import STRONG
from tests.fixtures.world import Told, World
from tests.noninterference.mutants.staged_lookups import (
    NARROW,
    PLAIN,
    RECEIPT,
    RICH,
    SHIELDED,
    UNKNOWN,
    ask,
    ask_other,
    both,
    observed,
    receipts,
    sources,
    world_of,
)

_FEW = {"person_misses": {"hour": 3}}


async def _twice_and_another(world: World) -> Any:
    told = [await ask(world), await ask_other(world), await ask(world), await ask_other(world)]
    return [observed(each) for each in told]


async def _until_spent(world: World) -> Any:
    return [observed(await ask(world)) for _ in range(5)]


async def after_hidden_entries() -> list[str]:
    """Entries were held back: the next lookups of this child and of another are as if there had been none."""
    return _differing("after hidden entries", *await both(_twice_and_another, RICH, PLAIN))


async def after_a_shield() -> list[str]:
    """The child was shielded: the next lookups are as if it had been unknown."""
    return _differing("after a shield", *await both(_twice_and_another, SHIELDED, UNKNOWN))


async def until_spent() -> list[str]:
    """Misses of a shielded child and of an unknown one spend a budget alike."""
    shielded = await both(_until_spent, SHIELDED, UNKNOWN, limits=_FEW)
    return _differing("until spent", *shielded)


_SECOND = (
    ("fewer scopes", NARROW),
    ("a weaker sign-in", {"acr": STRONG.replace("strong", "standard"), "sub": "second-person"}),
    ("another organisation", {"org": "amber-nhs", "roles": ["health_visitor"], "sub": "second-person"}),
    ("the same rights", {"sub": "second-person"}),
)


async def after_another_viewer() -> list[str]:
    """Somebody else looked first: a second viewer is told what they would be told alone."""
    found = []
    for name, claims in _SECOND:
        async with world_of(sources(RICH)) as world:
            first = await ask(world, sub="first-person")
            second = await ask(world, **claims)
        async with world_of(sources(RICH)) as world:
            alone = await ask(world, **claims)
        found += _differing(f"after another viewer, {name}", observed(second), observed(alone))
        found += _repeated(f"after another viewer, {name}", [first, second])
        shared = _ids(first) & _ids(second)
        found += [f"after another viewer, {name}: an entry has the same id for both"] if shared else []
    return found


class _Meeting(Remembering):
    """Answers when as many have asked as are expected: so lookups overlap without a clock."""

    def __init__(self, inner: Any, expected: int) -> None:
        super().__init__(inner)
        self.expected, self.met = expected, asyncio.Event()

    async def _answers(self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask) -> Mapping[SubjectRef, Answer]:
        if len(self.asked) >= self.expected:
            self.met.set()
        # joined or refused lookups never come: then nobody waits for ever
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.met.wait(), 0.2)
        return await self.inner.involvements(subjects, mask, ask)


async def beside_another_viewer() -> list[str]:
    """Somebody else looks at the same moment: a second viewer is told what they would be told alone."""
    first_source, *others = sources(RICH)
    async with world_of([_Meeting(first_source, 2), *others]) as world:
        first, second = await asyncio.gather(ask(world, sub="first-person"), ask(world, **NARROW))
    async with world_of([_Meeting(first_source, 1), *others]) as world:
        alone = await ask(world, **NARROW)
    found = _differing("beside another viewer", observed(second), observed(alone))
    return found + _repeated("beside another viewer", [first, second])


class _Failing(Remembering):
    """Answers as many lookups as it is told to, and then none."""

    def __init__(self, inner: Any, lookups: int) -> None:
        super().__init__(inner)
        self.lookups = lookups

    async def _answers(self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask) -> Mapping[SubjectRef, Answer]:
        if len(self.asked) > self.lookups:
            return {s: NoAnswer(s, SourceReason.CONNECT, "CONNECT") for s in subjects}
        return await self.inner.involvements(subjects, mask, ask)


async def after_an_outage() -> list[str]:
    """A source fails after somebody else looked: what it told them is not told to a second viewer in its place."""
    first_source, *others = sources(RICH)
    async with world_of([_Failing(first_source, 1), *others]) as world:
        await ask(world, sub="first-person")
        second = await ask(world, **NARROW)
    async with world_of([_Failing(first_source, 0), *others]) as world:
        alone = await ask(world, **NARROW)
    return _differing("after an outage", observed(second), observed(alone))


STORIES: tuple[Callable[[], Awaitable[list[str]]], ...] = (
    after_hidden_entries,
    until_spent,
    after_a_shield,
    after_an_outage,
    beside_another_viewer,
    after_another_viewer,
)
"""The cheapest first."""


def _ids(told: Told) -> set[str]:
    return {entry["id"] for entry in told.entries} if told.body.get("data") else set()


def _repeated(story: str, told: Sequence[Told]) -> list[str]:
    found = receipts(told)
    odd = [r for r in found if not RECEIPT.fullmatch(f'"receipt":"{r}"')]
    if odd or len(set(found)) != len(found):
        return [f"{story}: a receipt is not one of its own"]
    return []


def _differing(story: str, one: Any, other: Any) -> list[str]:
    return [] if one == other else [f"{story}: {one!r:.400} != {other!r:.400}"]
