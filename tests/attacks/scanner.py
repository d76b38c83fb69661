"""What scanners of GraphQL servers look for, as checks of our own: each says whether it found something.

The thirteen questions are those that public scanners ask; nothing of their code is here.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from graphql import get_introspection_query

from tests.attacks.door import JSON, Answer, Knock

Ask = Callable[[Knock], Awaitable[Answer]]
_PREFLIGHT = ((b"graphql-require-preflight", b"1"),)


def _post(body: Any, content_type: str = JSON) -> Knock:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Knock(content, ((b"content-type", content_type.encode()), (b"accept", JSON.encode())))


def _query(text: str) -> Knock:
    return _post({"query": text})


def _data(answer: Answer) -> Mapping[str, Any]:
    read = answer.read
    return (read.get("data") or {}) if isinstance(read, dict) else {}


def _errors(answer: Answer) -> list[Any]:
    read = answer.read
    return (read.get("errors") or []) if isinstance(read, dict) else []


async def alias_overloading(ask: Ask) -> bool:
    """101 aliases of one field are all answered."""
    answer = await ask(_query("{" + " ".join(f"a{n}: __typename" for n in range(101)) + "}"))
    return len(_data(answer)) > 100


async def batching(ask: Ask) -> bool:
    """An array of ten requests is answered by an array."""
    return isinstance((await ask(_post([{"query": "{ __typename }"}] * 10))).read, list)


async def get_queries(ask: Ask) -> bool:
    """A plain GET, as a link or an image of another site makes it, is answered."""
    answer = await ask(Knock(method="GET", query_string=urlencode({"query": "{ __typename }"}).encode()))
    return "__typename" in _data(answer)


async def forms(ask: Ask) -> bool:
    """A form, which any site may post, is answered."""
    body = urlencode({"query": "{ __typename }"}).encode()
    return "__typename" in _data(await ask(_post(body, "application/x-www-form-urlencoded")))


async def tracing(ask: Ask) -> bool:
    """Timings or plans come with the answer."""
    read = (await ask(_query("{ __typename }"))).read
    return isinstance(read, dict) and bool(read.get("extensions"))


async def field_duplication(ask: Ask) -> bool:
    """One field 500 times is answered."""
    return "__typename" in _data(await ask(_query("{" + "__typename " * 500 + "}")))


async def suggestions(ask: Ask) -> bool:
    """A name that is nearly right brings the right one."""
    said = [str(error) for text in ("{ viewr }", "{ agencie }") for error in _errors(await ask(_query(text)))]
    return any("did you mean" in each.lower() or "viewer" in each or "agencies" in each for each in said)


async def console(ask: Ask) -> bool:
    """A page to type queries into."""
    answer = await ask(Knock(method="GET", headers=((b"accept", b"text/html"),)))
    return b"<html" in answer.body.lower()


async def introspection(ask: Ask) -> bool:
    """The schema is told to anybody."""
    return "__schema" in _data(await ask(_query(get_introspection_query())))


async def directive_overloading(ask: Ask) -> bool:
    """Ten unknown directives make ten errors."""
    return len(_errors(await ask(_query("{ __typename " + "@zqx " * 10 + "}")))) > 1


async def circular_introspection(ask: Ask) -> bool:
    """Types of fields of types of fields are told."""
    text = "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }"
    return "__schema" in _data(await ask(_query(text)))


async def get_mutations(ask: Ask) -> bool:
    """A GET that changes something gets as far as being executed, even with the header that makes a GET safe."""
    text = 'mutation { endAppointment(id: "zqx") { id } }'
    request = Knock(method="GET", headers=_PREFLIGHT, query_string=urlencode({"query": text}).encode())
    answer = await ask(request)
    return answer.status == 200 and "data" in (answer.read or {})


async def unhandled_exceptions(ask: Ask) -> bool:
    """A malformed request brings a failure, or its text."""
    bodies: list[Any] = [b"{", b"1", b"null", {"query": {"a": 1}}, {"query": "{ __typename", "variables": "zqx"}]
    for body in bodies:
        answer = await ask(_post(body))
        if answer.status >= 500 or b"exception" in answer.body.lower() or b"traceback" in answer.body.lower():
            return True
    return False


CHECKS: tuple[Callable[[Ask], Awaitable[bool]], ...] = (
    alias_overloading,
    batching,
    get_queries,
    forms,
    tracing,
    field_duplication,
    suggestions,
    console,
    introspection,
    directive_overloading,
    circular_introspection,
    get_mutations,
    unhandled_exceptions,
)
