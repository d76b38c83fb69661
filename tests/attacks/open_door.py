"""The control of the scanners: a GraphQL server over the same schema that does what many do out of the box."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from graphql import ExecutionResult, MaxIntrospectionDepthRule, execute, parse, specified_rules, validate

from gateway.graphql.query import GRAPHQL_SCHEMA

_RULES = [rule for rule in specified_rules if rule is not MaxIntrospectionDepthRule]
_PAGE = b"<html><title>GraphiQL</title></html>"


async def open_door(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application: batches, GET, forms, introspection, suggestions, a page and traces, for everybody."""
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
    headers = dict(scope["headers"])
    content, more = b"", True
    while more:
        message = await receive()
        content, more = content + message.get("body", b""), message.get("more_body", False)
    if scope["method"] == "GET" and b"text/html" in headers.get(b"accept", b""):
        await _say(send, 200, b"text/html", _PAGE)
        return
    kind = headers.get(b"content-type", b"")
    try:
        if scope["method"] == "GET":
            asked: Any = dict(parse_qsl(scope["query_string"].decode()))
        elif kind.startswith(b"application/x-www-form-urlencoded"):
            asked = dict(parse_qsl(content.decode()))
        else:
            asked = json.loads(content)
        told = [_answer(each) for each in asked] if isinstance(asked, list) else _answer(asked)
    except Exception as raised:
        await _say(send, 500, b"application/json", json.dumps({"errors": [{"message": repr(raised)}]}).encode())
        return
    await _say(send, 200, b"application/json", json.dumps(told).encode())


def _answer(asked: Any) -> Any:
    result = _executed(asked)
    told: dict[str, Any] = {"data": result.data, "extensions": {"tracing": {"version": 1}}}
    if result.errors:
        told["errors"] = [error.formatted | {"exception": repr(error.original_error)} for error in result.errors]
    return told


def _executed(asked: Any) -> ExecutionResult:
    document = parse(asked["query"])
    if errors := validate(GRAPHQL_SCHEMA, document, _RULES):
        return ExecutionResult(None, errors)
    result = execute(GRAPHQL_SCHEMA, document, variable_values=asked.get("variables"))
    assert isinstance(result, ExecutionResult)
    return result


async def _say(send: Any, status: int, kind: bytes, body: bytes) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
