"""A source that cannot prove who it is is not asked."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

import pytest

from connectors.http import Deadline, FaultCode, Reply, SourceClient, SourceFailed
from connectors.transport import trust_context
from tests.fixtures.certificates import Authority, server_context
from tests.fixtures.fault_server import FaultServer, good

pytestmark = [pytest.mark.anyio, pytest.mark.network]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    (tmp_path / "stranger").mkdir()
    return Authority(tmp_path / "stranger")


async def ask(server: FaultServer, trust: ssl.SSLContext | None) -> Reply:
    # the aborted handshake of a refused server is left for the loop to report; that is not what is under test
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    client = SourceClient(server.url, allow_private=False, ssl_context=trust)
    try:
        return await client.request("GET", "/", deadline=Deadline.after(2), request_id="7d1c")
    finally:
        await client.aclose()
        await asyncio.sleep(0.01)


async def test_a_source_with_a_good_certificate_answers(authority: Authority) -> None:
    async with FaultServer(good, tls=server_context(authority.issue("server"))) as server:
        reply = await ask(server, trust_context(str(authority.file)))

    assert reply.status == 200


@pytest.mark.parametrize("flaw", ["expired", "another-host", "unknown-authority", "system-trust-only", "tls-1.1"])
async def test_a_source_with_a_flawed_certificate_is_not_asked(
    flaw: str, authority: Authority, stranger: Authority
) -> None:
    issuer = stranger if flaw == "unknown-authority" else authority
    issued = issuer.issue(
        "server",
        address="192.0.2.1" if flaw == "another-host" else "127.0.0.1",
        days=-1 if flaw == "expired" else 1,
    )
    tls = server_context(issued, latest=ssl.TLSVersion.TLSv1_1 if flaw == "tls-1.1" else None)
    async with FaultServer(good, tls=tls) as server:
        with pytest.raises(SourceFailed) as caught:
            await ask(server, None if flaw == "system-trust-only" else trust_context(str(authority.file)))

    assert caught.value.code is FaultCode.TLS
    assert not server.received


async def test_a_source_that_demands_a_certificate_gets_one(authority: Authority) -> None:
    tls = server_context(authority.issue("server"), clients_of=authority.file)
    mine = authority.issue("gateway")
    trust = trust_context(str(authority.file), certificate=str(mine.certificate), private_key=str(mine.private_key))
    async with FaultServer(good, tls=tls) as server:
        reply = await ask(server, trust)

    assert reply.status == 200


@pytest.mark.parametrize("latest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_source_that_refuses_our_certificate_is_a_fault_of_tls(
    latest: ssl.TLSVersion, authority: Authority, stranger: Authority
) -> None:
    tls = server_context(authority.issue("server"), clients_of=authority.file)
    tls.maximum_version = latest
    mine = stranger.issue("gateway")
    trust = trust_context(str(authority.file), certificate=str(mine.certificate), private_key=str(mine.private_key))

    def refuse(listener: socket.socket) -> None:
        # A blocking socket, because asyncio drops the connection without sending the alert that other servers send; and
        # read to its end, because bytes left unread would turn the closing into a reset that overtakes the alert.
        connection, _address = listener.accept()
        with connection.dup() as underneath:
            with contextlib.suppress(OSError), tls.wrap_socket(connection, server_side=True):
                pass
            underneath.shutdown(socket.SHUT_WR)
            while underneath.recv(4096):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = FaultServer(good, tls=tls, port=listener.getsockname()[1])
        refusing = asyncio.get_running_loop().run_in_executor(None, refuse, listener)
        with pytest.raises(SourceFailed) as caught:
            await ask(server, trust)
        await refusing

    assert caught.value.code is FaultCode.TLS


async def test_session_keys_are_never_written_to_a_file(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    async with FaultServer(good, tls=server_context(authority.issue("server"))) as server:
        await ask(server, trust_context(str(authority.file)))

    assert not (tmp_path / "keys").exists()


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _any_host() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    return context


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def _old() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    return context


@pytest.mark.parametrize("make", [_unverified, _any_host, _old])
async def test_a_context_that_verifies_less_is_refused_at_the_start(make: type[ssl.SSLContext]) -> None:
    with pytest.raises(ValueError, match="TLS context"):
        SourceClient("https://agency.example", allow_private=False, ssl_context=make())
