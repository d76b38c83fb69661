"""What the gateway leans on is gone or spoilt: an issuer's keys, the agreements, the witness; a source's clock.

Each is done for real to a whole gateway, and returns what was not as it must be, nothing if all was.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from unittest.mock import patch

from gateway import app as wiring
from gateway.audit.signing import LogSigner
from gateway.audit.witnessing.keys import WitnessKeys
from gateway.audit.witnessing.server import Witness
from gateway.audit.witnessing.store import WitnessStore
from gateway.settings import SettingsFault
from tests.faults.findings import (
    HOUR,
    LOG_REFUSES,
    MINUTE,
    NO_KEYS,
    NO_TOKEN,
    Clock,
    Findings,
    not_ready,
    one_source,
    told,
    until,
)
from tests.fixtures.fault_server import FaultServer, Received, response
from tests.fixtures.sources import Remembering
from tests.fixtures.token_factory import ISSUER, TokenFactory
from tests.fixtures.world import Terms, World, running_world, write_agreements


async def the_keys_of_an_issuer_cannot_be_had(folder: Path) -> list[str]:
    """Row 38: its last keys serve for an hour and no longer; without any nobody is answered; new ones replace them."""
    seen, clock = Findings(), Clock(time.monotonic)
    issuer = {"keys": TokenFactory(ISSUER)}

    async def answer(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(response(issuer["keys"].jwks(), extra="Connection: close\r\n"))
        writer.close()

    site = FaultServer(answer)
    await site.listen()
    sections = {"issuers": [{"issuer": ISSUER, "jwks_uri": f"{site.url}/jwks"}]}
    with patch.object(wiring, "steady", clock):
        async with running_world(folder, one_source(), sections=sections) as world:
            seen.expect("at first", (await told(world), await not_ready(world)), ("DISCLOSED", []))
            await site.__aexit__(None, None, None)
            for minutes in (5, 55):
                clock.apart = minutes * MINUTE
                await told(world)  # it is asked again, and the caller not kept waiting
                seen.expect(f"gone for {minutes} min", (await told(world), await not_ready(world)), ("DISCLOSED", []))
            clock.apart = HOUR + MINUTE
            seen.expect("gone for an hour", (await told(world), await not_ready(world)), (NO_KEYS, ["keys"]))
            issuer["keys"] = TokenFactory(ISSUER, key_name="next")
            await site.listen(site.port)
            clock.apart += MINUTE
            world.tokens = issuer["keys"]
            seen.expect("back with another key", (await told(world), await not_ready(world)), ("DISCLOSED", []))
            world.tokens = TokenFactory(ISSUER)
            clock.apart += 2 * MINUTE
            seen.expect("the former key", await told(world), NO_TOKEN)
        await site.__aexit__(None, None, None)
        (folder / "cold").mkdir()
        async with running_world(folder / "cold", one_source(), sections=sections) as world:
            world.tokens = issuer["keys"]
            seen.expect("never had any", (await told(world), await not_ready(world)), (NO_KEYS, ["keys"]))
            await site.listen(site.port)
            clock.apart += MINUTE
            seen.expect("has them at last", (await told(world), await not_ready(world)), ("DISCLOSED", []))
    await site.__aexit__(None, None, None)
    return seen.found


async def the_agreements_cannot_be_read(folder: Path) -> list[str]:
    """Row 39: the last set that could be read stays in force; a gateway that has none does not start."""
    seen = Findings()
    terms = Terms("kind:CHILDRENS_SERVICES")
    async with running_world(folder, one_source(), agreements=[terms]) as world:
        parties = folder / "agreements"
        file = parties / f"{terms.name}.toml"
        for name, spoil in (
            ("malformed", lambda: file.write_text("[[grant]\nto = nobody")),
            ("cut off", lambda: file.write_text(terms.toml()[:-20])),
            ("not text", lambda: file.write_bytes(b"\xff\xfe\x00")),
            ("gone", lambda: parties.rename(folder / "elsewhere")),
        ):
            spoil()
            taken = await world.gateway.agreements.reload()
            is_so = (taken, await told(world), await not_ready(world))
            seen.expect(name, is_so, (False, "DISCLOSED", []))
            started = _started(world)
            seen.expect(f"{name}: a gateway started on it", started, "refused")
        write_agreements(parties, [Terms("kind:CHILDRENS_SERVICES", review_on="2001-01-01")])
        seen.expect("readable again, and lapsed", await world.gateway.agreements.reload(), True)
        seen.expect("then", await told(world), "200 FORBIDDEN")
    return seen.found


def _started(world: World) -> str:
    with patch.object(wiring, "build_sources", lambda _: []):
        try:
            wiring.prepare(world.gateway.settings)
        except SettingsFault:
            return "refused"
    return "started"


@asynccontextmanager
async def a_witness(folder: Path) -> AsyncIterator[tuple[FaultServer, dict[str, Witness], WitnessKeys, WitnessStore]]:
    """Yield a witness behind a socket, which knows no log until it is put into the mapping."""
    keys = WitnessKeys.load_or_create(folder / "witness.json", "witness.example/w")
    store = WitnessStore(folder / "witness")
    witness: dict[str, Witness] = {}

    async def answer(request: Received, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        given = await asyncio.to_thread(witness["it"].add_checkpoint, request.body)
        status = f"{given.status} -"
        writer.write(
            response(given.body.encode(), status, content_type=given.media_type, extra="Connection: close\r\n")
        )
        writer.close()

    site = FaultServer(answer)
    await site.listen()
    try:
        yield site, witness, keys, store
    finally:
        await site.__aexit__(None, None, None)
        store.close()


async def the_witness_is_gone(folder: Path) -> list[str]:
    """Row 40: an alarm after five minutes, nothing disclosed after four hours, and lookups again when it is back."""
    seen, clock, alarms = Findings(), Clock(), _Listening()
    async with a_witness(folder) as (site, witness, keys, store):
        sections = {"audit": {"witnesses": [{"url": site.url, "vkey": str(keys.cosigners[0].key)}]}}
        agency = Remembering(one_source())
        with clock.of_the_process(), alarms.listening():
            async with running_world(folder, agency, sections=sections) as world:
                log_key = LogSigner.of(world.gateway.keys).key
                witness["it"] = Witness(keys, store, [("contactpoint-gateway/audit/", log_key)])

                async def unseen() -> float:
                    return await asyncio.to_thread(world.gateway.witnesses.look)

                async def is_seen() -> bool:
                    return await unseen() == 0.0

                seen.expect("at first", (await told(world), await until(is_seen)), ("DISCLOSED", True))
                await site.__aexit__(None, None, None)
                await told(world)
                await until(lambda: _not(is_seen()))
                for seconds, alarm, wanted in (
                    (280.0, False, "DISCLOSED"),
                    (310.0, True, "DISCLOSED"),
                    (14_390.0, True, "DISCLOSED"),
                    (14_420.0, True, LOG_REFUSES),
                ):
                    clock.apart = seconds
                    await unseen()
                    asked = len(agency.asked)
                    is_so = (alarms.heard("no witness has cosigned"), await told(world))
                    seen.expect(f"gone for {seconds:.0f} s", is_so, (alarm, wanted))
                    disclosed = wanted == "DISCLOSED"
                    seen.expect(f"{seconds:.0f} s: asks", len(agency.asked) - asked, int(disclosed))
                    seen.expect(f"{seconds:.0f} s: the log is ready", "audit" not in await not_ready(world), disclosed)
                await site.listen(site.port)
                seen.expect("seen again", await until(is_seen), True)
                seen.expect("then", await told(world), "DISCLOSED")
    return seen.found


async def _not(holds: Awaitable[bool]) -> bool:
    return not await holds


class _Listening(logging.Handler):
    """Hears what the watch over witnesses says."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())

    def heard(self, words: str) -> bool:
        return any(words in each for each in self.said)

    @contextmanager
    def listening(self) -> Iterator[None]:
        logger = logging.getLogger("gateway.audit.witnessing.watch")
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)
