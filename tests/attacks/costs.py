"""What one body costs before execution: CPU time, and the work that time is made of."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from graphql import DocumentNode, GraphQLError, Node, build_schema, parse, validate

from gateway.graphql.documents import Documents
from gateway.graphql.endpoint import ExecutedAnswer, GraphQLEndpoint
from gateway.graphql.query import GRAPHQL_SCHEMA
from tests.attacks.door import Answer, Knock, knock
from tests.fixtures.token_factory import TokenFactory


@dataclass(slots=True)
class Work:
    """What was done for one body."""

    parses: int = 0
    validations: int = 0
    nodes_validated: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of CPU until execution would begin or the refusal was written, the answer, and the work."""

    milliseconds: float
    answer: Answer
    work: Work


class _Allowed:
    """Nothing is executed: an empty answer stands for it."""

    async def answer(self, *_: Any) -> ExecutedAnswer:
        return ExecutedAnswer(data={"executed": None})

    async def refused(self, *_: Any) -> None:
        return None


@dataclass
class Meter:
    """A front door of the real schema with real tokens, behind which nothing is executed.

    Each measurement has a token that was never seen and a memory without documents. Both callers count: the token may
    introspect, which opens more of the schema to validation.
    """

    scope: str = "involvement:read schema:read"
    work: Work = field(default_factory=Work)

    def __post_init__(self) -> None:
        self.tokens = TokenFactory()
        self.validator = self.tokens.validator()
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(self.validator.authenticate([self.tokens.bearer()]))

    def close(self) -> None:
        self.loop.close()

    def cost(self, content: bytes, *, times: int = 1) -> Cost:
        """Return what the body costs; of several times the least, for other processes only ever add."""
        return min((self._once(content) for _ in range(times)), key=lambda cost: cost.milliseconds)

    def _once(self, content: bytes) -> Cost:
        self.work = Work()
        token = self.tokens.bearer(claims={"scope": self.scope}).encode()
        nothing = _Allowed()
        door = GraphQLEndpoint(
            documents=Documents(GRAPHQL_SCHEMA, parse=self._parse),
            authenticate=self._authenticate,
            may_introspect=lambda _: True,
            answer=nothing.answer,
            refused=nothing.refused,
        )
        request = Knock(
            content,
            (
                (b"content-type", b"application/json"),
                (b"accept", b"application/graphql-response+json"),
                (b"authorization", token),
            ),
        )
        started = time.process_time()
        answer = self.loop.run_until_complete(knock(door, request))
        return Cost((time.process_time() - started) * 1000, answer, self.work)

    async def _authenticate(self, values: Any) -> Any:
        return await self.validator.authenticate(values)

    def _parse(self, text: str, **options: Any) -> DocumentNode:
        self.work.parses += 1
        return parse(text, **options)


def counting_validations(meter: Meter) -> Callable[..., list[GraphQLError]]:
    """Return the library's validation, counted; put in its place for the runs that count work and measure no time."""

    def counted(schema: Any, document: DocumentNode, *rest: Any, **named: Any) -> list[GraphQLError]:
        meter.work.validations += 1
        meter.work.nodes_validated += nodes_of(document)
        return validate(schema, document, *rest, **named)

    return counted


def nodes_of(document: DocumentNode) -> int:
    """Return how many nodes a document has."""
    found = 0
    waiting: list[Any] = [document]
    while waiting:
        each = waiting.pop()
        if isinstance(each, tuple | list):
            waiting.extend(each)
        elif isinstance(each, Node):
            found += 1
            waiting.extend(getattr(each, key) for key in each.keys if key != "loc")
    return found


# A document, and the milliseconds of CPU that the library took for it, unguarded, on the machine whose limit counts.
_KNOWN = {
    "10,000 unknown directives": ("{ a " + "@x " * 10_000 + "}", 220.0),
    "5 MB of comments": ("{ a } " + "#\n" * 2_500_000, 4_100.0),
}


def slowness() -> float:
    """Return how many times slower than that machine this one is, by documents that the library still treats alike."""
    schema = build_schema("type Query { a: Int }")
    found = []
    for text, there in _KNOWN.values():
        started = time.process_time()
        validate(schema, parse(text))
        found.append((time.process_time() - started) * 1000 / there)
    return statistics.mean(found)
