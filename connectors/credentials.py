"""How the gateway says who it is to a source: what `connectors.http` shows with each request.

Fixed headers are here; tokens that have to be fetched are in `connectors.oauth`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class Credentials(Protocol):
    """How the gateway says who it is to one source.

    Not an httpx.Auth: its flow yields requests into the source's own pool and knows neither the deadline nor the
    bulkhead, while a token comes from another host under rules of its own.
    """

    def at_hand(self) -> Mapping[str, str] | None:
        """Return the headers to send if nothing has to be waited for, else None."""
        ...

    async def headers(self) -> Mapping[str, str]:
        """Return the headers to send. Raises SourceFailed; is awaited within the caller's deadline."""
        ...

    def refused(self, headers: Mapping[str, str]) -> bool:
        """Take note that the source answered 401 to these headers; return whether others are worth one more try."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


@dataclass(frozen=True, slots=True)
class StaticHeaders:
    """Credentials that are fixed header values."""

    values: Mapping[str, str]

    def __repr__(self) -> str:
        return "StaticHeaders(...)"  # the values are secrets

    def at_hand(self) -> Mapping[str, str]:
        return self.values

    async def headers(self) -> Mapping[str, str]:
        return self.values

    def refused(self, headers: Mapping[str, str]) -> bool:
        return False

    async def aclose(self) -> None:
        return None


def ApiKey(header: str, value: str) -> StaticHeaders:  # noqa: N802 (reads as the class that configuration names)
    """Return credentials that are one header."""
    return StaticHeaders({header: value})
