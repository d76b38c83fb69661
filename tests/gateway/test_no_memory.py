"""Where there is no memory for a callback or a task, one request is refused, and nobody after it waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Deadline
from gateway.audit.keys import AuditKeys
from gateway.federation.upstream import Upstream
from gateway.front.shedding import Admission, Priority
from gateway.shields import DatabaseShields
from gateway.storage.engine import open_engine
from tests.fixtures.migrated import open_migrated
from tests.fixtures.sources import CHILD, Remembering
from tests.gateway.test_batching import CHILDREN, MASK, an_ask, police, rows_of

pytestmark = pytest.mark.anyio


@contextmanager
def none_left(monkeypatch: pytest.MonkeyPatch, what: str, called: str) -> Iterator[None]:
    """Leave this loop without memory for what its method `what` is to make of anything with this name."""
    loop: Any = asyncio.get_running_loop()
    usual: Callable[..., Any] = getattr(loop, what)

    def made(wanted: Any, *rest: Any, **how: Any) -> Any:
        if getattr(wanted, "__name__", "") == called:
            raise MemoryError
        return usual(wanted, *rest, **how)

    with monkeypatch.context() as patched:
        patched.setattr(loop, what, made, raising=False)
        yield


async def test_a_batch_that_cannot_be_sent_is_joined_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    upstream = Upstream(Remembering(police()))
    with none_left(monkeypatch, "call_soon", "_send"), pytest.raises(MemoryError):
        await upstream.involvements([CHILDREN[0]], MASK, an_ask())

    async with asyncio.timeout_at(Deadline.after(5).at):
        assert rows_of(await upstream.involvements([CHILDREN[0]], MASK, an_ask()), CHILDREN[0]) == ["one"]


@pytest.mark.parametrize(
    ("database", "what", "called"),
    [
        ("sqlite", "call_soon", "_begin_reading"),
        ("postgresql", "call_soon", "_begin_reading"),
        ("postgresql", "create_task", "_read_and_tell"),
    ],
)
async def test_shields_that_cannot_be_read_now_can_be_read_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    database: str,
    what: str,
    called: str,
) -> None:
    if database == "postgresql":
        server = request.getfixturevalue("postgresql_server")
        engine = open_engine(server.url(request.getfixturevalue("postgresql_database")))
    else:
        engine = open_migrated(tmp_path / "gateway.db")
    shields = DatabaseShields(engine, AuditKeys.load_or_create(tmp_path / "keys.json"))
    try:
        async with asyncio.timeout(5):
            with none_left(monkeypatch, what, called), pytest.raises(MemoryError):
                await shields.shielding(CHILD)
            assert await shields.shielding(CHILD) == frozenset()
    finally:
        shields.close()
        engine.dispose()


async def test_who_cannot_be_let_in_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    admission = Admission()
    with none_left(monkeypatch, "call_soon", "_turned"), pytest.raises(MemoryError):
        admission.enter(Priority.LOOKUP)
    assert admission.under_way == 0

    # and how long turns take is measured again as soon as it can be
    admission.enter(Priority.LOOKUP)
    await asyncio.sleep(0)
    admission.leave()
    assert admission.under_way == 0
