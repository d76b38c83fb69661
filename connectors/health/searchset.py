"""Searches, read to their end: every page, every resource, and the total that the source itself counted.

Source: HL7 FHIR R4, "Search" (POST _search, paging, modes of entries) and "Bundle".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from connectors.calls import Calls
from connectors.faults import FaultCode, SourceFailed
from connectors.health.resources import RESOURCES, Bundle, OperationOutcome, Reference, read

MAX_PAGES = 20

R = TypeVar("R")

_SEGMENTS = re.compile(r"(?:/[A-Za-z0-9$_~-]+(?:\.[A-Za-z0-9$_~-]+)*)*/?")
_LOCAL = re.compile(r"([A-Z][A-Za-z]{1,40}/[A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?")


@dataclass(slots=True)
class Pool:
    """The resources of an answer, found by reference: relative, absolute under the source's base, or by full URL."""

    base_url: str
    by_key: dict[str, Any] = field(default_factory=dict)

    def add(self, raw: Mapping[str, Any], full_url: str | None) -> Any:
        """Return the resource as read and keep it; None if its type is not one that is read. Raises SourceFailed."""
        kind = raw.get("resourceType")
        cls = RESOURCES.get(kind) if isinstance(kind, str) else None
        if cls is None:
            return None
        resource = read(raw, cls)
        self.by_key[f"{kind}/{resource.id}"] = resource
        if full_url is not None:
            self.by_key[full_url] = resource
        return resource

    def key(self, reference: Reference | None) -> str | None:
        """Return `Type/id` of a literal reference, None if it is not one under this source's base."""
        text = reference.reference if reference else None
        if text is None:
            return None
        found = _LOCAL.fullmatch(text.removeprefix(f"{self.base_url}/"))
        return found[1] if found else None

    def find(self, reference: Reference | None, cls: type[R], contained: Iterable[Mapping[str, Any]] = ()) -> R | None:
        """Return the resource that is referred to, if it is here and of that class. Raises SourceFailed."""
        text = reference.reference if reference else None
        if text is None:
            return None
        if text.startswith("#"):
            inside = [raw for raw in contained if raw.get("id") in (text, text[1:])]
            if len(inside) != 1 or inside[0].get("resourceType") != cls.__name__:
                return None
            return read({**inside[0], "id": text[1:]}, cls)
        resource = self.by_key.get(self.key(reference) or text)
        return resource if isinstance(resource, cls) else None


async def search(calls: Calls, pool: Pool, cls: type[R], form: Mapping[str, str], never_in_url: str) -> tuple[R, ...]:
    """Return every match of a search, and add all that came with it to the pool.

    Raises SourceFailed if a page is missing, leads elsewhere, or would put `never_in_url` into an address; if the total
    does not fit; or if the source reports an error among the entries.
    """
    reply = await calls.post_form(f"/{cls.__name__}/_search", form)
    matches: dict[str, R] = {}
    totals: set[int] = set()
    for _ in range(MAX_PAGES):
        bundle = read(reply.json, Bundle)
        if bundle.type != "searchset":
            raise SourceFailed(FaultCode.SCHEMA)
        if bundle.total is not None:
            totals.add(bundle.total)
        for match in _matches(bundle, pool, cls):
            if match.id in matches:  # type: ignore[attr-defined]
                # pages that overlap have lost a match elsewhere
                raise SourceFailed(FaultCode.SCHEMA)
            matches[match.id] = match  # type: ignore[attr-defined]
        following = [link.url for link in bundle.link if link.relation == "next"]
        if not following:
            break
        if len(following) > 1:
            raise SourceFailed(FaultCode.SCHEMA)
        path, params = _page(following[0], pool.base_url, never_in_url)
        reply = await calls.get(path, params=params)
    else:
        raise SourceFailed(FaultCode.TOO_LARGE)
    # without a total, a bundle without entries is not known to be empty on purpose
    if totals != {len(matches)} and (totals or not matches):
        raise SourceFailed(FaultCode.SCHEMA)
    return tuple(matches.values())


def _matches(bundle: Bundle, pool: Pool, cls: type[R]) -> Iterable[R]:
    for entry in bundle.entry:
        mode = entry.search.mode if entry.search else None
        kind = entry.resource.get("resourceType")
        if kind == "OperationOutcome":
            outcome = read(entry.resource, OperationOutcome)
            if any(issue.severity in ("fatal", "error") for issue in outcome.issue):
                raise SourceFailed(FaultCode.SCHEMA)
            continue
        resource = pool.add(entry.resource, entry.full_url)
        if mode == "match" or (mode is None and kind == cls.__name__):
            if not isinstance(resource, cls):
                raise SourceFailed(FaultCode.SCHEMA)
            yield resource


def _page(url: str, base_url: str, never_in_url: str) -> tuple[str, dict[str, str]]:
    """Return path and parameters of a page on this source, and on no other host or path. Raises SourceFailed."""
    rest = url.removeprefix(base_url)
    if rest == url or rest[:1] not in ("/", "?") or never_in_url in url or "#" in rest:
        raise SourceFailed(FaultCode.SCHEMA)
    parts = urlsplit(f"https://source{rest}")
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        raise SourceFailed(FaultCode.SCHEMA) from None
    params = dict(pairs)
    if not _SEGMENTS.fullmatch(parts.path) or len(params) != len(pairs):
        raise SourceFailed(FaultCode.SCHEMA)
    return parts.path or "/", params
