"""Negative controls: the contract is worth what it catches, so connectors with one flaw each are put through it."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import httpx
import pytest

from connectors import answers
from connectors.base import Ask, Connector, Deadline, FieldMask, Manifest
from connectors.faults import FaultCode, SourceFailed
from schema.identifiers import NHSNumber
from schema.records import Answer, Answered, NoAnswer, SubjectRef
from schema.sections import HealthRecord
from schema.vocabulary import SourceReason
from tests.connectors.contract import test_contract as contract
from tests.connectors.contract.cases import Case
from tests.connectors.contract.health_case import CASE

pytestmark = pytest.mark.anyio

Told = Mapping[SubjectRef, Answer]


class Flawed:
    """A connector around a good one."""

    def __init__(self, good: Connector) -> None:
        self.good = good

    @property
    def manifest(self) -> Manifest:
        return self.good.manifest

    async def involvements(self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask) -> Told:
        return await self.good.involvements(subjects, mask, ask)

    async def health(self, ask: Ask) -> bool:
        return await self.good.health(ask)

    async def shields(self, ask: Ask) -> frozenset[NHSNumber] | None:
        return await self.good.shields(ask)

    async def aclose(self) -> None:
        await self.good.aclose()


class ForgetsTheLastSubject(Flawed):
    async def involvements(self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask) -> Told:
        return await super().involvements(subjects[:-1], mask, ask)


class ReadsTroubleAsNobody(Flawed):
    async def involvements(self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask) -> Told:
        told = await super().involvements(subjects, mask, ask)
        return {s: answers.empty(s, shielded=None) if isinstance(a, NoAnswer) else a for s, a in told.items()}


class RaisesOnTrouble(Flawed):
    async def involvements(self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask) -> Told:
        told = await super().involvements(subjects, mask, ask)
        for answer in told.values():
            if isinstance(answer, NoAnswer):
                raise SourceFailed(next(code for code in FaultCode if code.value == answer.code))
        return told


class AsksForEverything(Flawed):
    async def involvements(self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask) -> Told:
        return await super().involvements(subjects, FieldMask(self.manifest.holds), ask)


class TakesItsTime(Flawed):
    async def involvements(self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask) -> Told:
        patient = dataclasses.replace(ask, deadline=Deadline(ask.deadline.at + 60))
        return await super().involvements(subjects, mask, patient)


class NamesTheChildInTheCode(Flawed):
    async def involvements(self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask) -> Told:
        told = await super().involvements(subjects, mask, ask)
        return {
            s: NoAnswer(s, a.reason, f"NO PATIENT {s.nhs_number}") if isinstance(a, NoAnswer) else a  # type: ignore[union-attr]
            for s, a in told.items()
        }


class MixesSubjectsUp(Flawed):
    async def involvements(self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask) -> Told:
        told = await super().involvements(subjects, mask, ask)
        return dict(zip(told, reversed(list(told.values())), strict=True))


class SwallowsCancellation(Flawed):
    async def involvements(self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask) -> Told:
        try:
            return await super().involvements(subjects, mask, ask)
        except BaseException:
            return {subject: NoAnswer(subject, SourceReason.TIMEOUT, "DEADLINE") for subject in subjects}


class MakesItselfHeard(Flawed):
    async def involvements(self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask) -> Told:
        return await super().involvements(subjects, mask, dataclasses.replace(ask, silent=False))


class IsAlwaysSilent(Flawed):
    async def involvements(self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask) -> Told:
        return await super().involvements(subjects, mask, dataclasses.replace(ask, silent=True))


class _Changes(Flawed):
    def changed(self, answer: Answered) -> Answered:
        raise NotImplementedError

    async def involvements(self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask) -> Told:
        told = await super().involvements(subjects, mask, ask)
        return {s: self.changed(a) if isinstance(a, Answered) else a for s, a in told.items()}


class ForgetsWhoLeads(_Changes):
    def changed(self, answer: Answered) -> Answered:
        rows = tuple(dataclasses.replace(row, lead=False) for row in answer.involvements)
        return dataclasses.replace(answer, involvements=rows)


class ForgetsTheTelephones(_Changes):
    def changed(self, answer: Answered) -> Answered:
        record = answer.sections.get(HealthRecord)
        if record is None:
            return answer
        flags = tuple(dataclasses.replace(flag, phone=None) for flag in record.safeguarding or ())  # type: ignore[attr-defined]
        sections = {**answer.sections, HealthRecord: dataclasses.replace(record, safeguarding=flags or None)}  # type: ignore[type-var]
        return dataclasses.replace(answer, sections=sections)


class IsAlwaysWell(Flawed):
    async def health(self, ask: Ask) -> bool:
        return True


FAULT = contract.FAULTS["is-overloaded"]
CATCHES: list[tuple[type[Flawed], Callable[..., Awaitable[None]], tuple[Any, ...]]] = [
    (ForgetsTheLastSubject, contract.test_exactly_the_subjects_asked_about_are_answered, ()),
    (MixesSubjectsUp, contract.test_exactly_the_subjects_asked_about_are_answered, ()),
    (ReadsTroubleAsNobody, contract.test_a_source_in_trouble_gave_no_answer_about_anybody, FAULT),
    (ReadsTroubleAsNobody, contract.test_the_record_of_somebody_else_is_never_taken_for_the_subjects, ()),
    (RaisesOnTrouble, contract.test_a_source_in_trouble_gave_no_answer_about_anybody, FAULT),
    (AsksForEverything, contract.test_nothing_outside_the_mask_is_asked_for, ()),
    (AsksForEverything, contract.test_nothing_outside_the_mask_is_told, ()),
    (TakesItsTime, contract.test_a_silent_source_is_left_at_the_deadline, ()),
    (SwallowsCancellation, contract.test_an_ask_that_is_cancelled_leaves_nothing_running_and_nothing_held, ()),
    (MakesItselfHeard, contract.test_a_silent_read_asks_for_silence_in_every_call_and_any_other_in_none, ()),
    (IsAlwaysSilent, contract.test_a_silent_read_asks_for_silence_in_every_call_and_any_other_in_none, ()),
    (ForgetsWhoLeads, contract.test_a_source_that_says_who_leads_is_heard_and_no_other_is_taken_to_say_so, ()),
    (
        ForgetsTheTelephones,
        contract.test_every_field_of_a_section_is_told_but_for_what_the_source_has_no_word_for,
        (),
    ),
    (IsAlwaysWell, contract.test_the_health_call_of_a_source_in_trouble_raises_its_reason, FAULT),
]


def flawed(flaw: type[Flawed]) -> Case:
    def connect(transport: httpx.AsyncBaseTransport) -> Flawed:
        return flaw(CASE.connect(transport))

    return dataclasses.replace(CASE, connect=connect)


@pytest.mark.parametrize(
    ("flaw", "test", "more"),
    [pytest.param(*row, id=f"{row[0].__name__}-{row[1].__name__.removeprefix('test_')}") for row in CATCHES],
)
async def test_a_connector_with_this_flaw_does_not_pass(
    flaw: type[Flawed], test: Callable[..., Awaitable[None]], more: tuple[Any, ...]
) -> None:
    await test(CASE, *more)  # the good one does

    with pytest.raises((AssertionError, SourceFailed, TimeoutError, pytest.fail.Exception)):
        await test(flawed(flaw), *more)


async def test_a_connector_that_names_the_child_in_a_code_does_not_pass(caplog: pytest.LogCaptureFixture) -> None:
    test = contract.test_no_identifier_or_name_stands_in_a_failure_a_repr_or_a_log
    await test(CASE, caplog)

    with pytest.raises(AssertionError):
        await test(flawed(NamesTheChildInTheCode), caplog)
