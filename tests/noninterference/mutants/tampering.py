"""Where faults are put in: functions and methods of the product, each wrapped for as long as a mutant lasts.

    wrapping(disclosure, "may_show", lambda honest: lambda *a: True)()      # a context manager
    in_tree(lambda run, told: ...)()                                        # change what the door let through
    in_body(lambda run, response: ...)()                                    # change the response of a lookup
    in_head(lambda run, headers: ...)()                                     # change the response's headers

`run` is the Gathering of the lookup: it holds what every source said, and so what must not be told.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any
from unittest.mock import patch

from gateway.federation.gathering import Gathering
from gateway.graphql import execution
from gateway.graphql.endpoint import GraphQLEndpoint
from schema.records import Answered, ChildRef, Involvement

Apply = Callable[[], AbstractContextManager[Any]]
Headers = list[tuple[bytes, bytes]]

_RUN: ContextVar[Gathering | None] = ContextVar("run", default=None)
_REQUEST: ContextVar[list[Gathering] | None] = ContextVar("request", default=None)


def wrapping(owner: Any, name: str, around: Callable[[Any], Any]) -> Apply:
    """Return what puts `around(the original)` in the place of an attribute of a module or class."""

    def apply() -> AbstractContextManager[Any]:
        replaced: AbstractContextManager[Any] = patch.object(owner, name, around(getattr(owner, name)))
        return replaced

    return apply


def together(*applied: Apply) -> Apply:
    """Return what puts in several changes that are one fault."""

    @contextmanager
    def apply() -> Iterator[None]:
        with ExitStack() as stack:
            for each in applied:
                stack.enter_context(each())
            yield

    return apply


def in_tree(change: Callable[[Gathering, Any], Any]) -> Apply:
    """Return what changes the tree of a lookup after the door has done its work."""

    def around(honest: Any) -> Any:
        async def tree(self: Gathering, receipt: str) -> Any:
            told = await honest(self, receipt)
            change(self, told)
            return told

        return tree

    return wrapping(Gathering, "tree", around)


def in_body(change: Callable[[Gathering, dict[str, Any]], Any]) -> Apply:
    """Return what changes the response of a lookup before it is encoded."""

    def around(honest: Any) -> Any:
        def body(data: Any, extensions: Any) -> bytes:
            encoded: bytes = honest(data, extensions)
            run = _RUN.get()
            if run is None:
                return encoded
            response = json.loads(encoded)
            change(run, response)
            return json.dumps(response, ensure_ascii=False, separators=(",", ":")).encode()

        return body

    return together(_noting(), wrapping(execution, "_body", around))


def in_bytes(change: Callable[[Gathering, bytes], bytes]) -> Apply:
    """Return what changes the bytes of a lookup's response."""

    def around(honest: Any) -> Any:
        def body(data: Any, extensions: Any) -> bytes:
            encoded: bytes = honest(data, extensions)
            run = _RUN.get()
            return encoded if run is None else change(run, encoded)

        return body

    return together(_noting(), wrapping(execution, "_body", around))


def in_head(change: Callable[[Gathering | None, Headers], Any]) -> Apply:
    """Return what changes the headers of a response; `run` is None where no lookup was made."""

    def around(honest: Any) -> Any:
        async def call(self: Any, scope: Any, receive: Any, send: Any) -> None:
            made: list[Gathering] = []
            _REQUEST.set(made)

            async def sending(message: Any) -> None:
                if message["type"] == "http.response.start":
                    headers = list(message["headers"])
                    change(made[-1] if made else None, headers)
                    message = {**message, "headers": headers}
                await send(message)

            await honest(self, scope, receive, sending)

        return call

    return together(_noting(), wrapping(GraphQLEndpoint, "__call__", around))


def _noting() -> Apply:
    """Return what lets `in_body` and `in_head` know the lookup to which a response belongs."""

    def around(honest: Any) -> Any:
        async def tree(self: Gathering, receipt: str) -> Any:
            _RUN.set(self)
            # the answer is a task of its own: what it sets is not seen outside, what it appends is
            if (request := _REQUEST.get()) is not None:
                request.append(self)
            return await honest(self, receipt)

        return tree

    return wrapping(Gathering, "tree", around)


def hidden(run: Gathering) -> bool:
    """Return whether a shield hides this child from this caller."""
    return run._hidden()


def answers(run: Gathering) -> list[Answered]:
    """Return what the sources said, before anybody decided who may see it."""
    return [answer for outcome in run.outcomes.values() for answer in outcome.answers]


def unfiltered(run: Gathering) -> list[Involvement]:
    """Return every row that the sources gave."""
    return [row for answer in answers(run) for row in answer.involvements]


def known(run: Gathering) -> bool:
    """Return whether any source knows the child."""
    about = [answer for answer in answers(run) if isinstance(answer.subject, ChildRef)]
    return any(answer.involvements or answer.trace or answer.sections for answer in about)


def kept_back(run: Gathering) -> int:
    """Return how many rows the door did not let through."""
    return sum(run.held_back.values())


def add_error(response: dict[str, Any], code: str, path: list[str | int] | None = None) -> None:
    """Put an error beside the data."""
    error: dict[str, Any] = {"message": "Some of this is not told."}
    if path is not None:
        error["path"] = path
    error["extensions"] = {"code": code}
    response.setdefault("errors", []).append(error)
