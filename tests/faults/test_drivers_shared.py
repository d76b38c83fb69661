"""Several askers in one call through the shipped drivers that take several children: each is told its own.

An agency does wrong about one of the children, or about two; what the others are told is compared with what they were
told when nobody asked beside them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Container, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from connectors.police import mapping as police
from gateway.demo.agencies.faults import Fault
from gateway.demo.people import Child
from gateway.federation.upstream import Upstream
from schema.records import ChildRef
from schema.vocabulary import SourceReason
from tests.faults.drivers import LEARNS, Drivers, families, running_drivers
from tests.faults.rig import unrecorded
from tests.faults.sharing import ASKERS, Together
from tests.faults.test_shared_calls import spread_to_all, wrong_asker

pytestmark = pytest.mark.network

SHARING: Final = ("cs", "police")
_PROTOCOL, _INVALID = SourceReason.PROTOCOL, SourceReason.INVALID_ANSWER
#: what may be one child's trouble, and how it reads for that child
OF_ONE_CHILD: Mapping[Fault, SourceReason] = {
    Fault.SERVER_ERROR: _PROTOCOL,
    Fault.BARE_NOT_FOUND: _PROTOCOL,
    Fault.REDIRECT: _PROTOCOL,
    Fault.EMPTY_BODY: _PROTOCOL,
    Fault.UNAVAILABLE: SourceReason.OVERLOADED,  # it does not say when to come back
    Fault.MALFORMED: _INVALID,
    Fault.WRONG_MEDIA_TYPE: _INVALID,
    Fault.WRONG_SHAPE: _INVALID,
}
#: what is the source's own trouble, whoever is asked about, and reads so for all who share the call
OF_ALL: Mapping[Fault, SourceReason] = {
    Fault.TOO_MANY_REQUESTS: SourceReason.RATE_LIMITED,
    Fault.UNAUTHORISED: SourceReason.REFUSED,
    Fault.FORBIDDEN: SourceReason.REFUSED,
    Fault.DRIP: SourceReason.TIMEOUT,
}
Does = Mapping[int, Fault]  # about whose child the agency does what
Reasons = Sequence[SourceReason | None]


@dataclass
class Askers:
    """A gateway over the shipped drivers, and people who ask it about a child each at one moment."""

    rig: Drivers
    children: list[Child] = field(default_factory=list)
    usual: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    async def learn(self) -> None:
        """Find children with whom somebody of each sharing agency works, and note what is told when they are alone."""
        for child in (child for child in families().children if child.police is not None and child.councils):
            for _ in range(LEARNS):
                self._gather([child])
                told = await self._ask(len(self.children), child)
                if told["complete"]:
                    break
            if {source for source, _ in _entries(told, ())} >= set(SHARING):
                self.children.append(child)
                self.usual[child.nhs_number] = told
            if len(self.children) == ASKERS:
                return
        raise AssertionError("there are too few such children")

    async def findings(self, source: str, does: Does, wanted: Reasons) -> list[str]:
        """Return what is wrong with what they are told while a source does this, nothing if all is right."""
        found = await self._findings(source, does, wanted)
        if any("TIMEOUT" in each for each in found):
            found = await self._findings(source, does, wanted)  # a busy machine makes a good source late, but not twice
        return found

    async def _findings(self, source: str, does: Does, wanted: Reasons) -> list[str]:
        for between in self.rig.between.values():
            between.agency.state.faults.clear()
            between.asked.clear()
        # of two, the first of them is what a call about both meets: the last one set counts
        for number, fault in reversed(list(does.items())):
            self.rig.between[source].agency.state.faults.set(fault, subjects=[self.children[number].nhs_number])
        self._gather(self.children)
        told = await asyncio.gather(*(self._ask(number, child) for number, child in enumerate(self.children)))
        found = []
        for number, (child, data) in enumerate(zip(self.children, told, strict=True)):
            usual, reason = self.usual[child.nhs_number], wanted[number]
            lines = {line["agency"]["id"]: line["reason"] for line in data["sources"]}
            # the probation service is asked about the adults whom children's services name
            spoilt = {source, "probation"} if source == "cs" and reason else {source} if reason else set()
            found += [
                f"asker {number}: {each} says {said}, not {reason if each in spoilt else None}"
                for each, said in lines.items()
                if said != (reason if each in spoilt else None)
            ]
            if _entries(data, ()) != _entries(usual, spoilt):
                found.append(f"asker {number}: practitioners are {_entries(data, ())}, not {_entries(usual, spoilt)}")
        for sharing in SHARING:
            asked = self.rig.between[sharing].asked
            if not any(all(str(c.nhs_number).encode() in body for c in self.children) for _, body in asked):
                found.append(f"{sharing} was not asked in one call")
        return found + [each for sharing in SHARING for each in self.rig.between[sharing].too_often()]

    def _gather(self, children: Sequence[Child]) -> None:
        for source in self.rig.world.gateway.sources:
            if isinstance(source.upstream, Together):
                source.upstream.gather([child.nhs_number for child in children])

    async def _ask(self, number: int, child: Child) -> Mapping[str, Any]:
        answer = await self.rig.world.ask(
            child.nhs_number, born=child.date_of_birth, family=child.current_name.family, sub=f"asker-{number}"
        )
        self.rig.made += 1
        return answer.child


def _entries(data: Mapping[str, Any], without: Container[str]) -> list[tuple[str, str]]:
    """Return who is told, but for those of some sources: the ids are those of this asker, for this child."""
    return sorted(
        (entry["agency"]["id"], entry["id"]) for entry in data["involvements"] if entry["agency"]["id"] not in without
    )


def _asks(connector: Any, **how: Any) -> Upstream:
    manifest = connector.manifest
    return (Together if manifest.can_batch and ChildRef in manifest.subjects else Upstream)(connector, **how)


@asynccontextmanager
async def running_askers() -> AsyncIterator[Askers]:
    """Start the agencies, the gateway and the askers."""
    async with running_drivers(_asks) as rig:
        askers = Askers(rig)
        await askers.learn()
        yield askers


async def tried(*cases: tuple[str, Does, Reasons]) -> list[str]:
    """Return what is wrong in any of the cases."""
    async with running_askers() as askers:
        found = [
            f"{source} {dict(does)}: {each}"
            for source, does, reasons in cases
            for each in (await askers.findings(source, does, reasons))
        ]
        return found + unrecorded(askers.rig)


def but(number: int, reason: SourceReason) -> list[SourceReason | None]:
    """Return that all are answered but one."""
    return [reason if n == number else None for n in range(ASKERS)]


WELL: Final[Reasons] = [None] * ASKERS


@pytest.mark.parametrize("source", SHARING)
def test_each_who_shares_a_call_of_a_shipped_driver_is_told_of_their_own_child(
    source: str, record_testsuite_property: Callable[[str, object], None]
) -> None:
    of_one = [
        (source, {place % ASKERS: f}, but(place % ASKERS, r)) for place, (f, r) in enumerate(OF_ONE_CHILD.items())
    ]
    of_all: list[tuple[str, Does, Reasons]] = [(source, {1: f}, [r] * ASKERS) for f, r in OF_ALL.items()]

    found = asyncio.run(tried((source, {}, WELL), *of_one, *of_all))

    record_testsuite_property(f"{source}: askers who share each call of its driver", ASKERS)
    record_testsuite_property(f"{source}: what goes wrong in such a call for one child", len(of_one))
    record_testsuite_property(f"{source}: what goes wrong in such a call for all", len(of_all))
    record_testsuite_property(f"{source}: wrong among those who share", len(found))
    assert found == []


@pytest.mark.parametrize("source", SHARING)
def test_a_child_of_whom_an_agency_says_nothing_costs_nobody_else_an_answer(source: str) -> None:
    reasons = [_PROTOCOL, SourceReason.TIMEOUT, None, None]

    assert asyncio.run(tried((source, {0: Fault.SERVER_ERROR, 1: Fault.DRIP}, reasons))) == []


def takes_the_next_ones_answer(patch: pytest.MonkeyPatch) -> None:
    """The force's results are read as if they stood in another order."""
    answers_of = police.answers_of

    def shifted(*what: Any, **how: Any) -> Any:
        found = answers_of(*what, **how)
        said = list(found.values())
        return dict(zip(found, [*said[1:], said[0]], strict=True))

    patch.setattr(police, "answers_of", shifted)


@pytest.mark.parametrize(
    ("defect", "does", "wanted"),
    [
        pytest.param(wrong_asker, {}, WELL, id="answer-given-to-the-wrong-asker"),
        pytest.param(takes_the_next_ones_answer, {}, WELL, id="answer-read-as-another-childs"),
        pytest.param(spread_to_all, {2: Fault.SERVER_ERROR}, but(2, _PROTOCOL), id="one-childs-fault-spread-to-all"),
    ],
)
def test_a_defect_of_sharing_through_a_shipped_driver_is_found(
    defect: Callable[[pytest.MonkeyPatch], None], does: Does, wanted: Reasons, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def found() -> list[str]:
        async with running_askers() as askers:
            defect(monkeypatch)
            return await askers.findings("police", does, wanted)

    assert asyncio.run(found()) != []
