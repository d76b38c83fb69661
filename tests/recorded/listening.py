"""Holds the log against every answer that a gateway in this process sends, whatever test asked for it.

`listen()` stands between the application and whoever asks: it keeps each request with the bytes of its answer, and
compares them with what is stored in the log, after each test and when a gateway closes. `tests/conftest.py` starts it.
"""

from __future__ import annotations

import hashlib
import json
import weakref
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from gateway.app import Gateway
from gateway.graphql.endpoint import GraphQLEndpoint
from tests.recorded.sent import Unreadable, asked_for, differences, held_in, lookup_in

MOST_WAITING: Final = 256
"""How many answers wait for their comparison before it is made without waiting for the test's end."""

_RECORDS: Final = sa.text(
    "SELECT p.seq, l.body, p.body FROM audit_payload AS p JOIN audit_leaf AS l ON l.shard = p.shard AND l.seq = p.seq "
    "WHERE p.shard = :shard AND p.seq >= :first ORDER BY p.seq"
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request to /graphql and the answer to it, as bytes."""

    request: bytes = field(repr=False)
    answer: bytes = field(repr=False)


@dataclass(slots=True)
class Tally:
    """What was compared, and every difference that was found. `differences`: where no test seeded one."""

    answers: int = 0
    entries: int = 0
    fields: int = 0
    sections: int = 0
    differences: int = 0
    nothing: int = 0  # answers that disclose nothing
    faults: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, int]:
        """Return what the proof publishes."""
        return {
            "answers held against the log": self.answers,
            "of those, answers that disclose nothing": self.nothing,
            "entries of practitioners in them": self.entries,
            "fields of those entries": self.fields,
            "fields of deeper sections": self.sections,
            "differences where none was seeded": self.differences,
        }


TALLY: Final = Tally()


class Account:
    """The answers of one gateway that wait for comparison, and how far its log has been read."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = weakref.ref(gateway)
        self.waiting: list[Exchange] = []
        self.read = 0
        # OUTCOMEs that no answer has claimed yet, by the digest of the body that they are about
        self.outcomes: dict[str, list[Mapping[str, Any]]] = {}
        self.intents: set[int] = set()

    def settle(self) -> None:
        """Compare what waits. A log that cannot be read accounts for nothing: each answer is then a fault."""
        waiting, self.waiting = self.waiting, []
        gateway = self.gateway()
        if gateway is None or not waiting:
            return
        try:
            self._read(gateway)
        except sa.exc.SQLAlchemyError:
            if lookups := sum(_answered(exchange) is not None for exchange in waiting):
                TALLY.faults.append(f"the log cannot be read, and {lookups} answers were sent")
            return
        for exchange in waiting:
            TALLY.faults += self.faults(exchange)

    def _read(self, gateway: Gateway) -> None:
        with gateway.engine.connect() as connection:
            rows = connection.execute(_RECORDS, {"shard": gateway.log.shard, "first": self.read}).all()
        for seq, leaf, body in rows:
            self.read = seq + 1
            self.note(seq, msgspec.json.decode(leaf)["kind"], msgspec.json.decode(body))

    def note(self, seq: int, kind: str, payload: Mapping[str, Any]) -> None:
        """Take up one record."""
        if kind == "INTENT":
            self.intents.add(seq)
        elif kind == "OUTCOME":
            self.outcomes.setdefault(str(payload.get("response")), []).append(payload)

    def faults(self, exchange: Exchange) -> Iterable[str]:
        """Say where an answer and its record differ; nothing for an answer that is no lookup's."""
        told = _answered(exchange)
        if told is None:
            return []
        asked, data, extensions = told
        found = lookup_in(asked, data)
        if found is None:
            return []
        lookup_asked, lookup = found
        digest = hashlib.sha256(exchange.answer).hexdigest()
        matching = self.outcomes.get(digest)
        if not matching:
            return ["an answer was sent of whose bytes no OUTCOME has the digest"]
        outcome = matching.pop()
        if not matching:
            del self.outcomes[digest]  # who looks up for half an hour is not to grow by it
        TALLY.answers += 1
        try:
            held = held_in(asked, data)
        except Unreadable as fault:
            return [str(fault)]
        TALLY.entries += len(held.entries)
        TALLY.fields += sum(map(len, held.entries.values()))
        TALLY.sections += len(held.sections)
        TALLY.nothing += not (held.entries or held.sections)
        return [
            *differences(held, outcome["disclosed"]),
            *self._frame(outcome, {each.name: lookup[key] for key, each in lookup_asked.below.items()}, extensions),
        ]

    def _frame(self, outcome: Mapping[str, Any], lookup: Mapping[str, Any], extensions: Any) -> Iterable[str]:
        if outcome["intent"] not in self.intents:
            yield "OUTCOME closes no INTENT"
        self.intents.discard(outcome["intent"])
        for name in ("outcome", "complete", "receipt"):
            if name in lookup and lookup[name] != outcome[name]:
                yield f"OUTCOME has another {name}"
        if extensions["disclosure"]["withheld"] != outcome["withheld"]:
            yield "OUTCOME has another list of what was withheld"
        if outcome["complete"] is (outcome["outcome"] == "INCOMPLETE"):
            yield "OUTCOME contradicts itself"
        recorded = {each["id"] for each in outcome["sources"]}
        if recorded != outcome["asked"].keys():
            yield "OUTCOME says of other sources that they were asked than what each of them did"
        said = Counter((each["status"], each.get("reason")) for each in lookup.get("sources", ()) if "status" in each)
        if said and all("reason" in each for each in lookup["sources"]):
            did = Counter((each["status"], each["reason"]) for each in outcome["sources"])
            if Counter({key: n for key, n in said.items() if key[0] != "NOT_ASKED"}) != did:
                yield "OUTCOME has other answers of sources"


def _answered(exchange: Exchange) -> tuple[Mapping[str, Any], Mapping[str, Any], Any] | None:
    """Return what was asked for, the data and the extensions of an executed answer; None for any other."""
    try:
        request, answer = json.loads(exchange.request), json.loads(exchange.answer)
    except (ValueError, RecursionError):
        # refused before anybody was asked
        return None
    if not isinstance(request, Mapping) or not isinstance(answer, Mapping) or not answer.get("data"):
        return None
    variables = request.get("variables") or {}
    asked = asked_for(request["query"], request.get("operationName") or None, variables)
    return asked, answer["data"], answer.get("extensions")


_ACCOUNTS: Final[weakref.WeakKeyDictionary[Any, Account]] = weakref.WeakKeyDictionary()


def listen() -> None:
    """Stand between every gateway of this process and whoever asks it. May be called again."""
    if getattr(GraphQLEndpoint.__call__, "listens", False):
        return
    answer, made, close = GraphQLEndpoint.__call__, Gateway.__init__, Gateway.close

    async def heard(self: Any, scope: Any, receive: Any, send: Any) -> None:
        account = _ACCOUNTS.get(self)
        if account is None or scope["type"] != "http":
            await answer(self, scope, receive, send)
            return
        asked: list[bytes] = []
        told: list[bytes] = []

        async def receiving() -> Any:
            message = await receive()
            asked.append(message.get("body", b""))
            return message

        async def sending(message: Any) -> None:
            # kept before it is passed on: what was handed over is out, whether or not anybody still listens
            if message["type"] == "http.response.body":
                told.append(message.get("body", b""))
            await send(message)

        try:
            await answer(self, scope, receiving, sending)
        finally:
            if told:
                account.waiting.append(Exchange(b"".join(asked), b"".join(told)))
                if len(account.waiting) >= MOST_WAITING:
                    account.settle()

    def making(self: Gateway, *parts: Any, **more: Any) -> None:
        made(self, *parts, **more)
        _ACCOUNTS[self.endpoint] = Account(self)

    async def closing(self: Gateway) -> None:
        await self.endpoint.drain()
        if (account := _ACCOUNTS.get(self.endpoint)) is not None:
            account.settle()
        await close(self)

    heard.listens = True  # type: ignore[attr-defined]
    GraphQLEndpoint.__call__ = heard  # type: ignore[method-assign]
    Gateway.__init__ = making  # type: ignore[method-assign]
    Gateway.close = closing  # type: ignore[method-assign]


def compare() -> None:
    """Compare whatever waits, of every gateway: for whoever is about to spoil its log."""
    for account in list(_ACCOUNTS.values()):
        account.settle()


def settle() -> Sequence[str]:
    """Compare whatever waits, of every gateway; return the differences found since the last time."""
    compare()
    found, TALLY.faults = TALLY.faults, []
    return found
