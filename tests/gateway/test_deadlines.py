"""A client may shorten the time of its lookup, and never lengthen it (RFC 7240, `Prefer: wait`)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Ask, FieldMask
from gateway.audit.log import AuditLog
from gateway.graphql.preferences import wait_of
from schema.records import Answer, SubjectRef
from tests.fixtures.sources import CHILD, Remembering, known, row, source
from tests.fixtures.world import World, running_world
from tests.gateway.test_shedding import have_all_wait

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        pytest.param([b"wait=2"], 2, id="alone"),
        pytest.param([b"respond-async, wait=1"], 1, id="among-others"),
        pytest.param([b"respond-async", b'Wait = "3"; x=y'], 3, id="another-line-quoted-with-a-parameter"),
        pytest.param([b"wait=1", b"wait=2"], 1, id="the-first-counts"),
        pytest.param([b"wait=0"], None, id="nothing-can-be-done-in-no-time"),
        pytest.param([b"wait=-1"], None, id="negative"),
        pytest.param([b"wait=1.5"], None, id="a-fraction"),
        pytest.param([b"wait=1s"], None, id="a-unit"),
        pytest.param([b"await=1"], None, id="another-preference"),
        pytest.param([b"wait=99999999999999999999"], None, id="too-long-a-number"),
        pytest.param([b"\xff"], None, id="bytes"),
        pytest.param([], None, id="does-not-say"),
    ],
)
def test_a_wait_is_read_or_ignored(lines: list[bytes], seconds: int | None) -> None:
    assert wait_of([(b"prefer", line) for line in lines]) == seconds


async def deadline_of(folder: Path, prefer: str | None) -> tuple[float, str | None]:
    """Return the time that a source was given, and what the gateway says that it kept to."""
    left: list[float] = []

    class Looking(Remembering):
        async def _answers(self, subjects, mask, ask):  # type: ignore[no-untyped-def]
            left.append(ask.deadline.remaining())
            return await super()._answers(subjects, mask, ask)

    limits = {"total_seconds": 20, "source_seconds": 15}
    behind = Looking(source("cs-amber", known(CHILD, row())))
    vars(behind.inner)["_manifest"] = _patient(behind.inner.manifest)
    async with running_world(folder, behind, limits=limits) as world:
        told = await _ask(world, prefer)
    return left[0], told


def _patient(manifest):  # type: ignore[no-untyped-def]
    from dataclasses import replace  # noqa: PLC0415

    return replace(manifest, timeout_seconds=30)


async def _ask(world: World, prefer: str | None) -> str | None:
    told = await world.ask(headers={"Prefer": prefer} if prefer else {})
    assert told.outcome == "DISCLOSED"
    found: str | None = told.response.headers.get("preference-applied")
    return found


async def test_a_client_that_waits_less_is_answered_within_it_and_told_so(tmp_path: Path) -> None:
    left, applied = await deadline_of(tmp_path, "wait=3")

    assert left <= 2.75
    assert applied == "wait=3"


async def test_what_the_log_took_before_the_agencies_is_part_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = AuditLog.append

    async def later(self: AuditLog, *how: Any, **more: Any) -> int:
        await asyncio.sleep(0.4)
        return await append(self, *how, **more)

    monkeypatch.setattr(AuditLog, "append", later)
    left, _ = await deadline_of(tmp_path, "wait=3")

    assert left <= 2.75 - 0.4


@pytest.mark.parametrize("prefer", [None, "wait=600"])
async def test_a_client_that_waits_longer_is_given_no_more_than_anybody(tmp_path: Path, prefer: str | None) -> None:
    left, applied = await deadline_of(tmp_path, prefer)

    assert 10 < left <= 15
    assert applied is None


class Leisurely(Remembering):
    """Takes most of the time that a source usually has, and answers."""

    async def _answers(self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask) -> Mapping[SubjectRef, Answer]:
        await asyncio.sleep(1.0)
        return await super()._answers(subjects, mask, ask)


async def test_clients_who_wait_for_no_slow_source_do_not_silence_it_for_the_others(tmp_path: Path) -> None:
    behind = Leisurely(source("cs-amber", known(CHILD, row()), depends_on_asker=True))
    async with running_world(tmp_path, behind) as world:
        impatient = await asyncio.gather(*(world.ask(headers={"Prefer": "wait=1"}) for _ in range(6)))
        patient = await world.ask()

    assert {told.outcome for told in impatient} == {"INCOMPLETE"}
    assert patient.outcome == "DISCLOSED"


async def test_a_source_is_not_silenced_for_the_time_that_lookups_spent_before_it_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind = Leisurely(source("cs-amber", known(CHILD, row()), depends_on_asker=True))
    async with running_world(tmp_path, behind) as world:
        with monkeypatch.context() as patch:
            have_all_wait(patch, 1.3)
            late = await asyncio.gather(*(world.ask() for _ in range(6)))
        in_time = await world.ask()

    assert {told.outcome for told in late} == {"INCOMPLETE"}
    assert in_time.outcome == "DISCLOSED"
