"""`/graphql`: one ASGI application from bytes to bytes.

Order: method, Accept, byte limits, JSON, lexical limits; then the token; then the document and its variables; then the
answer. What stands before the token knows nothing of the schema, so nobody learns of it without one.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec
import structlog

from gateway.errors import GatewayError, InternalServerError, MethodNotAllowed, Overloaded
from gateway.exhaustion import EXHAUSTION
from gateway.front.shedding import Admission, Priority, priority_of
from gateway.front.stopping import Stopping
from gateway.graphql.body import (
    BodyLimits,
    ClientDisconnected,
    GraphQLRequest,
    Receive,
    parse_query_string,
    read_body,
)
from gateway.graphql.documents import Documents, Operation
from gateway.graphql.known_requests import KnownRequests
from gateway.graphql.negotiation import MediaType, media_type_of, negotiate, status_of
from gateway.graphql.preferences import wait_of
from gateway.randomness import RANDOM
from schema.made_quickly import made_quickly

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Caller = TypeVar("Caller")

log = structlog.get_logger("gateway.graphql")

_encode = msgspec.json.Encoder().encode
_FIXED_FIELDS = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
_LAST = (b"connection", b"close")  # of a process that stops: the next request goes to another


@made_quickly
@dataclass(frozen=True, slots=True)
class RequestContext:
    """What belongs to one request and to no caller. `variables` are as they were sent; identifiers stand in them."""

    request_id: str
    method: str
    started: float
    variables: Mapping[str, Any] = field(repr=False)
    wait_seconds: int | None = None  # the most that the client waits, if it says so


@made_quickly
@dataclass(frozen=True, slots=True)
class ExecutedAnswer:
    """An executed operation. `body`, when given, is sent as it is: the bytes that the log says were disclosed."""

    data: Mapping[str, Any] | None = field(default=None, repr=False)
    errors: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    extensions: Mapping[str, Any] | None = field(default=None, repr=False)
    body: bytes | None = field(default=None, repr=False)
    headers: Sequence[tuple[bytes, bytes]] = ()

    def encoded(self) -> bytes:
        """Return the response body (GraphQL, section 7.1)."""
        if self.body is not None:
            return self.body
        response: dict[str, Any] = {}
        if self.errors:
            response["errors"] = self.errors
        response["data"] = self.data
        if self.extensions:
            response["extensions"] = self.extensions
        return _encode(response)


Authenticate = Callable[[Sequence[str]], Awaitable[Caller]]
Answer = Callable[[Caller, Operation, Mapping[str, Any], RequestContext], Coroutine[Any, Any, ExecutedAnswer]]
#: Told of each refusal of the front door, before it is sent; a GatewayError that it raises is sent instead.
Refused = Callable[[GatewayError, Caller | None, Operation | None, RequestContext], Awaitable[None]]
#: Told of each request once it is answered: its id, what it asked for, the status, `OK` or a code, and the seconds.
Noted = Callable[[str, str, int, str, float], None]


class _Asking:
    """What a request is counted as: known once its document is read."""

    operation = "unread"


class GraphQLEndpoint(Generic[Caller]):
    """Reads, authenticates, prepares, answers. `authenticate`, `answer` and `refused` raise GatewayError to refuse."""

    def __init__(
        self,
        *,
        documents: Documents,
        authenticate: Authenticate[Caller],
        may_introspect: Callable[[Caller], bool],
        answer: Answer[Caller],
        refused: Refused[Caller],
        limits: BodyLimits | None = None,
        admission: Admission | None = None,
        breaks_glass: Callable[[Caller, Operation, Mapping[str, Any]], bool] = lambda *_: True,
        stopping: Stopping | None = None,
        noted: Noted = lambda request_id, operation, status, code, seconds: None,
    ) -> None:
        self._documents = documents
        self._authenticate = authenticate
        self._may_introspect = may_introspect
        self._answer = answer
        self._refused = refused
        self._limits = limits or BodyLimits()
        self._requests = KnownRequests(self._limits)
        self._admission = admission or Admission()
        self._breaks_glass = breaks_glass
        self._stopping = stopping or Stopping()
        self._noted = noted
        #: answers under way: held here, so that one whose client went away is not lost before its record is complete
        self._answering: set[asyncio.Task[ExecutedAnswer]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # no subscriptions, so no WebSocket: closing before accepting is a refusal over HTTP
            await send({"type": "websocket.close", "code": 1000})
            return
        started = time.monotonic()
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        request_id = request_id_of(headers)
        asking = _Asking()
        negotiated = MediaType.JSON
        extra: Sequence[tuple[bytes, bytes]] = ()
        error: GatewayError | None = None
        status = 200
        try:
            negotiated = negotiate(joined(headers, b"accept"))
            answer = await self._respond(scope, receive, headers, request_id, asking)
            body, extra = answer.encoded() if answer.body is None else answer.body, answer.headers
        except ClientDisconnected:
            self._noted(request_id, asking.operation, 0, "DISCONNECTED", time.monotonic() - started)
            return
        except GatewayError as refusal:
            # its traceback holds this frame, and this frame would hold it: only the collector would free them
            error = refusal.with_traceback(None)
        except EXHAUSTION as exception:
            _log_failure(exception, request_id)
            error = Overloaded(1)
        except Exception as exception:
            _log_failure(exception, request_id)
            error = InternalServerError(request_id)
        if error is not None:
            body, extra = encoded_error(error), error.headers()
            status, negotiated = status_of(error, negotiated), media_type_of(error, negotiated)
        fields = response_fields(negotiated, len(body), request_id, self._stopping)
        await send({"type": "http.response.start", "status": status, "headers": [*fields, *extra]})
        await send({"type": "http.response.body", "body": body})
        self._noted(
            request_id, asking.operation, status, "OK" if error is None else error.code, time.monotonic() - started
        )

    async def drain(self) -> None:
        """Return when every answer under way has ended; for shutdown, before the log is closed."""
        while self._answering:
            await asyncio.wait(self._answering)

    async def _respond(
        self,
        scope: Scope,
        receive: Receive,
        headers: list[tuple[bytes, bytes]],
        request_id: str,
        asking: _Asking,
    ) -> ExecutedAnswer:
        method: str = scope["method"]
        started = time.monotonic()
        body = b""
        try:
            if method == "POST":
                body = await read_body(receive, headers, self._limits)
                request = self._requests.read(body)
            else:
                request = self._read_url(scope, method, headers)
        except GatewayError as refusal:
            await self._refused(refusal, None, None, RequestContext(request_id, method, started, {}))
            raise
        whole = time.monotonic()  # what the client took to send it is not the lookup's time; what it waits here is
        priority = priority_of(request.query, request.variables)
        place = self._admission.enter(priority)
        try:
            if place is not None:
                await place
            context = RequestContext(request_id, method, whole, request.variables, wait_of(headers))
            return await self._admitted(
                request, body, headers, context, asking, urgent=priority is Priority.BREAK_GLASS
            )
        finally:
            self._admission.leave(place)

    async def _admitted(
        self,
        request: GraphQLRequest,
        body: bytes,
        headers: list[tuple[bytes, bytes]],
        context: RequestContext,
        asking: _Asking,
        *,
        urgent: bool,
    ) -> ExecutedAnswer:
        caller: Caller | None = None
        operation: Operation | None = None
        try:
            sha256 = self._documents.check_source(request)
            credentials: list[str] = []
            for name, value in headers:
                if name == b"authorization":
                    credentials.append(value.decode("latin-1"))
            caller = await self._authenticate(credentials)
            may_introspect = self._may_introspect(caller)
            operation = self._documents.prepare(request, may_introspect=may_introspect, sha256=sha256)
            asking.operation = operation.counted_as
            if request.sha256 is None:
                self._requests.keep(body, request, operation, sha256)
            if context.method == "GET" and (operation.is_for_post_alone or not operation.is_query):
                # identifiers do not go in URLs, and a GET changes nothing
                raise MethodNotAllowed
            variables = self._documents.coerce(operation, request.variables)
        except GatewayError as refusal:
            await self._refused(refusal, caller, operation, context)
            raise
        if urgent and not self._breaks_glass(caller, operation, variables):
            await self._admission.give_way(Priority.LOOKUP if operation.lookup_field else Priority.OTHER)
        return await self._to_its_end(self._answer(caller, operation, variables, context), context.request_id)

    def _read_url(self, scope: Scope, method: str, headers: list[tuple[bytes, bytes]]) -> GraphQLRequest:
        if method != "GET":
            raise MethodNotAllowed("GET, POST")
        if not any(name == b"graphql-require-preflight" for name, _ in headers):
            # a header that no page of another origin can send without asking first
            raise MethodNotAllowed
        return parse_query_string(scope.get("query_string", b""), self._limits)

    async def _to_its_end(self, answer: Coroutine[Any, Any, ExecutedAnswer], request_id: str) -> ExecutedAnswer:
        """Return the answer; when this request is cancelled, the answer still runs on to its own end."""
        loop = asyncio.get_running_loop()
        task: asyncio.Task[ExecutedAnswer] = loop.create_task(answer)
        ended: asyncio.Future[None] = loop.create_future()
        self._answering.add(task)
        task.add_done_callback(partial(self._ended, ended))
        try:
            await ended  # not the task itself, which would be cancelled with this request
        except asyncio.CancelledError:
            task.add_done_callback(lambda task: _log_unheard(task, request_id))
            raise
        return task.result()

    def _ended(self, ended: asyncio.Future[None], task: asyncio.Task[ExecutedAnswer]) -> None:
        self._answering.discard(task)
        if not ended.done():
            ended.set_result(None)


def response_fields(
    media_type: MediaType, length: int, request_id: str, stopping: Stopping
) -> list[tuple[bytes, bytes]]:
    """Return the header fields that every response of this endpoint has."""
    return [
        (b"content-type", media_type.header),
        (b"content-length", str(length).encode("ascii")),
        (b"x-request-id", request_id.encode("ascii")),
        *_FIXED_FIELDS,
        *((_LAST,) if stopping.begun else ()),
    ]


def encoded_error(error: GatewayError) -> bytes:
    """Return the response body for an error; `data` only when execution began (GraphQL, section 7.1.1)."""
    response: dict[str, Any] = {"errors": [error.formatted()]}
    if error.executed:
        response["data"] = None
    return _encode(response)


def request_id_of(headers: Sequence[tuple[bytes, bytes]]) -> str:
    """Return the client's request id if it is one well-formed UUID, else a new one."""
    offered, count = b"", 0
    for name, value in headers:
        if name == b"x-request-id":
            offered, count = value, count + 1
    if count == 1 and len(offered) == 36:
        try:
            return str(uuid.UUID(offered.decode("ascii")))
        except ValueError:
            pass
    return RANDOM.uuid()


def joined(headers: Sequence[tuple[bytes, bytes]], wanted: bytes) -> bytes | None:
    """Return the field's lines as one (RFC 9110, section 5.3), or None."""
    found: bytes | None = None
    for name, value in headers:
        if name == wanted:
            found = value if found is None else b"%b, %b" % (found, value)
    return found


def _log_unheard(task: asyncio.Task[ExecutedAnswer], request_id: str) -> None:
    """Log how an answer failed whose client had gone; without this the loop would print it, with what it holds."""
    if not task.cancelled() and (exception := task.exception()) is not None:
        _log_failure(exception, request_id)


def _log_failure(exception: BaseException, request_id: str) -> None:
    """Log where it happened and of which type. Not the message and not the locals: both may quote the request."""
    frames = []
    traceback = exception.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        frames.append(f"{code.co_filename}:{traceback.tb_lineno} {code.co_qualname}")
        traceback = traceback.tb_next
    causes: list[str] = []
    cause: BaseException | None = exception
    while cause is not None and len(causes) < 10:
        causes.append(type(cause).__qualname__)
        cause = cause.__cause__ or cause.__context__
    log.error("request_failed", request_id=request_id, exceptions=causes, frames=frames[-30:])
