"""Many askers, one call, while sources do wrong: what each of those who share a call must be told.

A fault of the way there or of the whole reply (`Deed.body` None) happens to the call; any other stands in what the
source says of one child, among what it says of the others. Every group of askers comes to a source at one moment and in
one order, so that they do share its call; what each is told is compared with rules written here, by nobody else's code.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from connectors import answers
from connectors.base import Ask, FieldMask
from connectors.batches import ask_children
from connectors.faults import FaultCode, SourceFailed
from connectors.retries import Attempt
from gateway.federation.batching import Said
from gateway.federation.upstream import Upstream
from schema.identifiers import NHSNumber
from schema.records import Answer, ChildRef, SubjectRef
from schema.vocabulary import SourceReason
from tests.faults.connecting import Envelope, RigConnector, told_of
from tests.faults.matrix import DEEDS, WELL, Deed, Misbehaving, envelope
from tests.faults.rig import MOST_ASKED, Rig, unrecorded
from tests.fixtures.fault_server import Received, response
from tests.fixtures.world import Told

ASKERS = 4

Doing = Mapping[tuple[str, int], str]  # source and asker -> what the source does about the asker's child


class _Envelopes(msgspec.Struct, forbid_unknown_fields=True):
    complete: bool
    count: int
    results: list[Envelope]


class SharingConnector(RigConnector):
    """Asks about several children in one call, as the shipped drivers of forces and authorities do."""

    can_batch = True

    async def involvements(
        self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask
    ) -> Mapping[SubjectRef, Answer]:
        async def fetch(children: Sequence[ChildRef], attempt: Attempt) -> Mapping[SubjectRef, Answer]:
            numbers = [str(child.nhs_number) for child in children]
            assert isinstance(self.doing, Sharing)
            reply = await self.ways[self.doing.of_the_call(numbers).way].request(
                "POST",
                "/children",
                json={"nhsNumbers": numbers},
                separable=len(children) > 1,
                attempt=attempt,
                deadline=ask.deadline,
                request_id=ask.request_id,
                decode=_Envelopes,
            )
            return _sorted_out(children, reply.json)

        return await ask_children(subjects, self.manifest, fetch, self.ways["good"].retries, ask)


def _sorted_out(children: Sequence[ChildRef], told: _Envelopes) -> dict[SubjectRef, Answer]:
    by_number = {result.nhs_number: result for result in told.results}
    if not set(by_number) <= {child.nhs_number for child in children}:
        raise SourceFailed(FaultCode.MISMATCH)
    if not told.complete or not told.count == len(told.results) == len(children) == len(by_number):
        raise SourceFailed(FaultCode.SCHEMA)
    found: dict[SubjectRef, Answer] = {}
    for child in children:
        try:
            found[child] = told_of(child, by_number[child.nhs_number])
        except SourceFailed as failure:
            found[child] = answers.no_answer(child, failure)
    return found


class Sharing(Misbehaving):
    """What one source does when it is asked about several children at once; it remembers who shared each call."""

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.calls: list[tuple[str, ...]] = []
        self.comes: Callable[[], object] = lambda: None  # called when a call has come, before it is answered

    def of_the_call(self, children: Sequence[str]) -> Deed:
        """Return what is done to a call about these children as a whole: WELL if nothing is."""
        return next((deed for deed in map(self._now, children) if deed.body is None), WELL)

    def _done_here(self, children: Sequence[str]) -> Deed:
        # a call that came went neither astray nor to a stranger
        return next((deed for deed in map(self._now, children) if deed.body is None and deed.way == "good"), WELL)

    def _now(self, child: str) -> Deed:
        deed = self.deeds.get(child, WELL)
        return WELL if deed.once and self.asked.get(child, 0) > 0 else deed

    async def __call__(self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        children = json.loads(request.body)["nhsNumbers"]
        whole = self._done_here(children)
        says = [(self._now(child).body or envelope)(self.source, child) for child in children]
        for child in children:
            self.asked[child] = self.asked.get(child, 0) + 1
        self.calls.append(tuple(children))
        self.comes()
        await asyncio.sleep(max(self.delays.get(child, 0.0) for child in children))
        if whole.body is None:
            await whole.answer(self.source, children[0], 0)(request, reader, writer)
            return
        results = [_named(self.source, child, said) for child, said in zip(children, says, strict=True)]
        body = {"complete": True, "count": len(results), "results": results}
        writer.write(response(json.dumps(body, separators=(",", ":")).encode()))
        await writer.drain()


def worker(source: str, child: str) -> str:
    """Return the name of the one who works with a child at a source: nobody else's child has this one."""
    return f"Worker {source} {child}"


