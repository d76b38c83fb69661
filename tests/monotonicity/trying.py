"""Tries drops on a running gateway: each against the answer that the asker had before."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final

from auth import agreement_files
from auth.sharing import AgreementSet
from gateway.settings import LimitsSection
from schema.records import Practitioner
from tests.fixtures.sources import Remembering
from tests.fixtures.token_factory import ISSUER
from tests.fixtures.world import WHO, Terms, World, running_world, today, write_agreements
from tests.monotonicity import sections
from tests.monotonicity.drops import of_the_agreements, of_the_asker
from tests.monotonicity.situations import Child, Viewer, connectors, hold, make_agreements, make_child, make_viewer
from tests.monotonicity.told import Rows, Seen, Value, added, seen

ASKERS_OF_A_SET: Final = 8
DROPS_OF_A_SET: Final = 16
_APPOINT: Final = (
    "mutation Appoint($appointment: AppointmentInput!) { registerAppointment(appointment: $appointment) { id } }"
)
_END: Final = "mutation End($id: ID!) { endAppointment(id: $id) { id } }"
_COURT: Final = {"org": "amber-court", "sub": "court-officer", "roles": [], "scope": "appointment:write"}
_ENTRY = WHO.partition("involvements(status: [CURRENT, PREVIOUS])")[2]
SELECT: Final = f"{WHO} leadPractitioner {_ENTRY} {sections.selection()}"


@dataclass
class Tally:
    """What was tried, and what broke the rule."""

    drops: Counter[str] = field(default_factory=Counter)
    losing: Counter[str] = field(default_factory=Counter)  # drops after which less was told
    askers: int = 0
    told_something: int = 0
    values: int = 0
    broken: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many drops were tried."""
        return sum(self.drops.values())

    def judge(self, kind: str, before: Seen, after: Seen, rows: Rows) -> None:
        """Count one drop, and keep it if it added something."""
        self.drops[kind] += 1
        self.losing[kind] += bool(before.values - after.values or before.asked - after.asked)
        if beyond := added(before, after, rows):
            self.broken.append(f"{kind}: {shown(beyond)}")


def shown(values: list[Value]) -> str:
    """Return the first of some values, in words."""
    return "; ".join(f"{path} of {about} = {leaf}" for path, about, leaf in sorted(values, key=str)[:4])


@dataclass
class Trial:
    """A gateway whose agreements and children a test may change between two lookups."""

    world: World
    held: Mapping[str, Remembering]
    folder: Path
    _sets: Any = field(default_factory=count)

    def agree(self, terms: tuple[Terms, ...]) -> AgreementSet:
        """Read a set from files, as the gateway does."""
        return agreement_files.load(write_agreements(self.folder / f"set-{next(self._sets)}", terms))

    def use(self, agreements: AgreementSet) -> None:
        """Let this set be in force from the next lookup on."""
        object.__setattr__(self.world.gateway.lookups, "agreements", lambda: agreements)

    async def ask(self, viewer: Viewer, child: Child, rows: Rows) -> Seen:
        """Return what this asker is told of this child."""
        hold(self.held, child)
        told = await self.world.ask(
            child.number,
            family=viewer.family,
            purpose=viewer.purpose,
            select=SELECT,
            access=viewer.access(),
            auth_time=int(self.world.tokens.clock()) - 60,
            **viewer.claims(),
        )
        return seen(told, rows)

    async def appoint(self, viewer: Viewer, child: Child) -> str:
        """Let the court appoint this asker for this child; return the appointment's id."""
        appointment = {
            "nhsNumber": child.number,
            "appointeeSubject": viewer.person,
            "appointeeOrganisation": viewer.organisation,
            "purpose": viewer.purpose,
            "evidence": "An order",
            "expiresOn": (today() + timedelta(days=30)).isoformat(),
        }
        made = await self.world.post(_APPOINT, {"appointment": appointment}, **_COURT)
        return str(made.body["data"]["registerAppointment"]["id"])

    async def end(self, appointment: str) -> None:
        """Let the court end an appointment."""
        ended = await self.world.post(_END, {"id": appointment}, **_COURT)
        assert ended.body["data"]["endAppointment"]["id"] == appointment

    def rows(self, viewer: Viewer, child: Child) -> Rows:
        """Return which entry is which row, in this asker's eyes."""
        opaque = self.world.gateway.keys.opaque_id
        held = child.rows()
        people = {local: r.practitioner for local, (_, r) in held.items()}
        return Rows(
            of_entry={
                opaque("entry", ISSUER, viewer.person, child.number, name, local): local
                for local, (name, _) in held.items()
            },
            registered={
                (number, held[local][0]): local for local, person in people.items() if (number := _number(person))
            },
            team_contacts={
                local: frozenset(filter(None, (r.team.phone, r.team.email))) if r.team else frozenset()
                for local, (_, r) in held.items()
            },
        )


def _number(person: Practitioner | None) -> str | None:
    return person.registration.number if person and person.registration else None


@asynccontextmanager
async def trial(folder: Path) -> AsyncIterator[Trial]:
    """Start a gateway for drops; nobody's budget ends."""
    held = connectors()
    budget = {"minute": 10_000, "hour": 100_000, "day": 1_000_000}
    limits = {"person_overrides": budget} if "person_overrides" in LimitsSection.model_fields else {}
    async with running_world(folder, *held.values(), limits=limits) as world:
        yield Trial(world, held, folder)


async def try_drops(
    running: Trial,
    seed: int,
    at_least: int,
    *,
    stop_when_broken: bool = False,
    shielded: float = 0.05,
    mistaken: float = 0.04,
) -> Tally:
    """Return the tally of so many drops, or up to the first that breaks the rule.

    `shielded`: how often a source shields its child; `mistaken`: how often the asker has the name wrong.
    """
    random, tally, index = Random(seed), Tally(), count(seed * 10_000)

    def enough() -> bool:
        return tally.total >= at_least or (stop_when_broken and bool(tally.broken))

    while not enough():
        terms = make_agreements(random)
        agreed = running.agree(terms)
        running.use(agreed)
        befores: list[tuple[Viewer, Child, Rows, Seen]] = []
        appointments: list[str] = []
        for _ in range(ASKERS_OF_A_SET):
            number = next(index)
            child = make_child(random, number, shielded=shielded)
            viewer = make_viewer(random, number, child, mistaken)
            rows = running.rows(viewer, child)
            appointments.append(await running.appoint(viewer, child) if viewer.appointed else "")
            before = await running.ask(viewer, child, rows)
            befores.append((viewer, child, rows, before))
            tally.askers += 1
            tally.told_something += bool(before.values)
            tally.values += len(before.values)
            for drop in of_the_asker(viewer, child):
                tally.judge(drop.kind, before, await running.ask(drop.viewer, drop.child, rows), rows)
            if enough():
                return tally
        for less in of_the_agreements(terms, random, DROPS_OF_A_SET):
            running.use(running.agree(less.terms))
            for viewer, child, rows, before in befores:
                tally.judge(less.kind, before, await running.ask(viewer, child, rows), rows)
            if enough():
                return tally
        running.use(agreed)
        for appointment, (viewer, child, rows, before) in zip(appointments, befores, strict=True):
            if appointment:
                await running.end(appointment)
                tally.judge("appointment", before, await running.ask(viewer, child, rows), rows)
    return tally
