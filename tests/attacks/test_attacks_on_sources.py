"""Attacks through the gateway on what is behind it: what a source gets, and what a source can do to us."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.addresses import AddressRule
from connectors.http import Deadline, FaultCode, SourceClient, SourceFailed
from schema.identifiers import NHSNumber
from tests.attacks import attack_table as table
from tests.attacks.conftest import House
from tests.attacks.door import Answer, echoes_in, knock
from tests.fixtures.fault_server import FaultServer, head, says
from tests.fixtures.sources import CHILD, RaisingSource, source
from tests.fixtures.world import running_world

pytestmark = pytest.mark.anyio


async def test_a_source_that_raises_is_no_answer_and_is_not_quoted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as entries:
        async with running_world(tmp_path, RaisingSource(source("cs-amber"))) as world:
            told = await world.ask(CHILD, family=table.FAMILY, reason=table.REASON, select="outcome sources { status }")
    answer = Answer(told.status, tuple((n.lower(), v) for n, v in told.response.headers.raw), told.response.content)

    assert told.child == {"outcome": "INCOMPLETE", "sources": [{"status": "NO_ANSWER"}]}
    assert not echoes_in(answer, table.PLANTED)
    assert not echoes_in(Answer(0, (), (repr(entries) + caplog.text).encode()), table.PLANTED)


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "168.63.129.16", "64:ff9b::a9fe:a9fe", "0.0.0.0"],
)
async def test_no_source_is_asked_at_an_address_of_the_platform(address: str) -> None:
    async def resolves(_: str) -> Sequence[str]:
        return [address]

    client = SourceClient("https://agency.example", allow_private=True, lookup=resolves)
    try:
        with pytest.raises(SourceFailed) as caught:
            await client.request("GET", "/", deadline=Deadline.after(5), request_id="7d1c")
    finally:
        await client.aclose()

    assert caught.value.code is FaultCode.FORBIDDEN_ADDRESS
    rule = AddressRule(allow_private=True, loopback_named=False, plain_http=False)
    assert not rule.permits(ip_address(address))


@pytest.mark.network
async def test_a_redirect_of_a_source_is_not_followed() -> None:
    moved = head("302 Found", extra="Location: http://169.254.169.254/\r\nContent-Length: 0\r\n")
    async with FaultServer(says(moved)) as server:
        client = SourceClient(server.url, allow_private=False)
        try:
            with pytest.raises(SourceFailed) as caught:
                await client.request("GET", "/", deadline=Deadline.after(2), request_id="7d1c")
        finally:
            await client.aclose()
        assert len(server.received) == 1

    assert caught.value.code is FaultCode.REDIRECT


@given(number=st.text(max_size=30) | st.text("0123456789-\r\n\0 /.%", min_size=8, max_size=14))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_source_gets_a_parsed_identifier_or_is_not_asked(house: House, number: str) -> None:
    before = len(house.sources[0].asked)
    case = table.looks_up(35, "", nhsNumber=number)
    request = case.knock.with_header(b"authorization", house.tokens["lookup"])

    answer = await knock(house.app, request)

    assert answer.code in {"BAD_USER_INPUT", "BODY_NOT_JSON", None}
    for asked in house.sources[0].asked[before:]:
        for subject in asked.subjects:
            assert type(subject) is NHSNumber or type(subject.nhs_number) is NHSNumber
            assert str(getattr(subject, "nhs_number", subject)).isdigit()


async def test_an_identifier_that_is_one_does_reach_the_source(
    house: House, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """The control of the property above."""
    before = house.asked()

    spaced = "999 000 0018"
    answer: Any = await knock(
        house.app,
        table.looks_up(35, "", nhsNumber=spaced).knock.with_header(b"authorization", house.tokens["lookup"]),
    )

    assert answer.code is None
    assert house.asked() > before