def _named(source: str, child: str, said: Any) -> Any:
    if isinstance(said, dict):
        for row in said.get("involvements", ()):
            row["name"] = row["name"].replace(f"Worker {source} 0", worker(source, child))
    return said


class Together(Upstream):
    """Lets nobody in before all of a group have come, and then all in the group's order: so they share a call."""

    group: tuple[str, ...] = ()
    _come: dict[str, asyncio.Future[None]]

    def gather(self, group: Sequence[str]) -> None:
        """Wait for those who ask about these children."""
        self.group, self._come = tuple(group), {}

    async def involvements(
        self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask, *, alone: bool = False
    ) -> Said:
        if not self.group:
            return await super().involvements(subjects, mask, ask, alone=alone)
        (subject,) = subjects
        assert isinstance(subject, ChildRef)
        loop = asyncio.get_running_loop()
        self._come[subject.nhs_number] = gate = loop.create_future()
        if len(self._come) == len(self.group):
            loop.call_soon(self._let_in)  # and not at once, which would put the last before all others
        await gate
        return await super().involvements(subjects, mask, ask, alone=alone)

    def _let_in(self) -> None:
        for child in self.group:
            if not self._come[child].done():
                self._come[child].set_result(None)


def reasons(deeds: Sequence[Deed]) -> list[set[SourceReason | None]]:
    """Return what each of those may be told who share a call of which the source does this; None: it has answered."""
    if len(deeds) == 1:
        return [{deeds[0].reason}]
    whole = next((deed for deed in deeds if deed.body is None), None)
    if whole is not None and whole.once and whole.comes_back:
        # the call is made again, and not a third time: whatever becomes of it then is told to all
        left = [WELL if deed is whole or deed.way != "good" else deed for deed in deeds]
        failing = next((deed for deed in left if deed.body is None), None) or next(
            (deed for deed in left if deed.unreadable or deed.code is FaultCode.MISMATCH), None
        )
        return [{deed.reason} if failing is None else {failing.reason} for deed in left]
    if whole is None and not any(deed.unreadable for deed in deeds):
        whole = next((deed for deed in deeds if deed.code is FaultCode.MISMATCH), None)
    if whole is not None and whole.speaks_for_all:
        return [{whole.reason} for _ in deeds]
    # asked about alone, if not readable together: one of whom the source says nothing takes no time from the others
    return [{deed.reason} for deed in deeds]


