"""However a request is malformed: no 5xx, an answer of the contract, nothing of the request in it or in the logs.

CONTACTPOINT_TEST_MALFORMED sets how many requests are sent; 100,000 for the proof, in at most five minutes.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

import pytest

from tests.attacks.conftest import House, house_sources, tokens_of
from tests.attacks.door import Answer, Knock, echoes_in, faults_of, knock
from tests.attacks.malformed import PLANTED, Malformer
from tests.end_to_end.world import logs_kept
from tests.fixtures.world import running_world

pytestmark = pytest.mark.anyio

REQUESTS = int(os.environ.get("CONTACTPOINT_TEST_MALFORMED", "3000"))
SEED = int(os.environ.get("CONTACTPOINT_TEST_SEED", "3"))
_CHECK_LOGS_EVERY = 500
_ACCEPTED = ("lookup", "schema", "both", "office")


@dataclass
class Tally:
    """What came back."""

    statuses: Counter[int] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lines: int = 0

    @property
    def total(self) -> int:
        return self.statuses.total()


@pytest.fixture
def logged() -> Iterator[StringIO]:
    """Yield the gateway's own logs at their most talkative."""
    with logs_kept() as kept:
        yield kept


@pytest.fixture
async def home(tmp_path: Any, logged: StringIO) -> AsyncIterator[House]:
    """Yield a house of its own whose logs are kept."""
    logging.getLogger("asyncio").setLevel(logging.DEBUG)
    sources = house_sources()
    async with running_world(tmp_path, *sources) as world:
        yield House(world, world.client._transport.app, sources, tokens_of(world))  # type: ignore[attr-defined]


def wrongs(answer: Answer, request: Knock) -> list[str]:
    """Return, in words, what is wrong with an answer to a malformed request."""
    found = faults_of(answer)
    if any(name not in _HEADERS for name, _ in answer.headers):
        found.append("a header of another name")
    return found + [f"quotes {text!r}" for text in echoes_in(answer, PLANTED)]


_HEADERS = {
    b"content-type",
    b"content-length",
    b"x-request-id",
    b"cache-control",
    b"x-content-type-options",
    b"referrer-policy",
    b"www-authenticate",
    b"allow",
    b"connection",
    b"retry-after",
}


async def hammered(app: Any, malformer: Malformer, requests: int, logged: StringIO, *, enough: int = 20) -> Tally:
    """Send so many malformed requests, or until enough is wrong."""
    tally = Tally()
    for n in range(requests):
        way, request = malformer.draw()
        try:
            answer = await knock(app, request)
        except Exception as raised:
            tally.wrong.append(f"{way} {n}: raised {type(raised).__qualname__}")
            continue
        tally.statuses[answer.status] += 1
        tally.codes[answer.code or "answered"] += 1
        tally.ways[way] += 1
        tally.wrong += [f"{way} {n}: {wrong}" for wrong in wrongs(answer, request)]
        if n % _CHECK_LOGS_EVERY == _CHECK_LOGS_EVERY - 1 or n == requests - 1:
            text = logged.getvalue()
            tally.lines += text.count("\n")
            tally.wrong += [f"{way} {n}: logged {p!r}" for p in echoes_in(Answer(0, (), text.encode()), PLANTED)]
            logged.seek(0)
            logged.truncate()
        if len(tally.wrong) >= enough:
            break
    return tally


