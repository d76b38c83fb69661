"""The questions of scanners, asked of the gateway and of an open server: nothing is found in one, all in the other.

The gateway is asked with a token that may look children up and may not read the schema.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from gateway.graphql.query import GRAPHQL_SCHEMA
from tests.attacks.conftest import House
from tests.attacks.door import Answer, Knock, knock
from tests.attacks.open_door import open_door
from tests.attacks.recovering import NOISE, names_of, recovered
from tests.attacks.scanner import CHECKS, Ask

pytestmark = pytest.mark.anyio

WORDS = sorted(names_of(GRAPHQL_SCHEMA) | set(NOISE))


def asking(house: House) -> Ask:
    """Return how the gateway is asked."""

    def ask(request: Knock) -> Awaitable[Answer]:
        return knock(house.app, request.with_header(b"authorization", house.tokens["lookup"]))

    return ask


def asking_the_open_door(request: Knock) -> Awaitable[Answer]:
    return knock(open_door, request)


async def test_no_scanner_finds_anything(
    house: House, record_testsuite_property: Callable[[str, object], None]
) -> None:
    found = [check.__name__ for check in CHECKS if await check(asking(house))]

    record_testsuite_property("findings of the scanners' questions", f"{len(found)} of {len(CHECKS)}")
    assert found == []


async def test_the_same_questions_find_an_open_door(record_testsuite_property: Callable[[str, object], None]) -> None:
    found = [check.__name__ for check in CHECKS if await check(asking_the_open_door)]

    record_testsuite_property("control: their findings at an open door", f"{len(found)} of {len(CHECKS)}")
    assert found == [check.__name__ for check in CHECKS]


async def test_no_name_of_the_schema_is_recovered(
    house: House, record_testsuite_property: Callable[[str, object], None]
) -> None:
    found = await recovered(asking(house), WORDS, GRAPHQL_SCHEMA)

    record_testsuite_property("names recovered from errors, by our own attempt", f"{len(found)} of {len(WORDS)}")
    assert found == set()


async def test_an_open_door_gives_its_names_away(record_testsuite_property: Callable[[str, object], None]) -> None:
    found = await recovered(asking_the_open_door, [*WORDS[::8], "viewer", "child"], GRAPHQL_SCHEMA)

    record_testsuite_property("control: names recovered where suggestions are on", len(found))
    assert len(found) > 30
