"""The house that is attacked: the whole application in this process, two agencies behind it, and tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from schema.records import IdentityClaim
from schema.vocabulary import AgencyKind, Scope
from tests.attacks import attack_table as table
from tests.fixtures.sources import CHILD, Remembering, known, row, source
from tests.fixtures.world import ALL_SCOPES, World, running_world

OFFICE = f"{Scope.ACCESS} {Scope.APPOINTMENT}"
"""What an office holds: it reads the access model and registers appointments, and looks nobody up."""


@dataclass
class House:
    """A running world, its sources and an Authorization value for each kind of caller."""

    world: World
    app: Any
    sources: list[Any]
    tokens: dict[str, bytes]

    def asked(self) -> int:
        """Return how often any source was asked."""
        return sum(len(each.asked) for each in self.sources)


def tokens_of(world: World) -> dict[str, bytes]:
    """Return the Authorization value of each name that the table uses."""

    def bearer(**claims: Any) -> bytes:
        return world.headers(**claims)["Authorization"].encode()

    return {
        "lookup": bearer(),
        "schema": bearer(scope="schema:read"),
        "both": bearer(scope=f"{ALL_SCOPES} schema:read"),
        "office": bearer(scope=f"{ALL_SCOPES} {OFFICE}"),
        "auditor": bearer(scope="audit:read", roles=["security_auditor"]),
        "false": b"Bearer zqx.zqx.zqx",
    }


def house_sources() -> list[Any]:
    """Return two agencies that know the table's child."""
    claim = IdentityClaim(date.fromisoformat(table.BORN), (table.FAMILY,))
    return [
        Remembering(source("cs-amber", known(CHILD, row(identity=claim), trace=claim))),
        Remembering(source("police-amber", known(CHILD, row("p-1", identity=claim)), kind=AgencyKind.POLICE)),
    ]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One event loop for a module: its house stands in it."""
    return "asyncio"


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """Yield a house that every test of a module attacks."""
    folder: Path = tmp_path_factory.mktemp("house")
    sources = house_sources()
    async with running_world(folder, *sources) as world:
        yield House(world, world.client._transport.app, sources, tokens_of(world))  # type: ignore[attr-defined]
