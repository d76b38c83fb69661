"""Channels 14 to 17: what is waited for, the size of a response, its headers, and what is charged."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace
from typing import Any

from gateway.audit.events import EventKind
from gateway.federation.gathering import Gathering
from gateway.graphql.endpoint import GraphQLEndpoint
from gateway.lookup import Lookups
from gateway.shields import DatabaseShields, ShieldWrite
from tests.noninterference.mutants.mutant import Mutant, SeenBy
from tests.noninterference.mutants.tampering import (
    Headers,
    hidden,
    in_bytes,
    in_head,
    kept_back,
    unfiltered,
    wrapping,
)


def _no_beat_when_hidden(honest: Any) -> Any:
    async def quiet(self: Lookups, run: Gathering) -> None:
        if run.shielded_by:
            return
        await honest(self, run)

    return quiet


def _beat_when_unknown(honest: Any) -> Any:
    async def quiet(self: Lookups, run: Gathering) -> None:
        if not unfiltered(run):
            await honest(self, run)

    return quiet


def _written_when_changed(honest: Any) -> Any:
    def observed(self: DatabaseShields, number: Any, said: Any, on_record: Any) -> ShieldWrite:
        write: ShieldWrite = honest(self, number, said, on_record)
        if not (write.added or write.removed or on_record):
            return ShieldWrite([], (), ())
        return write

    return observed


def _padded(run: Gathering, body: bytes) -> bytes:
    return body + b" " * kept_back(run)


def _in_buckets(run: Gathering, body: bytes) -> bytes:
    whole = len(body) + 200 * len(unfiltered(run))
    return body + b"\n" * (whole // 256)


def _etag(run: Gathering | None, headers: Headers) -> None:
    if run is not None:
        everything = repr([unfiltered(run), sorted(run.shielded_by)])
        headers.append((b"etag", f'"{hashlib.sha256(everything.encode()).hexdigest()[:16]}"'.encode()))


def _weak_etag(run: Gathering | None, headers: Headers) -> None:
    if run is not None:
        headers.append((b"etag", b'W/"%d"' % len(unfiltered(run))))


def _kept_if_not_hidden(run: Gathering | None, headers: Headers) -> None:
    if run is not None and not hidden(run):
        headers[:] = [(n, b"private, max-age=60" if n == b"cache-control" else v) for n, v in headers]


def _may_be_stored(run: Gathering | None, headers: Headers) -> None:
    headers[:] = [(name, value) for name, value in headers if name != b"cache-control"]


def _cost(run: Gathering | None, headers: Headers) -> None:
    if run is not None:
        headers.append((b"ratelimit-remaining", b"%d" % (1000 - len(unfiltered(run)))))


def _cost_in_steps(run: Gathering | None, headers: Headers) -> None:
    if run is not None:
        headers.append((b"x-query-cost", b"%d" % (10 + (5 if kept_back(run) else 0))))


def _compressed(honest: Any) -> Any:
    async def call(self: GraphQLEndpoint[Any], scope: Any, receive: Any, send: Any) -> None:
        if not any(n == b"accept-encoding" and b"gzip" in v for n, v in scope.get("headers", ())):
            await honest(self, scope, receive, send)
            return
        start: dict[str, Any] = {}

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            body = gzip.compress(message["body"], mtime=0)
            kept = [(n, v) for n, v in start["headers"] if n != b"content-length"]
            head = [*kept, (b"content-encoding", b"gzip"), (b"content-length", b"%d" % len(body))]
            await send({**start, "headers": head})
            await send({**message, "body": body})

        await honest(self, scope, receive, sending)

    return call


def _not_modified(honest: Any) -> Any:
    """The same bytes but for the receipt are "not modified": who polls learns when something hidden changed."""
    seen: set[bytes] = set()

    async def call(self: GraphQLEndpoint[Any], scope: Any, receive: Any, send: Any) -> None:
        tags = [value for name, value in scope.get("headers", ()) if name == b"if-none-match"]

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start" and tags:
                message = {**message, "status": 304}
            await send(message)

        seen.update(tags)
        await honest(self, scope, receive, sending)

    return call


def _miss_returned(honest: Any) -> Any:
    """A lookup that found something is no miss, whether or not it was told."""

    async def close(
        self: Lookups, record: Any, intent: Any, run: Gathering, charge: Any, *rest: Any, **more: Any
    ) -> None:
        await honest(self, record, intent, run, charge, *rest, **more)
        encoded = rest[2] if len(rest) > 2 else None
        if encoded is not None and unfiltered(run) and not (encoded.entries or encoded.sections):
            # as if it were on the record
            await self.log.append(EventKind.HEARTBEAT, {}, charges=charge.settled(disclosed=True))

    return close


def _hidden_costs_more(honest: Any) -> Any:
    async def close(
        self: Lookups, record: Any, intent: Any, run: Gathering, charge: Any, *rest: Any, **more: Any
    ) -> None:
        await honest(self, record, intent, run, charge, *rest, **more)
        if run.shielded_by:
            again = [replace(count, most_lookups=None, most_misses=None) for count in charge.counts]
            await self.log.append(EventKind.HEARTBEAT, {}, charges=again)

    return close


MUTANTS = (
    Mutant(
        "no-beat-for-a-shielded-child",
        14,
        "Nothing is held to the beat when the child is shielded.",
        wrapping(Lookups, "_quiet", _no_beat_when_hidden),
        SeenBy.WORK,
    ),
    Mutant(
        "beat-for-unknown-children-only",
        14,
        "Only an answer about an unknown child is held to the beat.",
        wrapping(Lookups, "_quiet", _beat_when_unknown),
        SeenBy.WORK,
    ),
    Mutant(
        "register-written-when-shielded",
        14,
        "The shield register is written only where there is a shield.",
        wrapping(DatabaseShields, "observed", _written_when_changed),
        SeenBy.WORK,
    ),
    Mutant(
        "padded-by-what-is-hidden", 15, "A response is longer by a space for each entry held back.", in_bytes(_padded)
    ),
    Mutant(
        "bucket-of-all-entries", 15, "A response is padded to a bucket that counts all entries.", in_bytes(_in_buckets)
    ),
    Mutant(
        "compressed",
        15,
        "A response is compressed: its length then tells what repeats in it.",
        wrapping(GraphQLEndpoint, "__call__", _compressed),
        SeenBy.PROBE,
    ),
    Mutant("etag-of-all", 16, "An entity tag is made of all that the sources said.", in_head(_etag)),
    Mutant("etag-counts-all", 16, "A weak entity tag counts all entries.", in_head(_weak_etag)),
    Mutant(
        "kept-unless-shielded", 16, "A response may be kept, but for a shielded child's.", in_head(_kept_if_not_hidden)
    ),
    Mutant("may-be-stored", 16, "A response does not say no-store.", in_head(_may_be_stored), SeenBy.PROBE),
    Mutant(
        "not-modified",
        16,
        "A request with an entity tag is answered with 304.",
        wrapping(GraphQLEndpoint, "__call__", _not_modified),
        SeenBy.PROBE,
    ),
    Mutant("cost-by-result", 17, "A header counts the budget down by what was found.", in_head(_cost)),
    Mutant(
        "cost-of-holding-back", 17, "A header says a higher cost when something was held back.", in_head(_cost_in_steps)
    ),
    Mutant(
        "a-hidden-find-is-no-miss",
        17,
        "A lookup that found what it may not tell is not counted as a miss.",
        wrapping(Lookups, "_close", _miss_returned),
        SeenBy.SEQUENCE,
    ),
    Mutant(
        "a-shielded-child-costs-two",
        17,
        "A lookup of a shielded child is charged twice.",
        wrapping(Lookups, "_close", _hidden_costs_more),
        SeenBy.SEQUENCE,
    ),
)
