"""A world in the test's own folder, those who ask in it, and the auditors who read what was asked."""

from __future__ import annotations

import time
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import pytest

from connectors.base import Connector
from gateway.federation.sources import Source
from schema.records import IdentityClaim
from tests.fixtures.sources import BORN, CHILD, FAMILY, known, row, source
from tests.fixtures.world import Told, World, running_world

AUDITOR: Final[dict[str, Any]] = {"sub": "auditor-1", "roles": ["security_auditor"], "scope": "audit:read"}
OTHERS_AUDITOR: Final = AUDITOR | {"sub": "auditor-2", "org": "brook-council"}
NODE: Final = """
    id kind at person { id subject name registration roles client } organisation subject receipt purpose reason
    caseReference justification outcome complete sources { source status reason }
    disclosed { entry agency sources fields } sections code rules agreements reading count flags covered
"""
EVENTS: Final = (
    "query E($filter: AuditFilter, $first: Int, $after: String) { auditEvents(filter: $filter, first: $first, "
    f"after: $after) {{ edges {{ cursor node {{ {NODE} }} }} "
    "pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"
)


class Running(Protocol):
    """`running_world` in a folder that is already chosen."""

    def __call__(self, *connectors: Connector | Source, **arguments: object) -> AbstractAsyncContextManager[World]: ...


@pytest.fixture
def running(tmp_path: Path) -> Running:
    return partial(running_world, tmp_path)


def council(number: str = CHILD, **more: Any) -> Any:
    """A council that is nobody's own here; it also traces who the child is."""
    trace = IdentityClaim(BORN, (FAMILY,))
    return source("cs-amber", known(number, row(number="SW900001"), trace=trace, **more), organisation="brook-council")


async def ask_events(
    world: World, wanted: dict[str, Any] | None = None, first: int | None = None, after: str | None = None, **who: Any
) -> Told:
    """Ask for events as an auditor of amber-council, or as `who` says."""
    given = {"filter": wanted, "first": first, "after": after}
    variables = {name: value for name, value in given.items() if value is not None}
    return await world.post(EVENTS, variables, **(AUDITOR | who))


async def events(world: World, wanted: dict[str, Any] | None = None, **more: Any) -> list[dict[str, Any]]:
    """Return the nodes of a page; only lookups and refusals unless `wanted` says otherwise."""
    told = await ask_events(world, {"kind": ["LOOKUP", "REFUSAL"]} | (wanted or {}), **more)
    assert "errors" not in told.body, told.body
    return [edge["node"] for edge in told.body["data"]["auditEvents"]["edges"]]


async def break_glass(world: World, number: str = CHILD) -> Told:
    """Look a child up by break-glass, as a social worker who signed in a minute ago."""
    override = {"justification": "Immediate risk, no time for a strategy discussion", "acceptReview": True}
    return await world.ask(
        number,
        access={"override": override},
        scope="involvement:read lookup:override",
        auth_time=int(time.time()) - 60,
    )
