"""Key sets of the configured issuers: fetched, rotated, and kept through an outage.

One set per issuer, chosen by the issuer's exact name: the keys of two issuers are never pooled. Nothing in a token
names a place to fetch from. The fetch itself is handed in; it must follow no redirect and read at most 64 KiB.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from auth.jwks import (
    ALGORITHMS,
    MAX_DOCUMENT_BYTES,
    KeySetRefused,
    SetFault,
    VerificationKey,
    import_key_set,
)

# With the token cache's 60 seconds on top, a key that its issuer removed is dead within five minutes.
REFRESH_SECONDS = 240.0
REFRESH_AHEAD_SECONDS = 180.0
# An unknown `kid` costs the issuer at most one fetch in this time, however many tokens bring one.
REFETCH_PAUSE_SECONDS = 60.0
# While the issuer is down: how often we ask again with keys in hand, and without.
RETRY_SECONDS = 60.0
RETRY_WITHOUT_KEYS_SECONDS = 5.0
# How long the last good keys serve when no good set can be had.
OUTAGE_SECONDS = 3600.0
FETCH_SECONDS = 5.0

Fetch = Callable[[str], Awaitable[bytes]]


class KeysUnavailable(Exception):
    """503: the issuer's keys cannot be had, so that its tokens can be neither accepted nor refused."""


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where one issuer publishes its keys: a URL or a file, one of the two. Raises ValueError for an unsafe one."""

    issuer: str
    algorithms: tuple[str, ...]
    jwks_uri: str | None
    jwks_file: Path | None

    def __post_init__(self) -> None:
        if (self.jwks_uri is None) == (self.jwks_file is None):
            raise ValueError("an issuer has either jwks_uri or jwks_file")
        if not self.algorithms or not set(self.algorithms) <= set(ALGORITHMS):
            raise ValueError(f"algorithms are some of {', '.join(ALGORITHMS)}")
        if self.jwks_uri is not None and not _is_safe(self.jwks_uri):
            raise ValueError("jwks_uri is an https URL without credentials (http only to the loopback address)")


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    if not host or parts.username is not None or parts.password is not None:
        return False
    if parts.scheme == "https":
        return True
    if parts.scheme != "http":
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class IssuerKeys:
    """The keys of one issuer. `generation` grows whenever the set changes."""

    def __init__(self, source: KeySource, fetch: Fetch | None, clock: Callable[[], float]) -> None:
        """`clock` is monotonic; `fetch` may be None for a file. Raises ValueError for a URL without a fetch."""
        self.source = source
        self.generation = 0
        self.last_fault: SetFault | None = None
        self._read = _reader(source, fetch)
        self._clock = clock
        self._keys: Mapping[str, VerificationKey] = MappingProxyType({})
        self._document = b""
        self._good_at: float | None = None
        self._tried_at = 0.0
        self._fetches = 0
        self._forced_at: float | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """True while a good set is in hand that is not older than an outage may last."""
        return self._good_at is not None and self._clock() - self._good_at <= OUTAGE_SECONDS

    @property
    def age_seconds(self) -> float | None:
        """Seconds since the last good set, for an alarm; None if there never was one."""
        return None if self._good_at is None else self._clock() - self._good_at

    async def key(self, kid: str) -> VerificationKey | None:
        """Return the key with this id, or None if the issuer publishes none; raise KeysUnavailable without a set."""
        fetches = self._fetches
        await self.refresh_if_older_than(REFRESH_SECONDS)
        if not self.ready:
            raise KeysUnavailable
        if kid in self._keys:
            return self._keys[kid]
        if self._under_way is not None:
            # somebody's fetch is under way and may bring this very key
            await self.refresh()
        elif fetches == self._fetches and self._may_refetch():
            self._forced_at = self._clock()
            await self.refresh()
        return self._keys.get(kid)

    async def refresh_if_older_than(self, seconds: float) -> None:
        """Fetch if the set is that old; while fetches fail, ask again only now and then, and hold nobody up."""
        now = self._clock()
        if self._good_at is not None and now - self._good_at < seconds:
            return
        if self.last_fault is None:
            await self.refresh()
            return
        pause = RETRY_SECONDS if self.ready else RETRY_WITHOUT_KEYS_SECONDS
        if self._under_way is None and now - self._tried_at >= pause:
            self._start()
        if self._under_way is not None and not self.ready:
            await self.refresh()

    async def refresh(self) -> None:
        """Fetch now, or join the fetch that is under way; a failure leaves the last good set and `last_fault`."""
        # one caller who gives up must not take the fetch from the others
        await asyncio.shield(self._under_way or self._start())

    def _start(self) -> asyncio.Task[None]:
        self._tried_at = self._clock()
        self._fetches += 1
        self._task = asyncio.create_task(self._load())
        return self._task

    @property
    def _under_way(self) -> asyncio.Task[None] | None:
        return None if self._task is None or self._task.done() else self._task

    def _may_refetch(self) -> bool:
        return self._forced_at is None or self._clock() - self._forced_at >= REFETCH_PAUSE_SECONDS

    async def _load(self) -> None:
        began = self._clock()
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                document = await self._read()
            if document != self._document or self._good_at is None:
                self._keys = import_key_set(document, self.source.algorithms)
                self._document = document
                self.generation += 1
        except KeySetRefused as refused:
            self.last_fault = refused.fault
        except Exception:
            # whatever a fetch may raise, the last good keys go on serving
            self.last_fault = SetFault.UNREACHABLE
        else:
            self.last_fault = None
            # the age counts from the question: the answer may have been on its way for a while
            self._good_at = began


def _reader(source: KeySource, fetch: Fetch | None) -> Callable[[], Awaitable[bytes]]:
    file, url = source.jwks_file, source.jwks_uri
    if file is not None:
        return lambda: asyncio.to_thread(_read_file, file)
    if url is None or fetch is None:
        raise ValueError("a key set behind a URL needs a fetch")
    return lambda: fetch(url)


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_DOCUMENT_BYTES + 1)


class KeySets:
    """The key sets of all configured issuers, by exact issuer name."""

    def __init__(
        self,
        sources: Iterable[KeySource],
        *,
        fetch: Fetch | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises ValueError if two sources name one issuer."""
        self._issuers: dict[str, IssuerKeys] = {}
        for source in sources:
            if source.issuer in self._issuers:
                raise ValueError("an issuer is configured twice")
            self._issuers[source.issuer] = IssuerKeys(source, fetch, clock)

    def of(self, issuer: str) -> IssuerKeys | None:
        """Return the key set of exactly this issuer, or None."""
        return self._issuers.get(issuer)

    async def load(self) -> None:
        """Fetch every set, all at once, for start-up; raises nothing: `ready` and `faults` say how it went."""
        await asyncio.gather(*(keys.refresh() for keys in self._issuers.values()))

    async def keep_fresh(self) -> None:
        """Fetch the sets that are about to be due; raises nothing.

        Meant for a timer of about 30 seconds: requests then never wait for a fetch, and a quiet server stays ready.
        """
        due = (keys.refresh_if_older_than(REFRESH_AHEAD_SECONDS) for keys in self._issuers.values())
        await asyncio.gather(*due)

    @property
    def ready(self) -> bool:
        """True if any issuer's tokens can be verified: one issuer's outage is not everybody's."""
        return any(keys.ready for keys in self._issuers.values())

    @property
    def faults(self) -> Mapping[str, SetFault]:
        """Why the last fetch failed, by issuer; empty when all is well."""
        return {issuer: keys.last_fault for issuer, keys in self._issuers.items() if keys.last_fault is not None}
