"""Random sequences of lookups against a model of what may be told again, and the defects that it must find.

    CONTACTPOINT_TEST_SEQUENCES=200 python -m pytest tests/gateway/test_stale_sequences.py

The model shares no word with the code: who was told what by whom, minus what any source has taken back since.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from connectors.faults import FaultCode
from gateway.audit.events import EventKind
from gateway.federation.gathering import Gathering
from gateway.federation.stale_answers import Question, Stale, StaleAnswers
from gateway.federation.standing_in import StandIn
from schema.identifiers import NHSNumber
from schema.vocabulary import AgencyKind, SourceStatus
from tests.fixtures.sources import known, row, source
from tests.fixtures.world import Told, World, running_world
from tests.gateway.switched import SECONDS, Switched, stood_in_for
from tests.noninterference.viewers import nhs_number
from tests.recorded.listening import settle

pytestmark = pytest.mark.anyio

SEQUENCES = int(os.environ.get("CONTACTPOINT_TEST_SEQUENCES", "25"))
STEPS = 12
LABELLED = "outcome complete sources { agency { id } status reason } involvements { practitioner { name } staleAsOf }"
PLAIN = LABELLED.replace(" staleAsOf", "")
#: own: of the asker's organisation, so that its word makes a relationship
SOURCES = {"own": AgencyKind.CHILDRENS_SERVICES, "police": AgencyKind.POLICE, "school": AgencyKind.SCHOOL}
PEOPLE = ("somebody", "another")
# it opens no circuit: the model has none
SILENCE = FaultCode.BULKHEAD_FULL


@dataclass(frozen=True, slots=True)
class Step:
    """One lookup: by whom, what each source says (None: nothing), how long after the last, and whether labelled."""

    person: str
    said: Mapping[str, tuple[frozenset[str], bool] | None]
    later: float
    labelled: bool


def steps(rng: Random) -> Iterator[Step]:
    """Draw a sequence about one child: entries come and go, sources fall silent, shields are set and lifted."""
    for _ in range(STEPS):
        said: dict[str, tuple[frozenset[str], bool] | None] = {}
        for name in SOURCES:
            rows = frozenset(f"{name} {letter}" for letter in "AB" if rng.random() < 0.7)
            said[name] = None if rng.random() < 0.45 else (rows, rng.random() < 0.06)
        yield Step(rng.choice(PEOPLE), said, rng.choice((0.0, 1.0, SECONDS / 3, SECONDS)), rng.random() < 0.85)


@dataclass
class Model:
    """What may be told of one child, step by step."""

    now: float = 0.0
    told: dict[tuple[str, str], tuple[frozenset[str], float]] = field(default_factory=dict)
    shields: set[str] = field(default_factory=set)

    def take(self, step: Step) -> tuple[frozenset[str], frozenset[str]]:
        """Return who is told as of now and who as of earlier, in one step."""
        self.now += step.later
        up = {name: said for name, said in step.said.items() if said is not None}
        for name, (rows, shielded) in up.items():
            self.shields = self.shields | {name} if shielded else self.shields - {name}
            for key in [key for key in self.told if key[1] == name]:
                kept, at = self.told[key]
                self.told[key] = kept & rows, at
        live = frozenset[str]().union(*(rows for rows, _ in up.values()))
        if not any(rows for rows, shielded in up.values() if not shielded):
            live = frozenset()  # an entry beside a shield proves nobody's identity
        if self.shields:
            self.told = {}
            # the authority that alone set it sees through, and is told nothing again all the same
            return live if self.shields == {"own"} else frozenset(), frozenset()
        stale: frozenset[str] = frozenset()
        for name in SOURCES:
            kept, at = self.told.get((step.person, name), (frozenset(), 0.0))
            if name not in up and live and step.labelled and self.now - at < SECONDS:
                stale |= kept
        if step.labelled:
            self.told |= {(step.person, name): (rows, self.now) for name, (rows, _) in up.items()}
        return live, stale


async def faults_of(world: World, sources: Mapping[str, Switched], now: list[float], seed: int) -> list[str]:
    """Run the sequence of a seed and return every difference between what was told and what may be."""
    child, model, found = NHSNumber(nhs_number(seed)), Model(), []
    for at, step in enumerate(steps(Random(f"stale:{seed}"))):
        for name, said in step.said.items():
            sources[name].silent = SILENCE if said is None else None
            if said is not None:
                rows = (row(who, name=who.title()) for who in sorted(said[0]))
                sources[name].say(child, known(child, *rows, shielded=said[1]))
        now[0] += step.later
        live, stale = model.take(step)
        told = await world.ask(child, select=LABELLED if step.labelled else PLAIN, sub=step.person)
        found += [f"seed {seed} step {at}: {fault}" for fault in _differences(step, live, stale, told, world)]
    return found


def _differences(step: Step, live: frozenset[str], stale: frozenset[str], told: Told, world: World) -> Iterator[str]:
    labels: dict[str, Any] = {e["practitioner"]["name"].lower(): e.get("staleAsOf") for e in told.entries}
    said = {name.lower() for name, moment in labels.items() if moment is None}
    before = {name.lower() for name, moment in labels.items() if moment is not None}
    live, stale = (frozenset(who.lower() for who in people) for people in (live, stale))
    if said != live:
        yield f"told as of now {sorted(said)}, not {sorted(live)}"
    if before != stale:
        yield f"told as of earlier {sorted(before)}, not {sorted(stale)}"
    silent = {name for name, said_now in step.said.items() if said_now is None}
    if {name for name, status in told.sources.items() if not status.startswith("ANSWERED")} != silent:
        yield "another source is said to have answered"
    if told.child["complete"] is bool(silent) or (told.outcome == "INCOMPLETE") is not bool(silent):
        yield "complete, or the outcome, is another"
    outcome = world.payload(EventKind.OUTCOME)
    own = step.said["own"]
    if live and (outcome["relationship"] == "ORGANISATION") is not bool(own and own[0]):
        yield "a relationship that nobody shows now"
    recorded = {e["practitioner"]["name"].lower() for e in outcome["disclosed"]["entries"] if "staleAsOf" in e}
    if recorded != stale:
        yield "recorded as stale is something else"


async def run(folder: Path, sequences: int, *, until_found: bool = False) -> list[str]:
    """Run so many sequences through one gateway."""
    now = [0.0]
    sources = {
        name: Switched(source(name, kind=kind, organisation="amber-council" if name == "own" else None), {}, SECONDS)
        for name, kind in SOURCES.items()
    }
    configured = [stood_in_for(each, StaleAnswers(SECONDS, clock=lambda: now[0])) for each in sources.values()]
    found: list[str] = []
    async with running_world(folder, *configured) as world:
        for seed in range(sequences):
            found += await faults_of(world, sources, now, seed)
            if until_found and found:
                break
    return found


async def test_nobody_is_told_anything_again_but_what_they_were_told_and_nobody_took_back(
    tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    found = await run(tmp_path, SEQUENCES)

    record_testsuite_property("sequences of lookups with stale answers", SEQUENCES)
    record_testsuite_property("lookups in them", SEQUENCES * STEPS)
    record_testsuite_property("told otherwise than the model says", len(found))
    record_testsuite_property("seeded defects, each found", len(DEFECTS))
    assert found == []


def test_the_sequences_tell_live_and_stale_entries_and_nothing() -> None:
    seen: set[tuple[bool, bool]] = set()
    for seed in range(SEQUENCES):
        model = Model()
        for step in steps(Random(f"stale:{seed}")):
            live, stale = model.take(step)
            seen.add((bool(live), bool(stale)))

    assert seen == {(False, False), (True, False), (True, True)}


# ------------------------------------------------------------------------------------------------- seeded defects

Seed = Callable[[pytest.MonkeyPatch], None]


def an_empty_answer_leaves_the_last_one_standing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(StaleAnswers, "hear", lambda self, child, said: None)
    keep = StaleAnswers.keep

    def only_positive(self: StaleAnswers, question: Question, rows: Any, *rest: Any) -> None:
        if rows:
            keep(self, question, rows, *rest)

    patch.setattr(StaleAnswers, "keep", only_positive)


def an_entry_that_is_gone_stays(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(StaleAnswers, "hear", lambda self, child, said: None)


def whoever_asks_is_told(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(StandIn, "_question", lambda self, source, _: Question(self._pseudonym, source.id))


def it_has_no_label(patch: pytest.MonkeyPatch) -> None:
    facts = StandIn._facts
    patch.setattr(StandIn, "_facts", lambda self, *of: replace(facts(self, *of), stale_as_of=None))


def it_counts_as_an_answer(patch: pytest.MonkeyPatch) -> None:
    stood_in = Gathering._stood_in

    def counted(self: Gathering, stand_in: StandIn) -> Any:
        rows = stood_in(self, stand_in)
        for name, outcome in self.outcomes.items() if rows else ():
            self.outcomes[name] = replace(outcome, status=SourceStatus.ANSWERED, reason=None)
        return rows

    patch.setattr(Gathering, "_stood_in", counted)


def it_never_grows_too_old(patch: pytest.MonkeyPatch) -> None:
    def found(self: StaleAnswers, question: Question) -> Stale | None:
        kept = self._kept.get(question)
        return None if kept is None else Stale(self._open(question, kept.sealed), kept.as_of)

    patch.setattr(StaleAnswers, "find", found)


def it_proves_what_facts_prove(patch: pytest.MonkeyPatch) -> None:
    facts = Gathering._facts
    patch.setattr(
        Gathering,
        "_facts",
        lambda self: facts(self) + (self.stand_in.facts(self.outcomes, shielded=False) if self.stand_in else []),
    )
    patch.setattr(Gathering, "_stood_in", lambda self, stand_in: [])


def it_outlives_a_shield(patch: pytest.MonkeyPatch) -> None:
    facts = StandIn.facts
    patch.setattr(StandIn, "facts", lambda self, outcomes, *, shielded: facts(self, outcomes, shielded=False))


DEFECTS: tuple[Seed, ...] = (
    an_empty_answer_leaves_the_last_one_standing,
    an_entry_that_is_gone_stays,
    whoever_asks_is_told,
    it_has_no_label,
    it_counts_as_an_answer,
    it_never_grows_too_old,
    it_proves_what_facts_prove,
    it_outlives_a_shield,
)


@pytest.mark.records_otherwise
@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.__name__)
async def test_a_defect_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, defect: Seed) -> None:
    defect(monkeypatch)

    assert await run(tmp_path, 25, until_found=True) != []
    settle()
