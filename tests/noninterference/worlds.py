"""Worlds, and pairs of them that are equal as far as a viewer may know.

`world` draws one; `rewritten` changes in it whatever the oracle says is hidden, edit by edit, and takes no edit that
the viewer could learn of. So a pair is low-equivalent by construction and nearly always differs in something secret.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any

from tests.noninterference.facts import CHILD, Held, Identity, Person, Row, Team, World
from tests.noninterference.table import IDENTITY, SECTION_FIELDS, SOURCES, Source
from tests.noninterference.viewers import BORN_DAYS_AGO, OTHER_FAMILIES, family_of

Edit = Callable[["Maker", dict[tuple[str, str], Held]], None]
_REFUSALS = ("MORE_DETRIMENTAL", "HANDLING_CODE", "ACCESS_LIMITATION", "RESTRICTED", "NOT_STATED")
_ABOUT_CHILD = tuple(s for s in SOURCES if not s.about_adults)
_ABOUT_ADULTS = tuple(s for s in SOURCES if s.about_adults)
_NAMING = tuple(s.id for s in SOURCES if s.names_adults)
_NAMES = ("Ada", "Bo", "Cy", "Dee", "Eli", "Fay", "Gus", "Hal")
_SURNAMES = ("Brook", "Cole", "Dell", "Esk", "Ford", "Gill")


class Maker:
    """Draws what sources hold about one child. Every text has a number in it, so that no two values are alike."""

    def __init__(self, rng: Random, number: str, today: date) -> None:
        self.rng, self.today = rng, today
        self.born, self.family = today - timedelta(days=BORN_DAYS_AGO), family_of(number)
        self.adults = tuple(f"X{(int(number[3:9]) * 2 + i) % 1_000_000:06d}" for i in range(2))

    def world(self) -> World:
        """Return a world in which most sources know the child."""
        rng = self.rng
        held = {}
        shielding = rng.choice(_ABOUT_CHILD).id if rng.random() < 0.2 else None
        for source in _ABOUT_CHILD:
            if rng.random() < 0.82:
                held[source.id, CHILD] = self.about_child(source)
            if source.id == shielding:
                held[source.id, CHILD] = replace(held.get((source.id, CHILD), Held()), shielded=True)
        for source in _ABOUT_ADULTS:
            for adult in self.adults:
                if rng.random() < 0.8:
                    held[source.id, adult] = self.about_adult(source)
        return held

    def about_child(self, source: Source) -> Held:
        """Return what a source holds about the child."""
        rng = self.rng
        chance = rng.random()
        trace = self.identity() if chance < 0.7 else None
        linked = tuple(a for a in self.adults if rng.random() < 0.75) if source.names_adults else ()
        return Held(
            rows=tuple(self.row() for _ in range(rng.choice((0, 1, 1, 2, 3)))),
            trace=trace,
            shielded=rng.choice((False, False, None)),
            adults=linked if rng.random() < 0.8 else tuple(reversed(linked)),
            sections=self.sections(source),
        )

    def about_adult(self, source: Source) -> Held:
        """Return what a source holds about a linked adult."""
        rows = tuple(self.row("LINKED_ADULT") for _ in range(self.rng.choice((0, 1, 1, 2))))
        return Held(rows=rows, sections=self.sections(source))

    def identity(self) -> Identity:
        """Return who a record is about: mostly the child, sometimes with an error, sometimes somebody else."""
        chance, former = self.rng.random(), self.rng.choice(OTHER_FAMILIES)
        if chance < 0.84:
            return Identity(self.born, (former, self.family) if chance < 0.2 else (self.family,))
        other = self.born - timedelta(days=self.rng.randrange(1, 900))
        if chance < 0.9:
            return Identity(other, (self.family,))
        return Identity(self.born, (former,)) if chance < 0.94 else Identity(other, (former,))

    def row(self, about: str | None = None) -> Row:
        """Return an entry of some kind; about a third may not be told to anybody, or to few."""
        rng = self.rng
        n = rng.randrange(10**9)
        status = "PREVIOUS" if rng.random() < 0.33 else "CURRENT"
        started = self.today - timedelta(days=rng.randrange(500, 900)) if rng.random() < 0.9 else None
        ended = self.today - timedelta(days=rng.randrange(1, 499)) if status == "PREVIOUS" else None
        if about is None:
            about = rng.choice(("CHILD",) * 9 + ("UNBORN", "LINKED_ADULT"))
        sensitive = rng.random() < 0.22
        return Row(
            local_id=f"local-{n}",
            person=self.person(n) if rng.random() < 0.85 else None,
            role=f"Worker {n}" if rng.random() < 0.9 else None,
            team=self.team(n) if rng.random() < 0.85 else None,
            service=(f"CODE{n}" if rng.random() < 0.8 else None, f"Service {n}") if rng.random() < 0.85 else None,
            mode=rng.choice(("DIRECT",) * 5 + ("TEAM_ONLY", "BROKERED", "NONE")),
            expected_response=f"within {n} hours" if rng.random() < 0.7 else None,
            status=status,
            started=started,
            ended=None if rng.random() < 0.05 else ended,
            lead=rng.random() < 0.25,
            about=about,
            confirmed=self.moment() if rng.random() < 0.7 else None,
            sensitivity=rng.choice(("SENSITIVE", "SENSITIVE", "UNKNOWN")) if sensitive else "STANDARD",
            basis=rng.choice(("CONSENT", "CONSENT", "SIGNIFICANT_HARM", None)) if sensitive else None,
            basis_until=self.until() if sensitive else None,
            refusal=rng.choice(_REFUSALS) if rng.random() < 0.08 else None,
            identity=self.identity() if rng.random() < 0.6 else None,
        )

    def person(self, n: int) -> Person:
        rng = self.rng
        registered = f"SWE:SW{rng.randrange(3)}" if rng.random() < 0.35 else f"SWE:SX{n}"
        return Person(
            name=f"{rng.choice(_NAMES)} {rng.choice(_SURNAMES)} {n}",
            role=f"Practitioner {n}" if rng.random() < 0.9 else None,
            registration=registered if rng.random() < 0.85 else None,
            phone=f"01632 960 {n}" if rng.random() < 0.8 else None,
            email=f"p{n}@amber.example" if rng.random() < 0.8 else None,
        )

    def team(self, n: int) -> Team:
        return Team(
            name=f"Team {n}",
            phone=f"01632 961 {n}" if self.rng.random() < 0.8 else None,
            email=f"t{n}@amber.example" if self.rng.random() < 0.7 else None,
            out_of_hours=f"01632 962 {n}" if self.rng.random() < 0.8 else None,
        )

    def sections(self, source: Source) -> dict[str, Any]:
        """Return values for the deeper paths that a source holds."""
        return {path: self.value(path) for path in source.sections if self.rng.random() < 0.95}

    def value(self, path: str) -> Any:
        """Return what a source holds under one path."""
        if path in IDENTITY:
            n = self.rng.randrange(10**9)
            return {
                "identity.givenNames": (f"Given {n}", "Second"),
                "identity.familyName": f"Family {n}",
                "identity.dateOfBirth": self.today - timedelta(days=self.rng.randrange(1000, 5000)),
            }[path]
        return tuple(self.item(path) for _ in range(self.rng.choice((1, 1, 2))))

    def item(self, path: str) -> tuple[tuple[str, Any], ...]:
        n = self.rng.randrange(10**9)
        return tuple((name, self._field(path, name, n)) for name in SECTION_FIELDS[path])

    def _field(self, path: str, name: str, n: int) -> Any:
        if name in {"since", "until"} or name.endswith("On"):
            return self.today - timedelta(days=n % 5000)
        if name == "allocated":
            return n % 2 == 0
        return n if path == "probation.mappa" else f"{name} {n}"

    def until(self) -> date:
        """Return when a consent ends or ended; now and then today."""
        return self.today + timedelta(days=self.rng.choice((-400, -1, 0, 1, 400, 400, 400)))

    def moment(self) -> datetime:
        day = self.today - timedelta(days=self.rng.randrange(1, 300))
        return datetime.combine(day, time(self.rng.randrange(24), 30), UTC)


def rewritten(maker: Maker, world: World, same: Callable[[World], bool]) -> World:
    """Return another world that is the same as far as `same` tells, and differs where it can."""
    rng = maker.rng
    kept = dict(world)
    # nothing is known of the child, perhaps: then it may be any other child, or none
    for other in ({}, maker.world()):
        if rng.random() < 0.5 and same(other):
            kept = dict(other)
            break
    for _ in range(rng.randrange(4, 12)):
        tried = dict(kept)
        rng.choice(EDITS)(maker, tried)
        if tried != kept and same(tried):
            kept = tried
    return kept


def _some(maker: Maker, world: dict[tuple[str, str], Held]) -> tuple[str, str] | None:
    return maker.rng.choice(sorted(world)) if world else None


def forget(maker: Maker, world: dict[tuple[str, str], Held]) -> None:
    """A source does not know the subject at all."""
    if place := _some(maker, world):
        del world[place]


def learn(maker: Maker, world: dict[tuple[str, str], Held]) -> None:
    """A source holds something else about a subject, or something at all."""
    source = maker.rng.choice(SOURCES)
    if source.about_adults:
        world[source.id, maker.rng.choice(maker.adults)] = maker.about_adult(source)
    else:
        world[source.id, CHILD] = maker.about_child(source)


def shield(maker: Maker, world: dict[tuple[str, str], Held]) -> None:
    """A source shields the child, no longer does, or does not say."""
    place = maker.rng.choice(_ABOUT_CHILD).id, CHILD
    world[place] = replace(world.get(place, Held()), shielded=maker.rng.choice((True, True, False, None)))


def add_row(maker: Maker, world: dict[tuple[str, str], Held]) -> None:
    """One more entry, in some place among the others."""
    if place := _some(maker, world):
        rows = list(world[place].rows)
        about = None if place[1] == CHILD else maker.rng.choice(("LINKED_ADULT",) * 4 + ("CHILD",))
        rows.insert(maker.rng.randrange(len(rows) + 1), maker.row(about))
        world[place] = replace(world[place], rows=tuple(rows))


def remove_row(maker: Maker, world: dict[tuple[str, str], Held]) -> None:
    """One entry less."""
    if (place := _some(maker, world)) and world[place].rows:
        rows = list(world[place].rows)
        del rows[maker.rng.randrange(len(rows))]
        world[place] = replace(world[place], rows=tuple(rows))


def change_row(maker: Maker, world: dict[tuple[str, str], Held]) -> None:
    """One field of one entry is another: a name that is masked, a date, who it is about, why it is refused."""
    if not (place := _some(maker, world)) or not world[place].rows:
        return
    rng, rows = maker.rng, list(world[place].rows)
    at = rng.randrange(len(rows))
    other = maker.row(rows[at].about)
    name = rng.choice([field for field in Row.__slots__ if field != "local_id"])
    value = getattr(other, name)
    person = rows[at].person
    if name == "person" and value is not None and person is not None and rng.random() < 0.6:
        part = rng.choice(("name", "role", "registration", "phone", "email"))
        value = replace(person, **{part: getattr(value, part)})
    elif name == "refusal":
        value = rng.choice((*_REFUSALS, None))
    elif name in {"basis", "basis_until"}:
        value = rng.choice(("CONSENT", "SIGNIFICANT_HARM", None)) if name == "basis" else maker.until()
    rows[at] = replace(rows[at], **{name: value})
    world[place] = replace(world[place], rows=tuple(rows))


def shuffle(maker: Maker, world: dict[tuple[str, str], Held]) -> None:
    """Every source gives its entries in another order: it tells nothing."""
    for place, held in list(world.items()):
        rows = list(held.rows)
        maker.rng.shuffle(rows)
        world[place] = replace(held, rows=tuple(rows))


def trace(maker: Maker, world: dict[tuple[str, str], Held]) -> None:
    """A source traces the child otherwise, or not at all."""
    place = maker.rng.choice(_ABOUT_CHILD).id, CHILD
    world[place] = replace(world.get(place, Held()), trace=maker.identity() if maker.rng.random() < 0.6 else None)


def link(maker: Maker, world: dict[tuple[str, str], Held]) -> None:
    """Other adults are linked to the child."""
    place = maker.rng.choice(_NAMING), CHILD
    adults = [adult for adult in maker.adults if maker.rng.random() < 0.5]
    maker.rng.shuffle(adults)
    world[place] = replace(world.get(place, Held()), adults=tuple(adults))


def section(maker: Maker, world: dict[tuple[str, str], Held]) -> None:
    """A deeper value is another, or none."""
    place = _some(maker, world)
    paths = next((s.sections for s in SOURCES if place and s.id == place[0]), ())
    if not place or not paths:
        return
    path = maker.rng.choice(paths)
    values = {name: value for name, value in world[place].sections.items() if name != path}
    if maker.rng.random() < 0.6:
        values[path] = maker.value(path)
    world[place] = replace(world[place], sections=values)


EDITS: tuple[Edit, ...] = (
    forget,
    learn,
    shield,
    shield,
    add_row,
    add_row,
    remove_row,
    change_row,
    change_row,
    change_row,
    shuffle,
    trace,
    link,
    section,
    section,
)
