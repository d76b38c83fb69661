"""Which media type the answer has, and which status.

Sources: RFC 9110, section 12.5.1 (Accept); GraphQL over HTTP (working draft), section "Response"; the graphql-http
server audits, which keep 200 for document errors under `application/json`.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache

from gateway.errors import GatewayError, NotAcceptable, TransportError


class MediaType(Enum):
    """The two forms of one answer."""

    GRAPHQL_RESPONSE = "application/graphql-response+json"
    JSON = "application/json"

    def __init__(self, name: str) -> None:
        #: the value of Content-Type
        self.header = f"{name}; charset=utf-8".encode("ascii")


_QUALITY = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")
_LONGEST_REMEMBERED = 256


def negotiate(accept: bytes | None) -> MediaType:
    """Return the media type that the Accept header prefers; absent: `application/json`. Raise NotAcceptable."""
    if not accept:
        return MediaType.JSON
    # a long header is the client's own doing and is not worth remembering
    preferred = _preferred(accept) if len(accept) <= _LONGEST_REMEMBERED else _preferred.__wrapped__(accept)
    if preferred is None:
        raise NotAcceptable
    return preferred


def status_of(error: GatewayError | None, media_type: MediaType) -> int:
    """Return the status of an answer (`error` is None), or of the error that stands in its place."""
    if error is None:
        return 200
    if media_type is MediaType.JSON and error.legacy_status is not None:
        return error.legacy_status
    return error.status


def media_type_of(error: GatewayError | None, negotiated: MediaType) -> MediaType:
    """Return the form of the body: what is no GraphQL response must not be labelled as one."""
    return MediaType.JSON if isinstance(error, TransportError) else negotiated


@lru_cache(maxsize=128)
def _preferred(accept: bytes) -> MediaType | None:
    ranges = [parsed for text in accept.decode("latin-1").split(",") if (parsed := _media_range(text)) is not None]
    quality = {media_type: _quality_of(media_type, ranges) for media_type in MediaType}
    graphql, json = quality[MediaType.GRAPHQL_RESPONSE], quality[MediaType.JSON]
    if graphql == json == 0:
        return None
    if graphql == json:
        # `*/*` alone comes from clients that never heard of the newer type
        named = any(name == MediaType.GRAPHQL_RESPONSE.value for name, _ in ranges)
        return MediaType.GRAPHQL_RESPONSE if named else MediaType.JSON
    return MediaType.GRAPHQL_RESPONSE if graphql > json else MediaType.JSON


def _media_range(text: str) -> tuple[str, float] | None:
    """Return the range and its quality, or None for a range that nothing here can satisfy."""
    name, *parameters = [part.strip().lower() for part in text.split(";")]
    quality = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        key, value = key.strip(), value.strip().strip('"')
        if key == "q":
            if not _QUALITY.fullmatch(value):
                return None
            quality = float(value)
        elif key == "charset" and value != "utf-8":
            return None
    return name, quality


def _quality_of(media_type: MediaType, ranges: list[tuple[str, float]]) -> float:
    """Return the quality of the most specific range that matches (RFC 9110, section 12.5.1), 0 for none."""
    for wanted in (media_type.value, "application/*", "*/*"):
        matching = [quality for name, quality in ranges if name == wanted]
        if matching:
            return max(matching)
    return 0.0
