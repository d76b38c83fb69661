"""A request's bytes to a GraphQL request, or a refusal; one reading only.

Two parsers that read one body differently are how a filter in front is passed by one text and the server runs another.
So: UTF-8 without a byte-order mark, no member named twice, no number that JSON does not have, no lone surrogate.
Source: GraphQL over HTTP (working draft), section "Request"; RFC 8259, sections 4, 6, 8.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn, TypeVar
from urllib.parse import unquote_to_bytes

from gateway.errors import BodyNotJSON, NotAGraphQLRequest, PayloadTooLarge, RequestTimeout, UnsupportedMediaType
from schema.made_quickly import made_quickly

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Headers = Iterable[tuple[bytes, bytes]]
_Bytes = TypeVar("_Bytes", bytes, bytearray)
_T = TypeVar("_T")

# An unclosed string runs to the end, where every reader stops too; looking for its end once for each quote in it would
# cost the square of its length (a second for 16 KiB). Possessive for the same reason.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
_CONTENT_TYPE = re.compile(rb'application/json(?:\s*;\s*charset\s*=\s*"?utf-8"?)?\s*;?\s*', re.IGNORECASE)


class ClientDisconnected(Exception):
    """The client went away before its request was complete; nobody is left to answer."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How much of a request is read before anybody is known to have sent it."""

    max_bytes: int = 16 * 1024
    max_json_nesting: int = 10
    read_seconds: float = 10.0


@made_quickly
@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """What GraphQL over HTTP calls the request parameters. Values may be identifiers, so none is in the repr."""

    query: str = field(repr=False)
    operation_name: str | None = field(repr=False)
    variables: Mapping[str, Any] = field(repr=False)
    sha256: bytes | None = field(default=None, repr=False)  # of the text, where it is known already


async def read_body(receive: Receive, headers: Headers, limits: BodyLimits) -> bytes:
    """Return the whole body.

    Raises UnsupportedMediaType before a byte is read, PayloadTooLarge as soon as the length is announced or passed,
    RequestTimeout when the last byte is not there within `read_seconds` of the first call, ClientDisconnected.
    """
    announced = _check_headers(headers)
    if announced is not None and announced > limits.max_bytes:
        raise PayloadTooLarge
    until = asyncio.get_running_loop().time() + limits.read_seconds
    begun = _next_part(receive)
    try:
        try:
            # most bodies have come with their heads: a timer for each would be most of the work of reading it
            waiting = begun.send(None)
        except StopIteration as arrived:
            message: MutableMapping[str, Any] = arrived.value
        else:
            async with asyncio.timeout_at(until):
                message = await _resumed(begun, waiting)
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            if len(body) > limits.max_bytes:
                raise PayloadTooLarge
            return body
        async with asyncio.timeout_at(until):
            # one growing buffer: a body of one-byte parts costs its length and not its square
            parts = bytearray(body)
            while message.get("more_body", False):
                _within(parts, limits.max_bytes)
                message = await _next_part(receive)
                parts += message.get("body", b"")
            return bytes(_within(parts, limits.max_bytes))
    except TimeoutError:
        raise RequestTimeout from None


def parse_body(body: bytes, limits: BodyLimits) -> GraphQLRequest:
    """Return the request in a POST body; raise BodyNotJSON or NotAGraphQLRequest."""
    members = decode_json(body, limits.max_json_nesting)
    if not isinstance(members, dict):
        # an array would be a batch: many lookups in one request
        raise NotAGraphQLRequest
    return _request(members)


def parse_query_string(query_string: bytes, limits: BodyLimits) -> GraphQLRequest:
    """Return the request in the URL of a GET; raise PayloadTooLarge, BodyNotJSON or NotAGraphQLRequest."""
    _within(query_string, limits.max_bytes)
    members: dict[str, Any] = {}
    for pair in query_string.split(b"&"):
        name, _, value = pair.partition(b"=")
        parameter = _form_decoded(name)
        if parameter not in {"query", "operationName", "variables", "extensions"}:
            continue
        if parameter in members:
            raise NotAGraphQLRequest
        text = _form_decoded(value)
        if parameter in {"variables", "extensions"}:
            members[parameter] = decode_json(text.encode(), limits.max_json_nesting) if text else None
        else:
            members[parameter] = text
    return _request(members)


def decode_json(raw: bytes, max_nesting: int) -> Any:
    """Return the one value that strict JSON can read in `raw`; raise BodyNotJSON.

    The nesting is bounded before decoding, by a scan that agrees with every JSON reader up to the first error.
    """
    depth = 0
    for bracket in _STRING.sub(b"", raw).translate(None, _NOT_BRACKETS):
        if bracket in b"[{":
            depth += 1
            if depth > max_nesting:
                raise BodyNotJSON
        else:
            depth -= 1
    try:
        value = _DECODER.decode(raw.decode("utf-8"))
        if _SURROGATE_ESCAPE.search(raw):
            # paired surrogates are one character; a lone one cannot be written as UTF-8
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except ValueError:
        # `from None`: the decoder's error holds the whole body
        raise BodyNotJSON from None
    return value


def _check_headers(headers: Headers) -> int | None:
    """Return the announced length, if any; raise UnsupportedMediaType."""
    content_types = []
    announced: int | None = None
    for name, value in headers:
        if name == b"content-type":
            content_types.append(value)
        elif name == b"content-encoding" and value.strip().lower() != b"identity":
            # no request is ever decompressed: a small one could be made of a very large one
            raise UnsupportedMediaType
        elif name == b"content-length" and value.isdigit() and len(value) < 20:
            announced = int(value)
    if len(content_types) != 1 or (
        content_types[0] != b"application/json" and not _CONTENT_TYPE.fullmatch(content_types[0].strip())
    ):
        raise UnsupportedMediaType
    return announced


async def _next_part(receive: Receive) -> MutableMapping[str, Any]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnected
    return message


@types.coroutine
def _resumed(begun: Coroutine[Any, Any, _T], waiting: Any) -> Generator[Any, Any, _T]:
    """Go on with a coroutine that has begun to wait for something."""
    while True:
        try:
            came = yield waiting
        except BaseException as problem:
            step = partial(begun.throw, problem)
        else:
            step = partial(begun.send, came)
        try:
            waiting = step()
        except StopIteration as end:
            told: _T = end.value
            return told


def _within(part: _Bytes, max_bytes: int) -> _Bytes:
    if len(part) > max_bytes:
        raise PayloadTooLarge
    return part


def _request(members: Mapping[str, Any]) -> GraphQLRequest:
    """Return the request; members that the specification does not name are ignored, as it asks."""
    query = members.get("query")
    operation_name = members.get("operationName")
    variables = members.get("variables")
    extensions = members.get("extensions")
    if (
        not isinstance(query, str)
        or not isinstance(operation_name, str | None)
        or not isinstance(variables, dict | None)
        or not isinstance(extensions, dict | None)
    ):
        raise NotAGraphQLRequest
    return GraphQLRequest(query=query, operation_name=operation_name or None, variables=variables or {})


def _form_decoded(text: bytes) -> str:
    try:
        return unquote_to_bytes(text.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        raise NotAGraphQLRequest from None


def _members_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is named twice")
    return members


def _no_constant(_text: str) -> NoReturn:
    raise ValueError("not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number overflows")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_members_once, parse_constant=_no_constant, parse_float=_finite)
