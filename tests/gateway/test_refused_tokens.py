"""Refused credentials on the log: singly up to a rate, then as counts that are written whatever happens next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from auth.refusals import InvalidRequest, Reason, Unauthenticated
from gateway import errors
from gateway.audit.errors import AuditUnavailable
from gateway.audit.events import PAYLOAD_KEYS, EventKind
from gateway.front.refused_tokens import PER_MINUTE, PER_SECOND, RefusedTokens
from gateway.graphql.endpoint import RequestContext
from tests.gateway.conftest import Running

pytestmark = pytest.mark.anyio

CONTEXT = RequestContext("r", "POST", 0.0, {})


class Log:
    """Keeps what is appended; refuses while `away`."""

    def __init__(self) -> None:
        self.written: list[Mapping[str, Any]] = []
        self.away = False
        self.counted = anyio.Event()

    async def append(self, kind: EventKind, payload: Mapping[str, Any]) -> None:
        assert payload.keys() <= PAYLOAD_KEYS[kind]
        if self.away:
            raise AuditUnavailable("no")
        self.written.append(payload)
        if "count" in payload:
            self.counted.set()


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def over(log: Log, *, seconds: float = 60.0, clock: Clock | None = None) -> RefusedTokens:
    return RefusedTokens(log, seconds=seconds, clock=clock or Clock())  # type: ignore[arg-type]


def refusal(reason: Reason = Reason.SIGNATURE) -> errors.GatewayError:
    error = errors.Unauthenticated("Bearer")
    error.__cause__ = Unauthenticated("invalid_token", reason, "0123456789abcdef")
    return error


async def noted(refused: RefusedTokens, times: int, error: errors.GatewayError | None = None) -> None:
    for _ in range(times):
        await refused.note(error or refusal(), None, None, CONTEXT)


async def test_the_first_of_a_second_are_written_singly_and_the_others_as_one_count_of_each_cause() -> None:
    log = Log()
    refused = over(log)
    await noted(refused, 9)
    await noted(refused, 3, refusal(Reason.EXPIRED))
    await refused.drain()

    singly = {"caller": {"token": "0123456789abcdef"}, "request": "r", "code": "TOKEN SIGNATURE", "rule": None}
    assert log.written == [
        *[singly] * PER_SECOND,
        {"code": "TOKEN SIGNATURE", "rule": None, "count": 9 - PER_SECOND},
        {"code": "TOKEN EXPIRED", "rule": None, "count": 3},
    ]


async def test_a_flood_that_lasts_is_not_written_singly_for_longer_than_its_minute_allows() -> None:
    log, clock = Log(), Clock()
    refused = over(log, clock=clock)
    for _ in range(120):
        await noted(refused, PER_SECOND)
        clock.now += 0.49
    await refused.drain()

    singly = [payload for payload in log.written if "count" not in payload]
    counted = sum(payload["count"] for payload in log.written if "count" in payload)
    assert len(singly) == PER_MINUTE
    assert len(singly) + counted == 120 * PER_SECOND


async def test_the_count_is_written_when_its_minute_ends_though_nobody_comes_back() -> None:
    log = Log()
    refused = over(log, seconds=0.02)
    await noted(refused, PER_SECOND + 2)
    with anyio.fail_after(5):
        await log.counted.wait()

    assert log.written[-1]["count"] == 2


async def test_what_the_log_could_not_take_is_counted_with_the_next() -> None:
    log = Log()
    refused = over(log, seconds=0.02)
    log.away = True
    await noted(refused, PER_SECOND + 2)
    await anyio.sleep(0.05)
    log.away = False
    with anyio.fail_after(5):
        await log.counted.wait()

    assert log.written == [{"code": "TOKEN SIGNATURE", "rule": None, "count": PER_SECOND + 2}]


async def test_a_log_that_does_not_answer_holds_up_no_refusal() -> None:
    log = Log()

    async def never(kind: EventKind, payload: Mapping[str, Any]) -> None:
        await anyio.sleep_forever()

    log.append = never  # type: ignore[method-assign]
    refused = over(log)
    with anyio.fail_after(5):
        await noted(refused, 1000)

    for task in refused._tasks:
        task.cancel()


async def test_several_credentials_are_recorded_and_keys_that_cannot_be_had_are_not() -> None:
    log = Log()
    refused = over(log)
    several = errors.InvalidCredentialsRequest("Bearer")
    several.__cause__ = InvalidRequest()
    await noted(refused, 1, several)
    await noted(refused, 1, errors.Overloaded(5))
    await refused.drain()

    assert [(p["code"], p["caller"]["token"]) for p in log.written] == [("TOKEN SEVERAL_CREDENTIALS", None)]


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ([], "TOKEN NO_CREDENTIALS"),
        ([("Authorization", "Basic eDp5")], "TOKEN OTHER_SCHEME"),
        ([("Authorization", "Bearer x")], "TOKEN NOT_A_JWS"),
        ([("Authorization", "Bearer a"), ("Authorization", "Bearer b")], "TOKEN SEVERAL_CREDENTIALS"),
    ],
)
async def test_the_gateway_records_whoever_comes_without_good_credentials(
    running: Running, authorization: list[tuple[str, str]], code: str
) -> None:
    async with running() as world:
        await world.client.post("/graphql", json={"query": "{ __typename }"}, headers=authorization)
        await world.gateway.refused_tokens.drain()

        assert [(r.payload or {})["code"] for r in world.records(EventKind.DENIED)] == [code]


async def test_a_gateway_that_stops_writes_its_counts_first(running: Running) -> None:
    async with running() as world:
        for _ in range(PER_SECOND + 4):
            await world.client.post("/graphql", json={"query": "{ __typename }"}, headers={"Authorization": "Bearer x"})
    denied = [record.payload or {} for record in world.records(EventKind.DENIED)]

    assert sum(payload.get("count", 1) for payload in denied) == PER_SECOND + 4
