"""What a response means: whether it is framed and is JSON, and what a status that nobody expected stands for."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

import msgspec

from connectors import strict_json
from connectors.faults import FaultCode, SourceFailed
from connectors.transport import Answer
from schema.made_quickly import made_quickly

MAX_RETRY_AFTER_SECONDS = 3600.0

_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"content-encoding"})
_JSON_TYPE = re.compile(r"application/(?:[a-z0-9.-]+\+)?json")


@made_quickly
@dataclass(frozen=True, slots=True)
class Reply:
    """What a source answered: framed, whole, and strict JSON if it has a body."""

    answer: Answer
    json: Any

    @property
    def status(self) -> int:
        """The status, one of those that were expected."""
        return self.answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, looked up without regard to case."""
        return self.answer.headers


class Unauthenticated(SourceFailed):
    """The source answered 401: the one status after which fresh credentials may help."""


def failure_of_status(answer: Answer) -> SourceFailed:
    """Return what a status that nobody expected stands for."""
    status = answer.status
    if status == 401:
        return Unauthenticated(FaultCode.AUTH)
    if status == 403:
        return SourceFailed(FaultCode.AUTH)
    if status in (429, 503):
        code = FaultCode.RATE_LIMITED if status == 429 else FaultCode.OVERLOADED
        return SourceFailed(code, retry_after_seconds=_retry_after(answer.headers.get("Retry-After")))
    if status >= 500:
        return SourceFailed(FaultCode.STATUS_5XX)
    if status == 404:
        return SourceFailed(FaultCode.NOT_FOUND_BARE)
    if 300 <= status < 400:
        return SourceFailed(FaultCode.REDIRECT)
    if status == 204:
        return SourceFailed(FaultCode.EMPTY)
    return SourceFailed(FaultCode.STATUS_UNEXPECTED)


def _retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After (RFC 9110 section 10.2.3), at most an hour, or None if not usable."""
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,12}", value):
        seconds = float(value)
    else:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
        if seconds < 0:
            return None
    return min(seconds, MAX_RETRY_AFTER_SECONDS)


def announced_length(answer: Answer) -> int | None:
    """Return the announced length, None if chunked. Raises SourceFailed if only the closing would end the body."""
    lengths = []
    chunked = False
    for name, value in answer.raw_headers:
        lower = name.lower()
        if lower not in _FRAMING:
            continue
        if lower == b"content-length":
            lengths.append(value)
        elif lower == b"transfer-encoding":
            if chunked or value.strip().lower() != b"chunked":
                raise SourceFailed(FaultCode.ENCODING)
            chunked = True
        elif lower == b"content-encoding" and value.strip().lower() != b"identity":
            raise SourceFailed(FaultCode.ENCODING)
    if chunked and not lengths:
        return None
    # both, or several lengths: two readers would cut the response differently (RFC 9112 section 6.3)
    if chunked or len(lengths) != 1 or not lengths[0].isdigit():
        raise SourceFailed(FaultCode.UNFRAMED)
    return int(lengths[0])


@lru_cache(maxsize=256)
def _is_json(content_type: bytes) -> bool:
    essence, _, parameters = content_type.decode("latin-1").partition(";")
    charset = re.search(r"charset\s*=\s*\"?([^\s;\"]*)", parameters, re.IGNORECASE)
    return _JSON_TYPE.fullmatch(essence.strip().lower()) is not None and (
        charset is None or charset[1].lower() == "utf-8"
    )


def parse(answer: Answer, body: bytes, decode: type | None) -> Any:
    """Return the strict JSON of a body, as `decode` if the status is 2xx; None for a redirect. Raises SourceFailed."""
    status = answer.status
    if 300 <= status < 400:
        return None  # asked for its Location
    if not body:
        raise SourceFailed(FaultCode.NOT_FOUND_BARE if status == 404 else FaultCode.EMPTY)
    content_type = answer.content_type
    if content_type is None:
        content_type = answer.headers.get("Content-Type", "").encode("latin-1")
    if content_type != b"application/json" and not _is_json(content_type):
        raise SourceFailed(FaultCode.NOT_FOUND_BARE if status == 404 else FaultCode.CONTENT_TYPE)
    if decode is None or not 200 <= status < 300:
        return _strict(body)
    told = strict_json.decode_as(body, decode)
    if told is not None:
        return told
    try:
        return msgspec.convert(_strict(body), decode)
    except msgspec.ValidationError:
        raise SourceFailed(FaultCode.SCHEMA) from None


def _strict(body: bytes) -> Any:
    try:
        return strict_json.decode(body)
    except strict_json.NotStrictJSON:
        raise SourceFailed(FaultCode.BAD_JSON) from None
