"""The front desk of every simulated agency: request id, credentials, the book of calls, faults."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from gateway.demo.agencies.answers import Answer, put
from gateway.demo.agencies.faults import Fault, Faults

PURPOSE_CLASSES = frozenset({"SAFEGUARDING", "LAW_ENFORCEMENT", "SYSTEM_TEST"})


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request, as the agency saw it. It keeps the subjects: they are fictional, and tests ask."""

    path: str
    request_id: str
    purpose_class: str | None
    end_user: str | None
    end_user_organisation: str | None
    traceparent: str | None
    subjects: tuple[str, ...]
    headers: frozenset[str]


@dataclass(frozen=True, slots=True)
class Notice:
    """What those who work with the subjects are told of a read that did not ask for silence."""

    path: str
    request_id: str
    subjects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the caller is turned away; `code` is the agency's own word, `challenge` the WWW-Authenticate header."""

    status: int
    code: str
    challenge: str | None = None


class BadRequestError(Exception):
    """The request is not of this interface; the message names the rule and never repeats what was sent."""


Guard = Callable[[Request], Refusal | None]


class Ask:
    """One request at work: whoever answers it says whom it is about, and hears which fault to play."""

    def __init__(self, request: Request, faults: Faults) -> None:
        self.request = request
        self._faults = faults
        self.subjects: tuple[str, ...] = ()
        self.silent = request.headers.get("x-access-notification") == "silent"

    def about(self, *subjects: str) -> Fault | None:
        """Note whom the request is about; return the fault that these subjects meet, if any."""
        self.subjects += subjects
        return self.fault

    @property
    def fault(self) -> Fault | None:
        """The fault that this request meets, for the subjects noted so far."""
        return self._faults.at(self.request.url.path, self.subjects)


class Desk:
    """Takes requests for one agency. `problem` writes an error body in the agency's own shape."""

    def __init__(self, media_type: str, problem: Callable[[int, str], Any], faults: Faults) -> None:
        self.media_type = media_type
        self.problem = problem
        self.faults = faults
        self.calls: deque[Call] = deque(maxlen=50_000)
        self.notices: deque[Notice] = deque(maxlen=50_000)

    def endpoint(
        self, guard: Guard, work: Callable[[Ask], Awaitable[Answer]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return a Starlette endpoint that refuses what is not of this interface and answers the rest."""

        async def take(request: Request) -> Response:
            request_id = request.headers.get("x-request-id", "")
            if not _is_uuid(request_id):
                return self._refuse(Refusal(400, "MISSING_VALUE"), None)
            if request.headers.get("x-access-notification") not in (None, "silent"):
                return self._refuse(Refusal(400, "INVALID_VALUE"), request_id)
            if refusal := guard(request):
                return self._refuse(refusal, request_id)
            purpose_class = request.headers.get("x-purpose-class")
            if purpose_class is not None and purpose_class not in PURPOSE_CLASSES:
                return self._refuse(Refusal(400, "INVALID_VALUE"), request_id)
            ask = Ask(request, self.faults)
            try:
                answer = await work(ask)
            except BadRequestError:
                answer = Answer(400, self.problem(400, "INVALID_VALUE"))
            call = _call(request, request_id, purpose_class, ask.subjects)
            self.calls.append(call)
            if ask.subjects and not ask.silent:
                self.notices.append(Notice(call.path, request_id, ask.subjects))
            if self.faults.latency_seconds:
                await asyncio.sleep(self.faults.latency_seconds)
            return put(
                answer, ask.fault, faults=self.faults, media_type=self.media_type, headers=_common_headers(request_id)
            )

        return take

    def _refuse(self, refusal: Refusal, request_id: str | None) -> Response:
        headers = _common_headers(request_id)
        if refusal.challenge is not None:
            headers["WWW-Authenticate"] = refusal.challenge
        answer = Answer(refusal.status, self.problem(refusal.status, refusal.code))
        return put(answer, None, faults=self.faults, media_type=self.media_type, headers=headers)


def _common_headers(request_id: str | None) -> dict[str, str]:
    return {"Cache-Control": "no-store"} | ({"X-Request-ID": request_id} if request_id else {})


def _call(request: Request, request_id: str, purpose_class: str | None, subjects: tuple[str, ...]) -> Call:
    # an identifier in the path is kept in `subjects` alone
    path = request.url.path
    for subject in subjects:
        path = path.replace(subject, "{id}")
    return Call(
        path=path,
        request_id=request_id,
        purpose_class=purpose_class,
        end_user=request.headers.get("x-end-user"),
        end_user_organisation=request.headers.get("x-end-user-organisation"),
        traceparent=request.headers.get("traceparent"),
        subjects=subjects,
        headers=frozenset(request.headers.keys()),
    )


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
