"""A gateway in a process of its own, on a port, over sources in that process: `python -m tests.timing.server FOLDER`.

Reads its orders from the first line of standard input, writes where it answers and whom it knows to standard output,
and ends with its input. Everything is as shipped but for the budgets, which a hundred thousand lookups would spend.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send

from connectors.base import Ask, Connector, FieldMask
from gateway.commands.listening import server_for
from gateway.federation.gathering import Gathering
from gateway.lookup import Lookups
from schema.identifiers import CRN, NHSNumber
from schema.records import AdultRef, Answer, Answered, ChildRef, IdentityClaim, SubjectRef
from schema.vocabulary import AgencyKind, InvolvementRelationship, InvolvementStatus, RefusalReason
from tests.fixtures.sources import BORN, FAMILY, Remembering, known, row, sensitive, source
from tests.fixtures.world import Opening, Terms, running_world
from tests.monotonicity.situations import number_at

CHILDREN_OF_A_CLASS: Final = 40
CLASSES: Final = ("shielded", "unknown", "sensitive only", "nothing open", "linked adult", "no linked adult")
_TRACE: Final = IdentityClaim(BORN, (FAMILY,))


@dataclass(frozen=True, slots=True)
class Orders:
    """How the gateway is to run. Zero agency milliseconds: the sources answer at once, whoever is asked about."""

    quiet_seconds: float = 0.25
    agency_ms: float = 0.0  # a source takes up to so long, and longer for somebody whom it knows
    shielded_ms: float = 0.0  # a seeded fault: so much more work for a shielded child
    late_ms: float = 0.0  # another: so much more after the beat


class Agency(Remembering):
    """A source that takes its time: more of it for whom it knows, as a real one does, and as much again at random."""

    def __init__(
        self, inner: Connector, orders: Orders, held: Iterable[SubjectRef], shielded: Iterable[NHSNumber]
    ) -> None:
        super().__init__(inner)
        self._orders = orders
        self._held = frozenset(held)
        self._shielded = frozenset(shielded)
        self._random = Random(self.manifest.agency.id)

    async def _answers(self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask) -> Mapping[SubjectRef, Answer]:
        self.asked.clear()
        spent = 0.0
        if self._orders.agency_ms:
            spent = self._orders.agency_ms * (self._random.random() + (0.5 if self._held & set(subjects) else 0.0))
        if any(isinstance(s, ChildRef) and s.nhs_number in self._shielded for s in subjects):
            spent += self._orders.shielded_ms
        if spent:
            await asyncio.sleep(spent / 1000)
        return await super()._answers(subjects, mask, ask)


def numbers(name: str) -> list[NHSNumber]:
    """Return the children of a class."""
    at = CLASSES.index(name) * 1000
    return [number_at(at + 7 * i) for i in range(CHILDREN_OF_A_CLASS)]


def agencies(orders: Orders) -> list[Agency]:
    """Return the sources. The asker of these tests is told nothing of any child."""
    council: list[Answered] = []
    health: list[Answered] = []
    probation: list[Answered] = []
    for number in numbers("shielded"):
        council.append(known(number, row("s1"), row("s2", lead=True), trace=_TRACE, shielded=True))
        health.append(known(number, row("s3"), trace=_TRACE))
    for number in numbers("sensitive only"):
        council.append(known(number, trace=_TRACE))
        health.append(known(number, sensitive("c1"), sensitive("c2"), trace=_TRACE))
    for number in numbers("nothing open"):
        council.append(known(number, trace=_TRACE))
        health.append(known(number, trace=_TRACE))
    for at, name in enumerate(("linked adult", "no linked adult")):
        for i, number in enumerate(numbers(name)):
            refused = row("r1", refusal=RefusalReason.HANDLING_CODE)
            adults = [] if at else [CRN(f"X2{i:05d}")]
            council.append(known(number, refused, trace=_TRACE, adults=adults))
            # the adult's entries have ended, and only current ones are open to the asker
            ended = {"status": InvolvementStatus.PREVIOUS, "relationship": InvolvementRelationship.LINKED_ADULT}
            probation += [known(AdultRef(adult), row("p1", identity=None, **ended)) for adult in adults]
    shielded = numbers("shielded")
    made = (
        source("cs-amber", *council, organisation="amber-council", names_adults=True),
        source("police-amber", kind=AgencyKind.POLICE, organisation="amber-police"),
        source("health-amber", *health, kind=AgencyKind.HEALTH, organisation="amber-nhs"),
        source(
            "probation-amber", *probation, kind=AgencyKind.PROBATION, organisation="amber-probation", about_adults=True
        ),
    )
    held = ([a.subject for a in council], [], [a.subject for a in health], [a.subject for a in probation])
    return [Agency(each, orders, of, shielded) for each, of in zip(made, held, strict=True)]


def seed(orders: Orders) -> None:
    """Put in the fault that these orders ask for."""
    held = Lookups._quiet

    async def late(self: Lookups, run: Gathering) -> None:
        await held(self, run)
        if run.shielded_by:
            await asyncio.sleep(orders.late_ms / 1000)

    if orders.late_ms:
        Lookups._quiet = late  # type: ignore[method-assign]


async def serve(folder: Path, orders: Orders) -> None:
    """Serve until standard input ends."""
    seed(orders)
    opens = ("involvements", "involvements.practitioner", "involvements.linkedAdult")
    grant = Opening(opens=opens, organisations=("brook-council",))
    kept: list[ASGIApp] = []

    def keep(app: ASGIApp) -> ASGIApp:
        kept.append(app)
        return app

    async with running_world(
        folder,
        *agencies(orders),
        agreements=[Terms(f"kind:{kind}", [grant]) for kind in AgencyKind],
        limits={"quiet_seconds": orders.quiet_seconds},
        around=keep,
    ) as world:

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            # the world around us has begun the application's life already
            if scope["type"] != "lifespan":
                return await kept[0](scope, receive, send)
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})

        server = server_for(app, "127.0.0.1", 0)
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        now = int(world.tokens.clock())
        told: dict[str, Any] = {
            "port": server.servers[0].sockets[0].getsockname()[1],
            "headers": world.headers(org="brook-council", sub="an-asker", iat=now, exp=now + 900),
            "classes": {name: [str(n) for n in numbers(name)] for name in CLASSES},
            "orders": asdict(orders),
        }
        print(json.dumps(told), flush=True)

        def until_input_ends() -> None:
            sys.stdin.read()
            server.should_exit = True

        threading.Thread(target=until_input_ends, daemon=True).start()
        await serving


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), Orders(**json.loads(sys.stdin.readline()))))
