"""A gateway without a source starts, and says that nothing can be disclosed rather than that the caller may not ask."""

from __future__ import annotations

import pytest

from gateway.audit.events import EventKind
from tests.gateway.conftest import Running

pytestmark = pytest.mark.anyio


async def test_a_gateway_without_any_source_answers_nothing_disclosable_and_records_it(running: Running) -> None:
    async with running() as world:
        answer = await world.ask()

        assert answer.outcome == "NOTHING_DISCLOSABLE"
        assert answer.child["sources"] == []
        assert [kind for kind in world.kinds() if kind in {EventKind.INTENT, EventKind.OUTCOME}] == [
            "INTENT",
            "OUTCOME",
        ]


async def test_a_caller_without_the_scope_is_refused_also_where_there_is_no_source(running: Running) -> None:
    async with running() as world:
        answer = await world.ask(scope="schema:read")

        assert answer.code == "FORBIDDEN"
