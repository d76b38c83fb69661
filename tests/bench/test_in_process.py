"""The gateway that the bench measures in its own process answers in full; figures of another answer are refused."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import ModuleType

import pytest

from bench import in_process
from bench.agency import CHILD
from gateway.front import asgi

pytestmark = pytest.mark.anyio

Lookups = Callable[[], AbstractAsyncContextManager[Callable[[], Awaitable[bytes]]]]


@pytest.fixture
def lookups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lookups:
    """A gateway that serves in this process, and the function that sends it one lookup."""
    monkeypatch.setattr(sys, "path", [*sys.path])  # the bench's own is put before it

    @asynccontextmanager
    async def serving() -> AsyncIterator[Callable[[], Awaitable[bytes]]]:
        gateway, token = in_process.gateway_in(tmp_path)
        app = asgi.application(gateway)
        async with app.router.lifespan_context(app):
            yield in_process.request_of(app, token)

    return serving


def loaded_driver() -> ModuleType:
    """The driver as its entry point loads it: not the module of the package."""
    return sys.modules["driver"]


async def test_every_agency_of_the_bench_answers_in_full(lookups: Lookups) -> None:
    async with lookups() as lookup:
        child = json.loads(await lookup())["data"]["child"]

    assert child["complete"] is True
    assert len(child["involvements"]) == in_process.TOLD == 8


async def test_the_cost_of_a_lookup_whose_sources_fail_is_refused(
    lookups: Lookups, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lookups() as lookup:
        await lookup()
        monkeypatch.setattr(loaded_driver().InMemory, "_of_one", lambda self, ref, ask: None)  # lacks two

        with pytest.raises(RuntimeError, match="not answered in full"):
            await lookup()


async def test_the_cost_of_a_lookup_that_tells_of_fewer_is_refused(
    lookups: Lookups, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = json.loads(CHILD)
    fewer = json.dumps({**child, "count": 1, "involvements": child["involvements"][:1]}).encode()

    async with lookups() as lookup:
        monkeypatch.setattr(loaded_driver(), "CHILD", fewer)

        with pytest.raises(RuntimeError, match="with 8 involvements"):
            await lookup()
