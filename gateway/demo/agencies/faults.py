"""What can go wrong at a source, at will: set in code by tests and the demo, never over HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """One way in which an agency fails; the value is its name."""

    UNAVAILABLE = "UNAVAILABLE"  # 503
    SERVER_ERROR = "SERVER_ERROR"  # 500
    TOO_MANY_REQUESTS = "TOO_MANY_REQUESTS"  # 429 with Retry-After
    UNAUTHORISED = "UNAUTHORISED"  # 401 although the token is good
    FORBIDDEN = "FORBIDDEN"  # 403
    BARE_NOT_FOUND = "BARE_NOT_FOUND"  # 404 of a proxy, not of the interface
    REDIRECT = "REDIRECT"  # 302 to another place
    DRIP = "DRIP"  # a few bytes at a time
    TRUNCATED = "TRUNCATED"  # fewer bytes than Content-Length says, then the connection closes
    UNFRAMED = "UNFRAMED"  # neither Content-Length nor chunks: ends when the connection closes
    EMPTY_BODY = "EMPTY_BODY"  # 200 and nothing
    MALFORMED = "MALFORMED"  # framed well, but not JSON
    WRONG_MEDIA_TYPE = "WRONG_MEDIA_TYPE"  # a page for people, with 200
    WRONG_SHAPE = "WRONG_SHAPE"  # JSON, but not of this interface
    WRONG_PERSON = "WRONG_PERSON"  # well formed, and about somebody else
    PARTIAL_PAGE = "PARTIAL_PAGE"  # says that there is more than it gives
    MISSING_RESULT = "MISSING_RESULT"  # one of the subjects is not answered at all (batches)
    ERRORS_BESIDE_DATA = "ERRORS_BESIDE_DATA"  # GraphQL: data, and errors too


@dataclass(frozen=True, slots=True)
class FaultRule:
    """A fault and where it shows; None means everywhere. `path` is a part of the path."""

    fault: Fault
    subjects: frozenset[str] | None
    path: str | None

    def applies(self, path: str, subjects: Iterable[str]) -> bool:
        if self.path is not None and self.path not in path:
            return False
        return self.subjects is None or not self.subjects.isdisjoint(subjects)


class Faults:
    """The faults of one agency. The last one set wins; built-in ones stay when the others are cleared."""

    def __init__(self, *built_in: FaultRule) -> None:
        self._built_in = built_in
        self._rules: tuple[FaultRule, ...] = ()
        self.latency_seconds = 0.0
        self.retry_after_seconds = 2
        self.drip_seconds = 0.05

    def set(self, fault: Fault, *, subjects: Iterable[str] | None = None, path: str | None = None) -> None:
        """Fail in this way from now on: for given subjects, for paths that contain `path`, or for all."""
        # a new tuple each time: the agency reads it from another thread
        self._rules = (FaultRule(fault, None if subjects is None else frozenset(subjects), path), *self._rules)

    def clear(self) -> None:
        """Be well again, but for what is built in."""
        self._rules = ()
        self.latency_seconds = 0.0

    def at(self, path: str, subjects: Iterable[str]) -> Fault | None:
        """Return the fault that a request for these subjects meets, or None."""
        return next((rule.fault for rule in (*self._rules, *self._built_in) if rule.applies(path, subjects)), None)

    def at_path_only(self, path: str) -> Fault | None:
        """Return a fault that names this path and no subject, or None (for token endpoints)."""
        return next(
            (rule.fault for rule in self._rules if rule.path and rule.subjects is None and rule.path in path), None
        )
