"""What may be asked of a source: its base URL, and the paths below it. Nothing in them is mended; it is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from connectors.addresses import AddressRule, is_loopback_host, literal_address

_ORIGIN = re.compile(r"(https?)://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*)+")
_PLAIN_PATH = re.compile(r"(?:/[A-Za-z0-9_~!$&'()*+,;=:@-][A-Za-z0-9._~!$&'()*+,;=:@-]*)+")
_PATH_TRICKS = re.compile(r"//|/\.\.?(?:/|$)|%2[eEfF]|%5[cC]|%00")


def parse_base(base_url: str, *, allow_private: bool) -> tuple[str, str, AddressRule]:
    """Return the origin, the path before every path, and the rule for addresses. Raises ValueError."""
    parts = urlsplit(base_url)
    origin = f"{parts.scheme}://{parts.netloc}"
    prefix = parts.path.rstrip("/")
    # urlsplit drops what it does not understand, so what it understood must be all there was
    if not _ORIGIN.fullmatch(origin) or origin + parts.path != base_url:
        raise ValueError("a base URL is scheme, host, optional port and path: no user, query or fragment")
    if prefix and (not _PATH.fullmatch(prefix) or _PATH_TRICKS.search(prefix)):
        raise ValueError("the path of a base URL must be percent-encoded and without dot segments")
    host = (parts.hostname or "").lower()
    plain = parts.scheme == "http"
    loopback = is_loopback_host(host)
    if plain and not loopback and not allow_private:
        raise ValueError("a source is reached over https unless on this machine or where private addresses are allowed")
    rule = AddressRule(allow_private=allow_private, loopback_named=loopback, plain_http=plain)
    literal = literal_address(host)
    if literal is not None and not rule.permits(literal):
        raise ValueError("no source may have this address")
    return origin, prefix, rule


def target_of(path: str, params: Mapping[str, str] | None) -> str:
    """Return a path with its query. Raises ValueError for a path that could be read in two ways."""
    if params:
        return f"{_checked(path)}?{urlencode(params)}"
    # most paths have nothing encoded and no dots after a slash: one look tells
    return path if _PLAIN_PATH.fullmatch(path) else _checked(path)


def _checked(path: str) -> str:
    if not _PATH.fullmatch(path) or _PATH_TRICKS.search(path):
        raise ValueError("a path must be absolute, percent-encoded, and without dot segments")
    return path
