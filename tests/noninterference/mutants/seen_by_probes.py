"""The oracle of fixed forms: what an answer must look like whoever asks, where two worlds would err alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

from gateway.graphql.query import GRAPHQL_SCHEMA
from tests.fixtures.sources import CHILD, known, row
from tests.fixtures.world import Told, World, lookup_document
from tests.noninterference.mutants.staged_lookups import (
    CANARY,
    RICH,
    Staging,
    ask,
    observed,
    sources,
    world_of,
)

_WORDS = frozenset(GRAPHQL_SCHEMA.type_map) - {"String", "Int", "Float", "Boolean", "ID", "Query"}
_NO_SCHEMA = {"scope": "involvement:read"}


async def introspection(world: World) -> list[str]:
    """Without schema:read, introspection is a field that does not exist, like any other."""
    strange = await world.post("{ __nowhere { types { name } } }", **_NO_SCHEMA)
    asked = await world.post("{ __schema { types { name } } }", **_NO_SCHEMA)
    found = [] if observed(asked) == observed(strange) else ["introspection is not refused as an unknown field is"]
    typed = await world.post('{ __type(name: "ChildLookup") { name } }', **_NO_SCHEMA)
    return found + ([] if typed.status == 400 else ["a type is told"])


async def misspelt(world: World) -> list[str]:
    """A misspelt field, argument, type or word is refused in words that hold nothing of the schema or the document."""
    found = []
    for document in (
        "{ viewr { subject } }",
        lookup_document("outcome involvment { id }"),
        lookup_document("outcome involvements(state: CURRENT) { id }"),
        lookup_document("outcome involvements(status: CURENT) { id }"),
        lookup_document("outcome involvements { practitioner { nam } }"),
        "query Q($x: ChildKy) { viewer { subject } }",
    ):
        told = await world.post(document)
        sentence = told.body["errors"][0]["message"]
        named = [w for w in (*_WORDS, "viewr", "involvment", "state", "CURENT", "nam'", "ChildKy") if w in sentence]
        found += [f"a refusal names {named}"] if told.status != 400 or named else []
    return found


async def echoes(world: World) -> list[str]:
    """Nothing that the caller sent stands in a refusal."""
    tried = [
        await world.ask(CHILD, key={"nhsNumber": CANARY, "dateOfBirth": "2020-01-01", "familyName": "A"}),
        await world.ask(CHILD, born=f"2020-{CANARY}"),
        await world.ask(CHILD, born="2999-01-01", family=CANARY),
        await world.ask(CHILD, born="1950-01-01", family=CANARY),
        await world.ask(CHILD, family=f"{CANARY}\x07"),
        await world.ask(CHILD, purpose=CANARY),
        await world.ask(CHILD, reason=CANARY * 200),
        await world.post(f"query {CANARY} {{ {CANARY} }}"),
        await world.post(f'query Q {{ viewer(a: "{CANARY}") {{ subject }} }}'),
    ]
    body = {"query": "query A { viewer { subject } }", "operationName": CANARY}
    tried.append(Told(await world.client.post("/graphql", json=body, headers=world.headers())))
    found = [f"a refusal of kind {told.code} repeats its input" for told in tried if CANARY in told.response.text]
    return found + [f"not refused: {told.status}" for told in tried if told.status == 200]


async def nothing_selected(world: World) -> list[str]:
    """A lookup that selects nothing, or not the outcome, is refused; one of the outcome alone is recorded."""
    found = []
    for select in ("", "__typename", "receipt", "outcome involvements { }", "__typename outcome @skip(if: true)"):
        told = await world.ask(CHILD, select=select)
        found += [] if told.status == 400 else [f"a lookup of `{select}` is answered"]
    before = len(world.records())
    told = await world.ask(CHILD, select="outcome")
    kinds = world.kinds()[before:]
    return found + ([] if kinds == ["INTENT", "OUTCOME"] else [f"a lookup of the outcome alone leaves {kinds}"])


_FIXED = {"cache-control": "no-store", "x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


async def headers(world: World) -> list[str]:
    """No answer may be stored, told apart by a tag, or compressed, whatever the request offers."""
    offered = {"Accept-Encoding": "gzip, br", "If-None-Match": '"a", W/"b"'}
    found = []
    for told in (await ask(world), await world.ask(CHILD, select=lookup_document("outcome"), headers=offered)):
        head = told.response.headers
        lacking = [name for name, value in _FIXED.items() if head.get(name) != value]
        found += [f"headers {lacking} are not what they must be"] if lacking else []
    told = await world.ask(CHILD, headers=offered)
    odd = {"etag", "last-modified", "content-encoding", "age", "vary"} & set(told.response.headers)
    return found + ([f"headers {odd}, status {told.status}"] if odd or told.status != 200 else [])


async def canaries(world: World) -> list[str]:
    """Neither what is held back nor a source's own key of a record stands in an answer."""
    text = (await ask(world)).response.text
    return [f"{word} stands in the answer" for word in (CANARY, '"open"', "/open") if word in text]


_PROBES: tuple[Callable[[World], Awaitable[list[str]]], ...] = (
    introspection,
    misspelt,
    echoes,
    nothing_selected,
    headers,
    canaries,
)


async def probes() -> list[str]:
    """Return what is not as it must be."""
    found = []
    async with world_of(sources(RICH)) as world:
        for probe in _PROBES:
            found += [f"{probe.__name__}: {each}" for each in await probe(world)]
    return found


async def shuffled() -> list[str]:
    """The order in which a source holds its entries is nobody's to know."""
    seen = []
    for step in (1, -1):
        async with world_of(sources(_several(step))) as world:
            seen.append(observed(await ask(world)))
    return [] if seen[0] == seen[1] else ["the order of entries depends on that of the source"]


def _several(step: int) -> Staging:
    rows: list[Any] = [row(f"r{n}", name=f"Worker {n}") for n in range(4)]
    police = [dataclasses.replace(each, local_id=f"p{each.local_id}") for each in rows]
    return Staging((known(CHILD, *rows[::step]),), (known(CHILD, *police[::step]),))


STORIES = (probes, shuffled)
