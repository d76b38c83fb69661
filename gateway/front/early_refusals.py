"""Refuses what there is no room for as soon as its bytes are there: before a task, before JSON, before the token.

Under overload refusing is a part of the work, and whoever is let in waits for it. Through the application a refusal
costs several times as much. It is refused there all the same whenever something is not plain at a glance: a body that
did not come with its head, a request behind another on its connection, a word that may be a break-glass.

Who asks again at once, whatever it is told, would have the process do nothing but refuse. So while very many are
refused, a connection that was is not read for a while, but always for less than it was told to wait: whoever does wait
notices nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gateway.errors import NotAcceptable
from gateway.front.request_heads import BoundedHeads
from gateway.front.shedding import Admission, Priority, priority_at_most
from gateway.front.stopping import Stopping
from gateway.graphql.endpoint import Noted, encoded_error, joined, request_id_of, response_fields
from gateway.graphql.negotiation import media_type_of, negotiate, status_of

Fields = Sequence[tuple[bytes, bytes]]

_PATH: Final = b"/graphql"
_END_OF_HEAD: Final = b"\r\n\r\n"
_PAUSE, _LONGEST_PAUSE_SECONDS = 0.5, 2.0  # a part of what it is told; another may ask on the same connection meanwhile
_UNREAD: Final = "unread"  # as what it is counted: its document was not looked at


class EarlyRefusal(NamedTuple):
    """A response, and the seconds after which to come back that stand in it."""

    status: int
    fields: Fields
    body: bytes
    seconds: int


@dataclass(frozen=True, slots=True)
class EarlyRefusals:
    """What those are answered for whom there is no room."""

    admission: Admission
    stopping: Stopping
    noted: Noted

    def answer(self, headers: Fields, body: bytes) -> EarlyRefusal | None:
        """Return the response to a POST of `/graphql`, or None where it is not to be refused here.

        It is the response that the endpoint would give, and counted as that would be.
        """
        began = time.monotonic()
        priority = priority_at_most(body)
        if priority is Priority.BREAK_GLASS or not self.admission.full:
            return None
        try:
            negotiated = negotiate(joined(headers, b"accept"))
        except NotAcceptable:
            return None
        refused, request_id = self.admission.refusal(priority), request_id_of(headers)
        told, status = encoded_error(refused), status_of(refused, negotiated)
        fields = response_fields(media_type_of(refused, negotiated), len(told), request_id, self.stopping)
        self.noted(request_id, _UNREAD, status, refused.code, time.monotonic() - began)
        return EarlyRefusal(status, [*fields, *refused.headers()], told, refused.retry_after_seconds or 0)


class RefusingEarly(BoundedHeads):
    """The server's protocol for a gateway that refuses early; a subclass says which."""

    refusals: ClassVar[EarlyRefusals]
    _came = b""  # the bytes now being read
    _refused = False  # whether the request now being read was

    def data_received(self, data: bytes) -> None:
        self._came = data
        super().data_received(data)
        self._came = b""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._refused = False

    def on_headers_complete(self) -> None:
        answer = None
        if self.refusals.admission.full and (body := self._body_if_alone()) is not None:
            answer = self.refusals.answer(self.headers, body)
        if answer is None:
            if self.url == _PATH and not self.parser.should_upgrade():  # else its head is read once more
                self.refusals.admission.expect()
            super().on_headers_complete()
        else:
            self._end_of_head()
            self._refused = True
            self._send(answer)

    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._refused:
            super().on_message_complete()

    def _body_if_alone(self) -> bytes | None:
        """Return the body of a POST of `/graphql` whose bytes are all that now came, and that waits for no other."""
        if (
            self.url != _PATH
            or self.parser.get_method() != b"POST"
            or self.parser.should_upgrade()
            or self.expect_100_continue
            or self._answering()
            or self.flow.write_paused
        ):
            return None
        _, _, body = self._came.partition(_END_OF_HEAD)
        lengths = [value for name, value in self.headers if name == b"content-length"]
        return body if lengths == [str(len(body)).encode("ascii")] else None

    def _send(self, refusal: EarlyRefusal) -> None:
        stays = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        fields = (*self.server_state.default_headers, *refusal.fields)
        if any(name == b"connection" for name, _ in fields):
            stays = False
        elif not stays:
            fields = (*fields, (b"connection", b"close"))
        lines = [name + b": " + value + b"\r\n" for name, value in fields]
        self.transport.write(b"".join((STATUS_LINE[refusal.status], *lines, b"\r\n", refusal.body)))
        if not stays:
            self.transport.close()
        self.on_response_complete()
        if self.refusals.admission.refuses_many:
            self.flow.pause_reading()
            self.loop.call_later(min(refusal.seconds * _PAUSE, _LONGEST_PAUSE_SECONDS), self._read_on)

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()


def refusing_early(refusals: EarlyRefusals) -> type[BoundedHeads]:
    """Return the server's protocol for a gateway that refuses so."""
    return type("RefusingEarlyFor", (RefusingEarly,), {"refusals": refusals})