@pytest.mark.parametrize("half", ["first half", "second half"])
async def test_no_malformed_request_gets_a_5xx_or_an_echo(
    half: str,
    home: House,
    logged: StringIO,
    record_testsuite_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    started = time.monotonic()
    malformer = Malformer(SEED + (half == "second half"), [home.tokens[name] for name in _ACCEPTED])
    tally = Tally()
    while tally.total < REQUESTS // 2 and not tally.wrong:
        # tokens end after minutes, so every few thousand requests have new ones
        home.tokens = tokens_of(home.world)
        malformer.tokens = [home.tokens[name] for name in _ACCEPTED]
        part = await hammered(home.app, malformer, min(5_000, REQUESTS // 2 - tally.total), logged)
        tally.statuses += part.statuses
        tally.codes += part.codes
        tally.ways += part.ways
        tally.lines += part.lines
        tally.wrong += part.wrong

    record_testsuite_property(f"{half}: malformed requests", tally.total)
    record_testsuite_property(f"{half}: of these with a 5xx, an ill-formed answer or an echo", len(tally.wrong))
    record_testsuite_property(f"{half}: statuses", ", ".join(f"{s} {n}" for s, n in sorted(tally.statuses.items())))
    record_testsuite_property(f"{half}: codes", ", ".join(f"{c} {n}" for c, n in sorted(tally.codes.items())))
    record_testsuite_property(f"{half}: lines logged meanwhile, none with anything planted", tally.lines)
    record_testsuite_property(f"{half}: seconds for the malformed requests", round(time.monotonic() - started))
    with capsys.disabled():
        print(f"\nmalformed requests, {half}: {len(tally.wrong)} of {tally.total} with a 5xx, ill-formed or an echo")
    assert not tally.wrong, "\n".join(tally.wrong[:20])
    # else the generator would not reach the parts that it is meant for
    assert {200, 400, 401, 405, 406, 413, 415} <= set(tally.statuses) or REQUESTS < 2_000
    assert tally.codes["answered"] > 0.02 * tally.total
    assert len(tally.ways) == len(malformer.ways)


async def _raises(app: Any, scope: Any, receive: Any, send: Any) -> None:
    if any(name == b"cookie" for name, _ in scope["headers"]):
        raise RuntimeError("one shape of request")
    await app(scope, receive, send)


async def _fails(app: Any, scope: Any, receive: Any, send: Any) -> None:
    async def say(message: Any) -> None:
        await send({**message, "status": 500} if message.get("status") == 406 else message)

    await app(scope, receive, say)


async def _echoes(app: Any, scope: Any, receive: Any, send: Any) -> None:
    async def say(message: Any) -> None:
        if "headers" in message:
            ids = [(b"x-request-id", value) for name, value in scope["headers"] if name == b"x-request-id"]
            kept = [header for header in message["headers"] if not ids or header[0] != b"x-request-id"]
            message = {**message, "headers": [*kept, *ids]}
        await send(message)

    await app(scope, receive, say)


async def _logs(app: Any, scope: Any, receive: Any, send: Any) -> None:
    async def hear() -> Any:
        message = await receive()
        if message.get("body", b"").startswith(b"["):
            logging.getLogger("flawed").warning("a batch: %r", message["body"])
        return message

    await app(scope, hear, send)


async def _words(app: Any, scope: Any, receive: Any, send: Any) -> None:
    async def say(message: Any) -> None:
        body = message.get("body")
        if body and b'"GRAPHQL_PARSE_FAILED"' in body:
            message = {**message, "body": body.replace(b"GraphQL syntax", b"graphql SYNTAX")}
        await send(message)

    await app(scope, receive, say)


FLAWS = {
    "raises on one shape": _raises,
    "fails where it should refuse": _fails,
    "echoes one header": _echoes,
    "logs one shape": _logs,
    "says something of its own": _words,
}


@pytest.mark.parametrize("flaw", FLAWS)
async def test_a_flawed_door_is_noticed(
    flaw: str, home: House, logged: StringIO, record_testsuite_property: Callable[[str, object], None]
) -> None:
    async def flawed(scope: Any, receive: Any, send: Any) -> None:
        await FLAWS[flaw](home.app, scope, receive, send)

    malformer = Malformer(SEED, [home.tokens[name] for name in _ACCEPTED])
    tally = await hammered(flawed, malformer, 3_000, logged, enough=1)

    record_testsuite_property(f"control: a door that {flaw}", f"noticed within {max(1, tally.total)} requests")
    assert tally.wrong
