"""A schema recovered from errors: words are tried where names stand, and every name that comes back is kept.

It works as the public tools for this do: words of a dictionary, a few misspelt, as fields, arguments, input members,
words of lists and types; what an error then names that was not sent is a name of the schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterator

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
)

from tests.attacks.door import JSON, Answer, Knock

_NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]{2,}")
NOISE = ("zqx", "user", "patient", "login", "password", "node", "edges", "admin", "systemUpdate", "me", "search")


def names_of(schema: GraphQLSchema) -> frozenset[str]:
    """Return every name of a schema that is its own: types, fields, arguments, members, words of lists."""
    found: set[str] = set()
    for name, kind in schema.type_map.items():
        if name.startswith("__") or name in {"String", "Int", "Float", "Boolean", "ID"}:
            continue
        found.add(name)
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            found |= set(kind.fields)
            if not isinstance(kind, GraphQLInputObjectType):
                found |= {argument for field in kind.fields.values() for argument in field.args}
        elif isinstance(kind, GraphQLEnumType):
            found |= set(kind.values)
    return frozenset(found)


def misspelt(word: str) -> str:
    """Return the word with its last letter doubled: near enough for a server that makes suggestions."""
    return word + word[-1]


def probes(words: list[str]) -> Iterator[str]:
    """Yield documents that put the words where names stand."""
    for word in words:
        near = misspelt(word)
        yield f"{{ {near} }}"
        yield f"{{ {word} }}"
        yield f"mutation {{ {near} }}"
        yield f"{{ viewer {{ {near} }} agencies {{ {near} }} }}"
        yield f"{{ child({near}: 1) {{ outcome }} }}"
        yield f"{{ child(key: {{ {near}: 1 }}, access: {{ purpose: {near}, reason: 1 }}) {{ {near} }} }}"
        yield f"query($a: {near}) {{ __typename }}"
        yield f"{{ ...F }} fragment F on {near} {{ __typename }}"
        yield f"{{ __typename @{near} }}"
        yield f'{{ __type(name: "{word}") {{ name }} }}'


async def recovered(ask: Callable[[Knock], Awaitable[Answer]], words: list[str], schema: GraphQLSchema) -> set[str]:
    """Return the names of the schema that answers told and requests had not said."""
    names = names_of(schema)
    found: set[str] = set()
    for text in probes(words):
        body = json.dumps({"query": text}).encode()
        answer = await ask(Knock(body, ((b"content-type", JSON.encode()), (b"accept", JSON.encode()))))
        read = answer.read if isinstance(answer.read, dict) else {}
        told = " ".join(error.get("message", "") for error in read.get("errors") or ())
        told += json.dumps(read.get("data") or {})
        found |= (set(_NAME.findall(told)) & names) - set(_NAME.findall(text))
    return found
