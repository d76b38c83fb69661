"""Pairs in which one thing is hidden, and little else is there to hide a leak of it.

`situated` gives the ordinary pairs of the suite in turn with situations that chance seldom makes: a practitioner who is
masked in one world and missing in the other, a key that only a hidden record would prove, a name that is nearly right.
They are pairs like all others: the oracle says that both worlds are the same to the viewer, or there is no pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random
from typing import Any

from tests.noninterference.facts import CHILD, Asked, Held, Identity, Row, Viewer, World
from tests.noninterference.mutants.shapes import SHAPES
from tests.noninterference.operations import Operation
from tests.noninterference.pairs import FAULTS, Pair, Step, lows, pair
from tests.noninterference.table import ALL_SCOPES, OVERRIDE_SCOPE
from tests.noninterference.viewers import BORN_DAYS_AGO, family_of, nhs_number
from tests.noninterference.worlds import Maker

_BROKERED = ("cs-amber", "health-amber")
_ANYWHERE = ("cs-amber", "police-amber", "health-amber", "cs-brook", "school-elm")


@dataclass
class Situation:
    """What one pair is drawn from."""

    rng: Random
    maker: Maker
    viewer: Viewer
    asked: Asked
    turn: int  # how often the situation has come before: its forms come by turns
    times: int = 1  # how often it is asked

    def one_of(self, *forms: Any) -> Any:
        """Return the form whose turn it is."""
        return forms[self.turn % len(forms)]

    def held(self, *rows: Row, **differs: Any) -> Held:
        """Return what a source holds that knows the child for certain and shields nothing."""
        usual = {"rows": rows, "trace": Identity(self.maker.born, (self.maker.family,)), "shielded": False}
        return Held(**(usual | differs))

    def row(self, **differs: Any) -> Row:
        """Return a current entry that may be told, with fields replaced."""
        usual: dict[str, Any] = {
            "status": "CURRENT",
            "ended": None,
            "refusal": None,
            "sensitivity": "STANDARD",
            "basis": None,
            "basis_until": None,
            "identity": None,
            "mode": "DIRECT",
        }
        n = self.rng.randrange(10**9)
        row = replace(self.maker.row("CHILD"), person=self.maker.person(n), team=self.maker.team(n))
        return replace(row, **(usual | differs))

    def sensitive(self, **differs: Any) -> Row:
        """Return an entry of a sensitive service that may be mentioned."""
        known: dict[str, Any] = {
            "sensitivity": self.rng.choice(("SENSITIVE", "UNKNOWN")),
            "basis": "CONSENT",
            "basis_until": self.maker.today + timedelta(days=400),
        }
        return self.row(**(known | differs))

    def day(self, days: int) -> date:
        """Return the day so many days from today."""
        return self.maker.today + timedelta(days=days)


Made = tuple[World, World]


def masked(at: Situation) -> Made:
    """A practitioner is not named, because the entry says team only; in the other world there is none, or another."""
    rows = [
        at.row(mode="TEAM_ONLY", team=at.rng.choice((None, at.maker.team(7)))) for _ in range(at.rng.choice((1, 1, 2)))
    ]
    others = [replace(row, person=at.rng.choice((None, None, at.maker.person(8)))) for row in rows]
    place = (at.rng.choice(_ANYWHERE), CHILD)
    return {place: at.held(*rows)}, {place: at.held(*others)}


def not_named(at: Situation) -> Made:
    """A practitioner is not named, because nothing opens names to this viewer."""
    at.viewer = replace(at.viewer, organisation="amber-nhs", roles=("health_visitor",), strong=False)
    rows = [at.row() for _ in range(2)]
    others = [replace(row, person=at.maker.person(9)) for row in rows]
    return {("cs-brook", CHILD): at.held(*rows)}, {("cs-brook", CHILD): at.held(*others)}


def faint(at: Situation) -> Made:
    """Only a record that this viewer may not see is under the stated key; in the other world nobody knows the child."""
    right = Identity(at.asked.born, (at.maker.family,))
    hidden = (
        at.sensitive(identity=right),
        at.row(identity=right, refusal="RESTRICTED"),
        at.row(identity=right, about="LINKED_ADULT"),
        at.row(identity=right, status="PREVIOUS", ended=at.day(-20)),
    )
    proving = at.one_of(*hidden)
    if proving.status == "PREVIOUS":
        at.viewer = replace(at.viewer, organisation="amber-nhs", roles=("health_visitor",), strong=False)
    place, other = at.rng.sample(_BROKERED, 2)
    # an adult who is named nowhere is asked about nowhere
    return {
        (place, CHILD): at.held(proving, trace=None),
        (other, CHILD): at.held(at.row(), trace=None),
    }, {}


def faint_and_shielded(at: Situation) -> Made:
    """Only the record of the source that shields is under the stated key, and break-glass is used."""
    at.asked = replace(at.asked, override=True)
    right = Identity(at.asked.born, (at.maker.family,))
    known = {
        ("police-amber", CHILD): at.held(at.row(identity=right), trace=None, shielded=True),
        ("cs-amber", CHILD): at.held(at.row(), trace=None),
    }
    return known, {}


def nearly(at: Situation) -> Made:
    """The key is nearly right; in the other world nobody knows the child."""
    family = at.maker.family
    wrong = (family[:-1], family + family[-1], family[1:], family.replace("e", "a"))
    near = replace(at.asked, family=at.rng.choice([name for name in wrong if name != family]))
    at.asked = at.one_of(near, replace(at.asked, born=at.asked.born - timedelta(days=1)))
    place = (at.rng.choice(_ANYWHERE), CHILD)
    return {place: at.held(at.row(), at.row())}, {}


def brokered(at: Situation) -> Made:
    """A sensitive service is mentioned under its broker; what it is differs."""
    row = at.sensitive()
    fresh = at.row()
    parts = ("service", "role", "team", "person", "started", "lead", "expected_response", "sensitivity")
    taken = at.rng.sample(parts, 3)
    values = {name: getattr(fresh, name) for name in taken}
    if "sensitivity" in taken:
        values["sensitivity"] = "UNKNOWN" if row.sensitivity == "SENSITIVE" else "SENSITIVE"
    if "lead" in taken:
        values["lead"] = not row.lead
    place, other = (at.rng.choice(_BROKERED), CHILD), at.row()
    return {place: at.held(row, other)}, {place: at.held(replace(row, **values), other)}


def ended(at: Situation) -> Made:
    """A consent has ended, or was never given; ended work is older than retention, or not open to this viewer."""
    hidden = at.one_of(
        at.sensitive(basis_until=at.day(-1)),
        at.row(status="PREVIOUS", ended=at.day(-20)),
        at.row(status="PREVIOUS", ended=at.day(-480)),
        at.sensitive(basis=None, basis_until=None),
    )
    if hidden.ended == at.day(-20):
        at.viewer = replace(at.viewer, organisation="amber-nhs", roles=("health_visitor",), strong=False)
    # of their own trust's work they would be told more
    open_row, place = at.row(), ("health-amber" if at.viewer.strong else "cs-brook", CHILD)
    return {place: at.held(open_row, hidden)}, {place: at.held(open_row)}


def held_back(at: Situation) -> Made:
    """An entry is held back beside others of its source; in the other world it is not there."""
    rows = [at.row() for _ in range(at.rng.choice((1, 2)))]
    hidden = at.one_of(
        at.row(refusal="HANDLING_CODE", lead=True),
        at.sensitive(lead=True),
        at.row(about="LINKED_ADULT"),
        at.sensitive(basis=None),
    )
    # nobody makes contact for a sensitive service of the police
    place = ("police-amber" if hidden.basis else at.rng.choice(_ANYWHERE), CHILD)
    if hidden.about == "LINKED_ADULT":
        at.viewer = replace(at.viewer, roles=("housing_officer",), organisation="amber-housing", registration=None)
    mixed = [*rows, hidden]
    at.rng.shuffle(mixed)
    return {place: at.held(*mixed)}, {place: at.held(*rows)}


def shielded(at: Situation) -> Made:
    """The child is shielded; in the other world nobody knows them."""
    at.times = 2  # the second time, the shield is on record
    known = {("police-amber", CHILD): at.held(at.row(), shielded=True), ("cs-brook", CHILD): at.held(at.row())}
    return known, {}


def deeper(at: Situation) -> Made:
    """Some or all records below the entries are closed to this viewer; in the other world those differ."""
    at.viewer = replace(at.viewer, organisation="brook-council", strong=False)
    place, paths = at.one_of(
        ("cs-brook", ("childrensServices.plans", "childrensServices.statuses", "assessments")),
        ("cs-brook", ("identity.familyName", "identity.dateOfBirth")),
        ("police-brook", ("police.events", "police.orders")),
    )
    told = {}
    if "identity.familyName" in paths:
        at.viewer = replace(at.viewer, organisation="amber-nhs", roles=("health_visitor",))
        told = {"identity.givenNames": at.maker.value("identity.givenNames")}
    row, closed = at.row(), {path: at.maker.value(path) for path in paths}
    return {(place, CHILD): at.held(row, sections=told | closed)}, {(place, CHILD): at.held(row, sections=told)}


def linked(at: Situation) -> Made:
    """An adult is linked of whom nothing may be told; in the other world there is none."""
    adult = at.maker.adults[0]
    row = at.row()
    theirs = Held(rows=(at.row(about="LINKED_ADULT", refusal="ACCESS_LIMITATION"),))
    named = {("cs-amber", CHILD): at.held(row, adults=(adult,)), ("probation-amber", adult): theirs}
    return named, {("cs-amber", CHILD): at.held(row), ("probation-amber", adult): theirs}


MAKERS: tuple[Callable[[Situation], Made], ...] = (
    masked,
    faint,
    nearly,
    held_back,
    masked,
    brokered,
    ended,
    not_named,
    masked,
    shielded,
    deeper,
    faint_and_shielded,
    linked,
)


def situated(seed: int, index: int, today: date, faults: tuple[str, ...] = FAULTS) -> Pair:
    """Return an ordinary pair, or a situation in one of its forms, by turns; the same for seed and index."""
    if index % 3 == 0:
        return pair(seed, index, today, faults)
    rng = Random(f"situated:{seed}:{index}")
    number = nhs_number(index)
    asked = Asked(number, today - timedelta(days=BORN_DAYS_AGO), family_of(number), "VITAL_INTERESTS")
    viewer = Viewer(
        subject=f"situated-{seed}-{index}",
        organisation="amber-council",
        roles=("social_worker",),
        scopes=ALL_SCOPES | {OVERRIDE_SCOPE},
        strong=True,
        registration=None,
    )
    # of three pairs two are situations
    turn, which = divmod(index - index // 3 - 1, len(MAKERS))
    at = Situation(rng, Maker(rng, number, today), viewer, asked, turn)
    one, two = MAKERS[which](at)
    steps = (Step(at.viewer, _operation(rng, index, at.asked), {}, watched=True),) * at.times
    known = lows(one, steps, today)
    if lows(two, steps, today) != known:
        return pair(seed, index, today, faults)
    return Pair(seed, index, number, *_either(rng, one, two), steps, known)


def _either(rng: Random, one: World, two: World) -> Iterable[World]:
    return (one, two) if rng.random() < 0.5 else (two, one)


def _operation(rng: Random, index: int, asked: Asked) -> Operation:
    shape = SHAPES[index % len(SHAPES)] if rng.random() < 0.6 else SHAPES[0]
    key = {"nhsNumber": asked.number, "dateOfBirth": asked.born.isoformat(), "familyName": asked.family}
    access: dict[str, Any] = {"purpose": asked.purpose, "reason": "A referral"}
    if asked.override:
        access["override"] = {"justification": "A child at risk now", "acceptReview": True}
    variables: Mapping[str, Any] = {"key": key, "access": access}
    if "$yes" in shape.document:
        variables = {**variables, "yes": True}
    return Operation(shape, variables, "application/graphql-response+json", replace(asked, previous=shape.previous))