@dataclass
class Group:
    """Askers who ask about a child each, at one moment, while sources do wrong."""

    rig: Rig
    doing: Doing
    leaves: int | None = None  # the client of this asker goes away when the sources have been asked
    prefer: Mapping[int, int] = field(default_factory=dict)  # the seconds that an asker waits
    delay: float = 0.0  # of every source
    children: list[NHSNumber] = field(default_factory=list)

    async def findings(self) -> list[str]:
        """Return what is wrong with what they are told, nothing if all is right."""
        found = await self._findings()
        if any(late in each for each in found for late in ("TIMEOUT", "CONNECT")):
            # a busy machine makes a good source late; that is not what is looked for, and does not happen twice
            self.rig.again += 1
            found = await self._findings()
        return found

    async def _findings(self) -> list[str]:
        told = await self.told()
        wanted = {source: reasons([self._deed(source, n) for n in range(ASKERS)]) for source in self.rig.doing}
        found = [f"asker {n}: {each}" for n, data in told.items() for each in self._wrong(n, data, wanted)]
        for source, doing in self.rig.doing.items():
            assert isinstance(doing, Sharing)
            calls = [call for call in doing.calls if set(call) & set(self.children)]
            reached = all(self._deed(source, n).way == "good" for n in range(ASKERS))
            if reached and (not calls or calls[0] != tuple(self.children)):
                found.append(f"{source} was not asked in one call")
            found += [
                f"{source} was asked {doing.asked[c]} times about one child"
                for c in self.children
                if doing.asked.get(c, 0) > MOST_ASKED
            ]
        return found

    async def told(self) -> dict[int, dict[str, Any]]:
        """Return the data that each asker got whose client stayed."""
        self.children = [self.rig.child() for _ in range(ASKERS)]
        for source, doing in self.rig.doing.items():
            for n, child in enumerate(self.children):
                doing.deeds[child], doing.delays[child] = self._deed(source, n), self.delay
        for source in self.rig.world.gateway.sources:
            assert isinstance(source.upstream, Together)
            source.upstream.gather(self.children)
        tasks = [asyncio.create_task(self._ask(n)) for n in range(ASKERS)]
        for doing in self.rig.doing.values():
            assert isinstance(doing, Sharing)
            doing.comes = (lambda: None) if self.leaves is None else tasks[self.leaves].cancel
        answered = await asyncio.gather(*tasks, return_exceptions=True)
        told: dict[int, dict[str, Any]] = {}
        for n, answer in enumerate(answered):
            if isinstance(answer, Told):
                told[n] = answer.child
            elif not isinstance(answer, asyncio.CancelledError) or n != self.leaves:
                assert isinstance(answer, BaseException)
                raise answer
        return told

    async def _ask(self, asker: int) -> Told:
        headers = self.rig.signed_in(f"asker-{asker}")
        if asker in self.prefer:
            headers = headers | {"Prefer": f"wait={self.prefer[asker]}"}
        self.rig.made += 1
        return await self.rig.world.ask(self.children[asker], headers=headers)

    def _deed(self, source: str, asker: int) -> Deed:
        name = self.doing.get((source, asker))
        return WELL if name is None else DEEDS[name]

    def _wrong(
        self, asker: int, data: Mapping[str, Any], wanted: Mapping[str, Sequence[set[SourceReason | None]]]
    ) -> list[str]:
        found = []
        answered = set()
        for line in data["sources"]:
            source, reason = line["agency"]["id"], line["reason"]
            if line["status"] == "ANSWERED":
                answered.add(source)
            if (line["status"] == "ANSWERED") != (reason is None) or reason not in wanted[source][asker]:
                may = sorted(str(each) for each in wanted[source][asker])
                found.append(f"{source} is {line['status']} {reason}, not {may}")
        complete = answered == set(self.rig.doing)
        if data["complete"] != complete or data["outcome"] != ("DISCLOSED" if complete else "INCOMPLETE"):
            found.append(f"{data['outcome']}, complete {data['complete']}, with {sorted(answered)} answered")
        told = sorted(entry["practitioner"]["name"] for entry in data["involvements"])
        rows = sorted(
            worker(source, self.children[asker]) for source in answered for _ in range(self._deed(source, asker).rows)
        )
        if told != rows:
            found.append(f"practitioners are {told}, not {rows}")
        return found


async def settled(rig: Rig) -> list[str]:
    """Return what is wrong with the records of all lookups, once those have ended whose clients are gone."""
    for _ in range(60):
        if not unrecorded(rig):
            break
        await asyncio.sleep(0.05)
    return unrecorded(rig)
