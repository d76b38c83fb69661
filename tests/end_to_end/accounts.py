"""Holds the log against the answers: a reading of response bodies that shares nothing with the gateway's own.

graphql-core executes the document once more, over the body that was received and against the published SDL. So aliases,
fragments, `@include` and merged fields are understood as the specification says, and what is noted is what was read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from graphql import DocumentNode, ExecutionResult, GraphQLResolveInfo, build_schema, execute, parse

from gateway.audit.events import EventKind
from gateway.audit.records import Record
from tests.end_to_end.world import Exchange
from tests.recorded.sent import ENTRIES, FRAME, Held, Place, differences

SCHEMA = build_schema((Path(__file__).parents[2] / "schema" / "directory.graphql").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class _Node:
    """An object of the body, with the schema's names and the response's keys on the way to it."""

    value: Mapping[str, Any]
    names: tuple[str, ...]
    place: Place
    entry: Place | None


def held_in(document: str, variables: Mapping[str, Any], data: Mapping[str, Any]) -> Held:
    """Return what the data of a response holds. Fails when the data does not fit the document."""
    held = Held()

    def read(source: _Node, info: GraphQLResolveInfo[Any], **_: Any) -> Any:
        return _read(held, source, info.field_name, info.path.key)

    root = _Node(data, (), (), None)
    result = execute(SCHEMA, _parsed(document), root, variable_values=dict(variables), field_resolver=read)
    assert isinstance(result, ExecutionResult)
    assert not result.errors, result.errors
    assert result.data == data, "the body holds something else than the document asks for"
    return held


@lru_cache(maxsize=64)
def _parsed(document: str) -> DocumentNode:
    return parse(document)


def _read(held: Held, source: _Node, name: str, key: str | int) -> Any:
    value = source.value[str(key)]
    names, place = (*source.names, name), (*source.place, key)
    if value is None:
        return None
    about_child = names[0] == "child"
    if about_child and len(names) == 2 and name in ENTRIES:
        if isinstance(value, list):
            return [_entry(held, each, names, (*place, index)) for index, each in enumerate(value)]
        return _entry(held, value, names, place)
    if isinstance(value, Mapping):
        return _Node(value, names, place, source.entry)
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return [_Node(each, names, (*place, index), source.entry) for index, each in enumerate(value)]
    if about_child and value != []:
        _note(held, source.entry, names, value)
    return value


def _entry(held: Held, value: Mapping[str, Any], names: tuple[str, ...], place: Place) -> _Node:
    held.entries.setdefault(place, set())
    return _Node(value, names, place, place)


def _note(held: Held, entry: Place | None, names: tuple[str, ...], value: Any) -> None:
    if entry is not None:
        held.entries[entry].add(".".join(names[2:]))
        if names[2:] == ("id",):
            held.ids[entry] = value
        if names[2:] == ("practitioner", "name"):
            held.names.add(value)
    elif names[1] not in FRAME:
        held.sections.add(".".join(names[1:]))


def unaccounted(exchanges: Sequence[Exchange], records: Sequence[Record]) -> list[str]:
    """Return, in words, every answer that the log does not account for, and every record that no answer explains."""
    by_request: dict[str, list[Record]] = {}
    for record in records:
        if record.payload and record.kind in {EventKind.INTENT, EventKind.OUTCOME, EventKind.DENIED}:
            by_request.setdefault(record.payload.get("request", ""), []).append(record)
    found = []
    for exchange in exchanges:
        about = by_request.pop(exchange.request_id, [])
        found += [f"{exchange.persona} {exchange.request_id}: {fault}" for fault in _faults(exchange, about)]
    # refusals of requests that are spoiled on purpose, or carry no token, are not kept as exchanges
    unasked = [request for request, about in by_request.items() if any(r.kind != EventKind.DENIED for r in about)]
    return found + [f"records of a request that nobody made: {request}" for request in unasked]


def _faults(exchange: Exchange, about: Sequence[Record]) -> Iterable[str]:
    kinds = [record.kind for record in about]
    lookup = _lookup_of(exchange)
    if lookup is None:
        refused = exchange.code in {"FORBIDDEN", "RATE_LIMITED"} or exchange.headers.get("www-authenticate")
        expected = [EventKind.DENIED] if refused else []
        # an adult's date of birth is refused like any bad value, and recorded
        if kinds != expected and not (exchange.code == "BAD_USER_INPUT" and kinds == [EventKind.DENIED]):
            yield f"{exchange.status} {exchange.code} left {kinds}"
        return
    if kinds != [EventKind.INTENT, EventKind.OUTCOME]:
        yield f"an answer left {kinds}"
        return
    intent, outcome = about
    told = outcome.payload or {}
    if told["intent"] != intent.seq:
        yield "OUTCOME closes another INTENT"
    if told["response"] != hashlib.sha256(exchange.content).hexdigest():
        yield "OUTCOME is about another body"
    if told["outcome"] != lookup["outcome"]:
        yield "OUTCOME has another outcome"
    yield from _differences(exchange, told["disclosed"])


def _lookup_of(exchange: Exchange) -> dict[str, Any] | None:
    data = exchange.body.get("data") or {}
    return next((value for value in data.values() if isinstance(value, dict) and "outcome" in value), None)


def _differences(exchange: Exchange, disclosed: Mapping[str, Any]) -> Iterable[str]:
    held = held_in(exchange.document, exchange.variables, exchange.body["data"])
    yield from differences(held, disclosed)
