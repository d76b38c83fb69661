"""An answer as it arrives over a connection: its head, its headers, its body whole or in parts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Protocol

from connectors.faults import FaultCode, SourceFailed


class Carrying(Protocol):
    """What an answer arrives over."""

    def resume(self) -> None:
        """Read on, after so much came that reading was stopped."""
        ...

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        ...


class Headers(Mapping[str, str]):
    """The headers of an answer, looked up without regard to case; of one that stands twice, the first."""

    __slots__ = ("_raw",)

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> str:
        wanted = name.lower().encode("latin-1")
        for each, value in self._raw:
            if each.lower() == wanted:
                return value.decode("latin-1")
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.decode("latin-1") for name, _ in self._raw))

    def __len__(self) -> int:
        return len(list(iter(self)))


class WireAnswer:
    """An answer as it arrives: the head first, then the body, whole or in parts."""

    plain: bytes | None = None
    content_type: bytes | None = None

    __slots__ = (
        "_connection",
        "_failure",
        "_more",
        "complete",
        "parts",
        "raw_headers",
        "size",
        "status",
    )

    def __init__(self, connection: Carrying) -> None:
        self.status = 0
        self.raw_headers: list[tuple[bytes, bytes]] = []  # as they came
        self.parts: list[bytes] = []
        self.size = 0
        self.complete = False
        self._connection: Carrying | None = connection
        self._failure: FaultCode | None = None
        self._more: asyncio.Future[None] | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, looked up without regard to case."""
        return Headers(self.raw_headers)

    def whole(self) -> bytes | None:
        """Return the body if all of it has come."""
        return b"".join(self.parts) if self.complete else None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes. Raises SourceFailed."""
        while True:
            if self.parts:
                data, self.parts, self.size = b"".join(self.parts), [], 0
                yield data
                continue
            if self.complete:
                return
            if self._failure is not None:
                raise SourceFailed(self._failure)
            if self._connection is not None:
                self._connection.resume()
            self._more = asyncio.get_running_loop().create_future()
            await self._more

    async def release(self) -> None:
        """Let the connection go: kept for the next call if all of the answer has arrived, else closed."""
        if self._connection is not None:
            self._connection.abort()

    # What follows is called by the connection.

    def told(self) -> None:
        """Wake who waits for more."""
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    def ended(self, failure: FaultCode | None) -> None:
        """Note that nothing more comes: the answer is complete, or failed."""
        self._connection = None
        self.complete = failure is None
        self._failure = failure
        self.told()
