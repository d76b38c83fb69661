"""Names are checked by what they resolve to, as it is connected to; literals when the configuration is read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.addresses import AddressRule
from connectors.http import Deadline, FaultCode, SourceClient, SourceFailed
from tests.fixtures.fault_server import FaultServer, good

pytestmark = pytest.mark.anyio

PUBLIC = AddressRule(allow_private=False, loopback_named=False, plain_http=False)
PRIVATE = AddressRule(allow_private=True, loopback_named=False, plain_http=False)
NEVER = [
    "169.254.169.254",
    "168.63.129.16",
    "100.100.100.200",
    "fd00:ec2::254",
    "fe80::1",
    "0.0.0.0",
    "::",
    "224.0.0.1",
    "ff02::1",
    "240.0.0.1",
    "255.255.255.255",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
]
INSIDE = ["10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "::1", "fd12::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"]


@pytest.mark.parametrize("address", NEVER)
def test_platform_and_link_local_addresses_are_never_permitted(address: str) -> None:
    assert not PUBLIC.permits(ip_address(address))
    assert not PRIVATE.permits(ip_address(address))


@pytest.mark.parametrize("address", INSIDE)
def test_private_addresses_need_the_operators_word(address: str) -> None:
    assert not PUBLIC.permits(ip_address(address))
    assert PRIVATE.permits(ip_address(address))


@pytest.mark.parametrize("address", ["100.64.0.1", "192.0.2.1", "198.18.0.1", "192.88.99.1"])
def test_special_purpose_addresses_are_not_public(address: str) -> None:
    assert address == "192.88.99.1" or not PUBLIC.permits(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2a00:1450::1"])
def test_public_addresses_are_permitted_with_tls_only(address: str) -> None:
    assert PUBLIC.permits(ip_address(address))
    assert not AddressRule(allow_private=True, loopback_named=True, plain_http=True).permits(ip_address(address))


@given(st.ip_addresses())
def test_forbidding_private_addresses_never_permits_more(address: IPv4Address | IPv6Address) -> None:
    assert PRIVATE.permits(address) or not PUBLIC.permits(address)


@pytest.mark.parametrize(
    "base_url",
    [
        pytest.param("http://agency.example", id="plain-http"),
        pytest.param("http://10.0.0.1", id="plain-http-private"),
        pytest.param("https://10.0.0.1", id="private-literal"),
        pytest.param("https://[fd00:ec2::254]", id="metadata-literal"),
        pytest.param("https://[::ffff:10.0.0.1]", id="mapped-literal"),
        pytest.param("https://user:word@agency.example", id="with-a-user"),
        pytest.param("https://agency.example/a?b=c", id="with-a-query"),
        pytest.param("https://agency.example/a#b", id="with-a-fragment"),
        pytest.param("https://agency.example/a/../b", id="with-dot-segments"),
        pytest.param("https://agency.example\n", id="with-a-line-end"),
        pytest.param("ftp://agency.example", id="another-scheme"),
        pytest.param("agency.example", id="no-scheme"),
        pytest.param("https://", id="no-host"),
    ],
)
def test_a_base_url_that_may_not_be_used_is_refused_at_the_start(base_url: str) -> None:
    with pytest.raises(ValueError, match=r"base URL|https|address"):
        SourceClient(base_url, allow_private=False)


@pytest.mark.parametrize("path", ["search", "/a/../b", "/a//b", "/a?b", "/a#b", "/%2e%2e/b", "/a b", "/a\r\nX: y", ""])
async def test_a_path_that_could_lead_elsewhere_is_our_own_mistake(path: str) -> None:
    client = SourceClient("https://agency.example/api", allow_private=False)
    with pytest.raises(ValueError, match="path"):
        await client.request("GET", path, deadline=Deadline.after(1), request_id="7d1c")
    await client.aclose()


def resolves_to(*addresses: str) -> object:
    async def lookup(_: str) -> Sequence[str]:
        return addresses

    return lookup


async def no_such_name(_: str) -> Sequence[str]:
    raise OSError("NXDOMAIN")


async def never(_: str) -> Sequence[str]:
    await asyncio.sleep(60)
    return []


async def code_of(
    lookup: object, base_url: str = "https://agency.example", *, allow_private: bool = False
) -> FaultCode:
    client = SourceClient(base_url, allow_private=allow_private, lookup=lookup)  # type: ignore[arg-type]
    try:
        with pytest.raises(SourceFailed) as caught:
            await client.request("GET", "/", deadline=Deadline.after(5), request_id="7d1c")
    finally:
        await client.aclose()
    assert "agency" not in str(caught.value)
    return caught.value.code


@pytest.mark.parametrize("lookup", [no_such_name, never, resolves_to(), resolves_to("nonsense")])
async def test_a_name_that_does_not_resolve_in_time_is_a_fault_of_dns(lookup: object) -> None:
    assert await code_of(lookup) is FaultCode.DNS


@pytest.mark.parametrize(
    "addresses", [("169.254.169.254",), ("10.0.0.1",), ("127.0.0.1",), ("8.8.8.8", "10.0.0.1"), ("::ffff:7f00:1",)]
)
async def test_a_name_that_resolves_inside_is_forbidden(addresses: tuple[str, ...]) -> None:
    assert await code_of(resolves_to(*addresses)) is FaultCode.FORBIDDEN_ADDRESS


async def test_plain_http_never_leaves_for_a_public_address() -> None:
    code = await code_of(resolves_to("8.8.8.8"), "http://agency.example", allow_private=True)

    assert code is FaultCode.FORBIDDEN_ADDRESS


@pytest.mark.network
async def test_a_name_that_changes_its_answer_gets_no_second_connection() -> None:
    answers = [["127.0.0.1"], ["169.254.169.254"]]

    async def rebinding(_: str) -> Sequence[str]:
        return answers.pop(0)

    async with FaultServer(good) as server:
        url = f"http://agency.example:{server.port}"
        client = SourceClient(url, allow_private=True, lookup=rebinding)
        reply = await client.request("GET", "/", deadline=Deadline.after(2), request_id="7d1c")
        await client.aclose()

        client = SourceClient(url, allow_private=True, lookup=rebinding)
        with pytest.raises(SourceFailed) as caught:
            await client.request("GET", "/", deadline=Deadline.after(2), request_id="7d1c")
        await client.aclose()

    assert reply.status == 200
    assert caught.value.code is FaultCode.FORBIDDEN_ADDRESS
    assert server.connections == 1


@pytest.mark.network
async def test_a_loopback_host_that_the_configuration_names_needs_no_further_word() -> None:
    async with FaultServer(good) as server:
        client = SourceClient(f"http://localhost:{server.port}", allow_private=False, lookup=resolves_to("127.0.0.1"))  # type: ignore[arg-type]
        reply = await client.request("GET", "/", deadline=Deadline.after(2), request_id="7d1c")
        await client.aclose()

    assert reply.status == 200
