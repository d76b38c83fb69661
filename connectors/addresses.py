"""Which network addresses a source may have. Checked on what the name resolved to, at the moment of connecting.

A check of the name, or of an earlier resolution, is undone by a name that changes its answer (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address
Lookup = Callable[[str], Awaitable[Sequence[str]]]

# Platform services on addresses that are otherwise ordinary: Azure's wire server, the IPv6 metadata address.
_PLATFORM = frozenset({ip_address("168.63.129.16"), ip_address("fd00:ec2::254"), ip_address("100.100.100.200")})
_NAT64 = ip_network("64:ff9b::/96")


class ForbiddenAddress(OSError):
    """The name resolved to an address that no source may have."""


class LookupFailed(OSError):
    """The name did not resolve, or not in time."""


@dataclass(frozen=True, slots=True)
class AddressRule:
    """What a source's address may be."""

    allow_private: bool
    """Private and loopback networks; a setting of the operator, for agencies reached over a private link."""
    loopback_named: bool
    """The configuration itself names a loopback host."""
    plain_http: bool
    """No TLS: then never a public address, whatever else is allowed."""

    def permits(self, address: Address) -> bool:
        """Return whether a connection to the address may be opened."""
        address = _inside(address)
        if address in _PLATFORM or address.is_link_local or address.is_multicast or address.is_unspecified:
            return False
        if address.is_loopback:
            return self.allow_private or self.loopback_named
        if address.is_global:
            return not self.plain_http
        # is_reserved covers 240.0.0.0/4 and much of IPv6 that was never assigned
        return self.allow_private and address.is_private and not address.is_reserved


def _inside(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address carries (mapped, 6to4, NAT64), or the address itself."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address.sixtofour:
            return address.sixtofour
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_loopback_host(host: str) -> bool:
    """Return whether the text itself, without any resolution, names this machine."""
    literal = literal_address(host)
    return literal.is_loopback if literal else host == "localhost"


def literal_address(host: str) -> Address | None:
    """Return the address that the text is, or None when it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


class CheckedResolver:
    """Resolves names within a time, and refuses the whole answer if any address in it is forbidden."""

    def __init__(self, rule: AddressRule, *, seconds: float, lookup: Lookup | None = None) -> None:
        self._rule = rule
        self._seconds = seconds
        self._lookup = lookup or self._system
        # Its own threads: a name server that hangs must not occupy those that the rest of the process shares.
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="resolve")
        self._asking: dict[str, asyncio.Task[list[Address]]] = {}

    async def resolve(self, host: str) -> list[Address]:
        """Return the permitted addresses. Raises LookupFailed or ForbiddenAddress.

        Who asks for a name that is being asked for shares the answer; no answer is kept.
        """
        asking = self._asking.get(host)
        if asking is None:
            asking = self._asking[host] = asyncio.ensure_future(self._asked(host))
            asking.add_done_callback(lambda task: self._told(host, task))
        # whose deadline ends first must not take the answer from the others
        return await asyncio.shield(asking)

    def _told(self, host: str, asking: asyncio.Task[list[Address]]) -> None:
        del self._asking[host]
        if not asking.cancelled():
            asking.exception()  # looked at, though nobody may wait for it any more

    async def _asked(self, host: str) -> list[Address]:
        try:
            async with asyncio.timeout(self._seconds):
                found = [ip_address(text) for text in await self._lookup(host)]
        except (OSError, TimeoutError, ValueError):
            raise LookupFailed("the name did not resolve") from None
        if not found:
            raise LookupFailed("the name did not resolve")
        if not all(self._rule.permits(address) for address in found):
            raise ForbiddenAddress("the name resolved to a forbidden address")
        return found

    async def _system(self, host: str) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        rows = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        )
        return list(dict.fromkeys(str(row[4][0]) for row in rows))

    async def close(self) -> None:
        """Let the threads go without waiting for a name server."""
        for asking in list(self._asking.values()):
            asking.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)
