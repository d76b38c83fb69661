"""A world in the test's own folder, and those who break the glass in it and review it."""

from __future__ import annotations

import time
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import pytest

from connectors.base import Connector
from gateway.federation.sources import Source
from tests.fixtures.sources import CHILD
from tests.fixtures.world import Told, World, running_world

JUSTIFICATION: Final = "Immediate risk, no time for a strategy discussion"
AUDITOR: Final[dict[str, Any]] = {"sub": "auditor-1", "roles": ["security_auditor"], "scope": "audit:read"}
FIELDS: Final = "id kind state person child receipt purpose openedAt dueAt overdue decidedAt decidedBy note"
QUEUE: Final = f"query Queue($state: [ReviewState!]) {{ reviews(state: $state) {{ {FIELDS} }} }}"
DECIDE: Final = (
    f"mutation D($id: ID!, $is: ReviewVerdict!, $note: String!) "
    f"{{ decideReview(id: $id, verdict: $is, note: $note) {{ {FIELDS} }} }}"
)


class Running(Protocol):
    """`running_world` in a folder that is already chosen."""

    def __call__(self, *connectors: Connector | Source, **arguments: object) -> AbstractAsyncContextManager[World]: ...


@pytest.fixture
def running(tmp_path: Path) -> Running:
    return partial(running_world, tmp_path)


async def break_glass(
    world: World, number: str = CHILD, *, access: dict[str, Any] | None = None, **differs: Any
) -> Told:
    """Look a child up by break-glass, as a social worker who signed in a minute ago."""
    override = {"justification": JUSTIFICATION, "acceptReview": True} | (access or {})
    usual = {"scope": "involvement:read lookup:override", "auth_time": int(time.time()) - 60}
    return await world.ask(number, access={"override": override}, **(usual | differs))


async def queue(world: World, *states: str, **differs: Any) -> list[dict[str, Any]]:
    """Read the queue as an auditor of amber-council."""
    told = await world.post(QUEUE, {"state": list(states)} if states else {}, **(AUDITOR | differs))
    found: list[dict[str, Any]] = told.body["data"]["reviews"]
    return found


async def decide(world: World, review: str, verdict: str = "UPHELD", note: str = "Seen", **differs: Any) -> Told:
    """Decide a review as an auditor of amber-council."""
    return await world.post(DECIDE, {"id": review, "is": verdict, "note": note}, **(AUDITOR | differs))
