"""What every connector promises, whatever its source speaks. A driver joins through `cases.py`."""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from collections.abc import Mapping

import anyio
import httpx
import pytest

from connectors.base import Ask, Connector, Deadline, FieldMask
from connectors.faults import SourceFailed
from schema.identifiers import CRN, NHSNumber
from schema.records import AdultRef, Agency, Answer, Answered, ChildRef, NoAnswer, SubjectRef
from schema.sections import SECTIONS, section_fields
from schema.vocabulary import InvolvementRelationship, InvolvementStatus, PurposeClass, SourceReason
from tests.connectors.contract.cases import BASE_URL, Case, all_cases, networked_cases
from tests.connectors.contract.transports import (
    Recording,
    Silent,
    Unreachable,
    answering,
    failing_at,
    json_answering,
    unframed,
)

pytestmark = pytest.mark.anyio

every_case = pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.driver)
every_networked_case = pytest.mark.parametrize("case", networked_cases(), ids=lambda case: case.driver)

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
MAY_BE_SENT = {
    "host", "user-agent", "accept", "accept-encoding", "connection", "content-length", "content-type",
    "x-request-id", "x-request-timeout-ms", "traceparent", "x-purpose-class",
}  # fmt: skip


def an_ask(
    *, seconds: float = 5.0, purpose_class: PurposeClass = PurposeClass.SAFEGUARDING, silent: bool = False
) -> Ask:
    return Ask(str(uuid.uuid4()), TRACEPARENT, purpose_class, Deadline.after(seconds), asker=None, silent=silent)


def everything(connector: Connector) -> FieldMask:
    return FieldMask(connector.manifest.holds)


def identifier(subject: SubjectRef) -> str:
    return str(subject.nhs_number if isinstance(subject, ChildRef) else subject.identifier)


async def ask_about(
    case: Case, transport: httpx.AsyncBaseTransport, *subjects: SubjectRef
) -> Mapping[SubjectRef, Answer]:
    connector = case.connect(transport)
    try:
        return await connector.involvements(subjects, everything(connector), an_ask())
    finally:
        await connector.aclose()


# Whom an answer is about


@every_case
async def test_exactly_the_subjects_asked_about_are_answered(case: Case) -> None:
    subjects = (*case.held, case.not_held)

    answers = await ask_about(case, Recording(case.source), *subjects)

    assert set(answers) == set(subjects)
    assert all(answer.subject == subject for subject, answer in answers.items())
    assert all(isinstance(answer, Answered) for answer in answers.values())
    assert all(answers[subject].involvements for subject in case.held)  # type: ignore[union-attr]


@every_case
async def test_asking_about_nobody_answers_nobody_and_calls_nobody(case: Case) -> None:
    transport = Recording(case.source)

    assert await ask_about(case, transport) == {}
    assert transport.requests == []


@every_case
async def test_the_order_of_subjects_changes_no_answer(case: Case) -> None:
    subjects = (*case.held, case.not_held)

    forwards = await ask_about(case, Recording(case.source), *subjects)
    backwards = await ask_about(case, Recording(case.source), *reversed(subjects))

    assert dict(forwards) == dict(backwards)


@every_case
async def test_a_subject_asked_about_alone_gets_the_answer_it_gets_in_company(case: Case) -> None:
    together = await ask_about(case, Recording(case.source), *case.held, case.not_held)

    for subject in (*case.held, case.not_held):
        alone = await ask_about(case, Recording(case.source), subject)
        assert alone[subject] == together[subject]


@every_case
async def test_a_subject_of_the_wrong_kind_is_never_answered_empty(case: Case) -> None:
    connector = case.connect(Recording(case.source))
    strangers: list[SubjectRef] = [AdultRef(CRN("X999999")), ChildRef(NHSNumber("9990000018"))]
    wrong = [subject for subject in strangers if type(subject) not in connector.manifest.subjects]

    answers = await connector.involvements(wrong, everything(connector), an_ask())

    assert wrong
    assert all(isinstance(answers[subject], NoAnswer) for subject in wrong)


@every_case
async def test_empty_said_in_the_sources_own_way_is_an_answer_that_holds_nothing(case: Case) -> None:
    answer = (await ask_about(case, Recording(case.source), case.not_held))[case.not_held]

    assert isinstance(answer, Answered)
    assert answer.involvements == ()
    assert answer.trace is None
    assert answer.linked_adults == ()
    assert not answer.sections


@every_networked_case
async def test_the_record_of_somebody_else_is_never_taken_for_the_subjects(case: Case) -> None:
    subject = case.held[0]

    answer = (await ask_about(case, Recording(case.another), subject))[subject]

    if case.drops_others:
        assert isinstance(answer, Answered)
        assert (answer.involvements, answer.trace, answer.linked_adults) == ((), None, ())
        assert not answer.sections
    else:
        assert isinstance(answer, NoAnswer)
        assert answer.reason is SourceReason.INVALID_ANSWER


# Trouble is a value, and never reads as nobody

NOT_FOUND_HTML = b"<!doctype html><title>Not found</title>"
FAULTS = {
    "refuses-the-credentials": (answering(401, b"{}", "application/json"), {SourceReason.REFUSED}),
    "forbids": (answering(403, b"{}", "application/json"), {SourceReason.REFUSED}),
    "says-too-many": (answering(429, b"{}", "application/json"), {SourceReason.RATE_LIMITED}),
    "is-overloaded": (answering(503), {SourceReason.OVERLOADED}),
    "breaks": (answering(500, b"{}", "application/json"), {SourceReason.PROTOCOL}),
    "redirects": (answering(302, Location="http://169.254.169.254/"), {SourceReason.PROTOCOL}),
    "says-no-content": (answering(204), {SourceReason.PROTOCOL}),
    "answers-with-an-empty-body": (answering(200, b"", "application/json"), {SourceReason.PROTOCOL}),
    "is-not-found": (answering(404), {SourceReason.PROTOCOL}),
    "is-not-found-in-html": (answering(404, NOT_FOUND_HTML, "text/html"), {SourceReason.PROTOCOL}),
    "is-not-found-in-untyped-json": (json_answering("{}", 404), {SourceReason.PROTOCOL, SourceReason.INVALID_ANSWER}),
    "shows-a-sign-in-page": (answering(200, NOT_FOUND_HTML, "text/html"), {SourceReason.INVALID_ANSWER}),
    "does-not-frame-its-answer": (unframed, {SourceReason.PROTOCOL}),
    "compresses-unasked": (
        answering(200, b"x", "application/json", **{"Content-Encoding": "gzip"}),
        {SourceReason.PROTOCOL},
    ),
    "says-garbage": (answering(200, b"\x00\xff{", "application/json"), {SourceReason.INVALID_ANSWER}),
    "repeats-a-member": (json_answering('{"data": {}, "data": null}'), {SourceReason.INVALID_ANSWER}),
    "says-null": (json_answering("null"), {SourceReason.INVALID_ANSWER}),
    "says-an-empty-list": (json_answering("[]"), {SourceReason.INVALID_ANSWER}),
    "says-an-empty-object": (json_answering("{}"), {SourceReason.INVALID_ANSWER}),
    "says-empty-data": (json_answering('{"data": {}}'), {SourceReason.INVALID_ANSWER}),
    "says-null-data": (json_answering('{"data": null}'), {SourceReason.INVALID_ANSWER}),
    "says-an-error": (json_answering('{"data": null, "errors": [{"message": "no"}]}'), {SourceReason.INVALID_ANSWER}),
    "says-an-untyped-empty-bundle": (
        json_answering('{"resourceType": "Bundle", "type": "searchset"}'),
        {SourceReason.INVALID_ANSWER},
    ),
}  # fmt: skip
every_fault = pytest.mark.parametrize(
    ("fault", "reasons"), [pytest.param(*value, id=f"a-source-that-{name}") for name, value in FAULTS.items()]
)


@every_fault
@every_networked_case
async def test_a_source_in_trouble_gave_no_answer_about_anybody(case: Case, fault, reasons) -> None:  # type: ignore[no-untyped-def]
    subjects = (*case.held, case.not_held)

    answers = await ask_about(case, Recording(fault), *subjects)

    assert set(answers) == set(subjects)
    for answer in answers.values():
        assert isinstance(answer, NoAnswer)
        assert answer.reason in reasons


@every_networked_case
async def test_a_source_that_cannot_be_reached_gave_no_answer(case: Case) -> None:
    answers = await ask_about(case, Unreachable(), *case.held)

    assert {(type(answer), answer.reason) for answer in answers.values()} == {(NoAnswer, SourceReason.CONNECT)}  # type: ignore[union-attr]


SINGLE_FAULTS = {
    "overloaded": answering(503),
    "not-found": answering(404),
    "unframed": unframed,
    "an-empty-object": json_answering("{}"),
    "an-empty-list": json_answering("[]"),
}


@pytest.mark.parametrize("fault", [pytest.param(fault, id=name) for name, fault in SINGLE_FAULTS.items()])
@every_networked_case
async def test_one_failed_call_of_several_costs_the_whole_answer_and_never_a_part_of_it(case: Case, fault) -> None:  # type: ignore[no-untyped-def]
    subject = case.held[0]
    good = Recording(case.source)
    await ask_about(case, good, subject)

    for turn in range(len(good.requests)):
        flawed = Recording(failing_at(turn, fault, case.source))
        answer = (await ask_about(case, flawed, subject))[subject]
        assert isinstance(answer, NoAnswer), f"call {turn} of {len(good.requests)}: {flawed.requests[turn].url.path}"


@every_networked_case
async def test_trouble_about_one_subject_costs_no_other_subject_unless_they_share_a_call(case: Case) -> None:
    victim, *others = case.held

    def source(request: httpx.Request) -> httpx.Response:
        if identifier(victim) in str(request.url) + request.content.decode():
            return httpx.Response(503)
        return case.source(request)

    transport = Recording(source)
    connector = case.connect(transport)
    answers = await connector.involvements(case.held, everything(connector), an_ask())

    assert isinstance(answers[victim], NoAnswer)
    if not connector.manifest.can_batch:
        assert all(isinstance(answers[subject], Answered) for subject in others)


# Time and cancellation


@every_networked_case
async def test_a_silent_source_is_left_at_the_deadline(case: Case) -> None:
    connector = case.connect(Silent())

    with anyio.fail_after(2):
        answers = await connector.involvements(case.held, everything(connector), an_ask(seconds=0.05))

    assert {(type(answer), answer.reason) for answer in answers.values()} == {(NoAnswer, SourceReason.TIMEOUT)}  # type: ignore[union-attr]


@every_networked_case
async def test_a_deadline_already_spent_is_no_answer(case: Case) -> None:
    connector = case.connect(Recording(case.source))

    answers = await connector.involvements(case.held, everything(connector), an_ask(seconds=-1))

    assert {(type(answer), answer.reason) for answer in answers.values()} == {(NoAnswer, SourceReason.TIMEOUT)}  # type: ignore[union-attr]


@every_networked_case
async def test_an_ask_that_is_cancelled_leaves_nothing_running_and_nothing_held(case: Case) -> None:
    silent, good = Silent(), Recording(case.source)

    class Recovering(httpx.AsyncBaseTransport):
        now: httpx.AsyncBaseTransport = silent

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return await self.now.handle_async_request(request)

    transport = Recovering()
    connector = case.connect(transport)
    before = asyncio.all_tasks()
    for _ in range(40):  # more than any pool holds
        silent.waiting.clear()
        task = asyncio.create_task(connector.involvements(case.held, everything(connector), an_ask()))
        await silent.waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert asyncio.all_tasks() == before

    transport.now = good
    answers = await connector.involvements(case.held, everything(connector), an_ask())

    assert all(isinstance(answer, Answered) for answer in answers.values())


# What is asked


@every_networked_case
async def test_an_ask_carries_identifiers_purpose_class_and_request_id_and_nothing_else(case: Case) -> None:
    transport = Recording(case.source)
    connector = case.connect(transport)
    ask = an_ask(purpose_class=PurposeClass.LAW_ENFORCEMENT)

    await connector.involvements(case.held, everything(connector), ask)

    assert transport.requests
    for request in transport.requests:
        sent = request.headers
        assert str(request.url).startswith(BASE_URL)
        assert sent["x-request-id"] == ask.request_id
        assert sent["traceparent"] == TRACEPARENT
        assert sent["x-purpose-class"] == "LAW_ENFORCEMENT"
        assert sent["accept-encoding"] == "identity"
        if not connector.manifest.answers_depend_on_asker:
            assert set(sent) <= MAY_BE_SENT


@every_networked_case
async def test_a_silent_read_asks_for_silence_in_every_call_and_any_other_in_none(case: Case) -> None:
    silent, open_ = Recording(case.source), Recording(case.source)
    for transport, ask in ((silent, an_ask(silent=True)), (open_, an_ask())):
        connector = case.connect(transport)
        await connector.involvements(case.held, everything(connector), ask)

    assert len(silent.requests) == len(open_.requests)
    assert all(request.headers.get("x-access-notification") == "silent" for request in silent.requests)
    assert all(case.silences(request) for request in silent.requests)
    for request in open_.requests:
        assert b"silent" not in b"".join([request.url.raw_path, request.content, *map(b": ".join, request.headers.raw)])


@every_networked_case
async def test_nothing_outside_the_mask_is_asked_for(case: Case) -> None:
    for path, asks_for in case.asks_for.items():
        transport = Recording(case.source)
        connector = case.connect(transport)
        assert path in connector.manifest.holds

        without = FieldMask(connector.manifest.holds - {path})
        await connector.involvements(case.held, without, an_ask())
        assert not any(asks_for(request) for request in transport.requests), path

        # the negative control: with it, it is asked for
        await connector.involvements(case.held, everything(connector), an_ask())
        assert any(asks_for(request) for request in transport.requests), path


@every_case
async def test_nothing_outside_the_mask_is_told(case: Case) -> None:
    fields = {field.path: (declared.cls, field.name) for declared in SECTIONS.values() for field in declared.fields}
    connector = case.connect(Recording(case.source))
    for path in connector.manifest.holds:
        answers = await connector.involvements(case.held, FieldMask(frozenset({path})), an_ask())

        told: set[str] = set()
        for answer in answers.values():
            assert isinstance(answer, Answered)
            if any(row.status is InvolvementStatus.CURRENT for row in answer.involvements):
                told.add("involvements")
            if any(row.status is InvolvementStatus.PREVIOUS for row in answer.involvements):
                told.add("involvements.previous")
            told |= {
                name
                for name, (cls, field) in fields.items()
                if cls in answer.sections and getattr(answer.sections[cls], field) is not None
            }
        # what the source holds under that path is told, and nothing else
        assert told == {path}


# What is told


@every_case
async def test_rows_about_an_adult_say_so_and_carry_no_identity(case: Case) -> None:
    answers = await ask_about(case, Recording(case.source), *case.held)

    for subject, answer in answers.items():
        assert isinstance(answer, Answered)
        for row in answer.involvements:
            about_adult = row.relationship is InvolvementRelationship.LINKED_ADULT
            assert about_adult == isinstance(subject, AdultRef)
            if about_adult:
                assert row.identity is None
                assert answer.trace is None


@every_case
async def test_every_row_of_an_answer_has_a_key_of_its_own(case: Case) -> None:
    answers = await ask_about(case, Recording(case.source), *case.held)

    for answer in answers.values():
        assert isinstance(answer, Answered)
        keys = [row.local_id for row in answer.involvements]
        assert len(set(keys)) == len(keys)


@every_case
async def test_every_item_of_a_section_is_stamped_with_the_connectors_agency(case: Case) -> None:
    connector = case.connect(Recording(case.source))
    answers = await connector.involvements(case.held, everything(connector), an_ask())

    for answer in answers.values():
        assert isinstance(answer, Answered)
        for section in answer.sections.values():
            for name in type(section).__dataclass_fields__:  # type: ignore[attr-defined]
                told = getattr(section, name)
                for item in told if isinstance(told, tuple) else ():
                    stamp = getattr(item, "agency", None)
                    assert stamp is None or (isinstance(stamp, Agency) and stamp == connector.manifest.agency)


@every_case
async def test_every_field_of_a_section_is_told_but_for_what_the_source_has_no_word_for(case: Case) -> None:
    connector = case.connect(Recording(case.source))
    answers = await connector.involvements(case.held, everything(connector), an_ask())

    told: set[str] = set()
    for declared in SECTIONS.values():
        for field in declared.fields:
            for answer in answers.values():
                assert isinstance(answer, Answered)
                value = getattr(answer.sections.get(declared.cls), field.name, None)
                for item in value if field.item is not None and value else ():
                    told |= {f"{field.path}.{name}" for name in _names(item) if getattr(item, name) is not None}
    held = {
        f"{field.path}.{name}"
        for field in section_fields()
        if field.path in connector.manifest.holds and field.item is not None
        for name in _names(field.item)
    }
    assert held - told == case.not_published


def _names(item: object) -> tuple[str, ...]:
    return tuple(getattr(item, "__dataclass_fields__", ()))


@every_case
async def test_a_source_that_says_who_leads_is_heard_and_no_other_is_taken_to_say_so(case: Case) -> None:
    answers = await ask_about(case, Recording(case.source), *case.held)

    leads = [
        row for answer in answers.values() if isinstance(answer, Answered) for row in answer.involvements if row.lead
    ]
    assert bool(leads) is case.names_lead
    assert all(row.status is InvolvementStatus.CURRENT for row in leads)


@every_case
async def test_the_manifest_holds_only_paths_that_are_declared(case: Case) -> None:
    manifest = case.connect(Recording(case.source)).manifest
    declared = {"involvements", "involvements.previous"} | {field.path for field in section_fields()}

    assert manifest.holds <= declared
    assert "involvements" in manifest.holds
    assert manifest.subjects <= {ChildRef, AdultRef}
    assert manifest.driver == case.driver


# Silence: no identifier where it does not belong


@every_networked_case
async def test_no_identifier_or_name_stands_in_a_failure_a_repr_or_a_log(
    case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = [*(identifier(subject) for subject in case.held), *case.private]
    texts: list[str] = []
    for transport in (Recording(case.another), Recording(answering(503)), Unreachable()):
        connector = case.connect(transport)
        answers = await connector.involvements(case.held, everything(connector), an_ask())
        failures = [answer for answer in answers.values() if isinstance(answer, NoAnswer)]
        texts += [repr(failure) for failure in failures] + [repr(connector), repr(connector.manifest)]
        try:
            await connector.health(an_ask())
        except SourceFailed as failed:
            texts += [str(failed), repr(failed), repr(failed.__cause__)]

    assert all(re.fullmatch(r"[A-Z0-9_]{1,40}", answer.code) for answer in answers.values())  # type: ignore[union-attr]
    for text in [*texts, caplog.text]:
        assert not [secret for secret in secrets if secret in text]


# Health and shields


@every_case
async def test_the_health_call_of_a_source_that_is_well_says_so(case: Case) -> None:
    assert await case.connect(Recording(case.source)).health(an_ask()) is True


@every_fault
@every_networked_case
async def test_the_health_call_of_a_source_in_trouble_raises_its_reason(case: Case, fault, reasons) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SourceFailed) as failed:
        await case.connect(Recording(fault)).health(an_ask())

    assert failed.value.reason in reasons


@every_networked_case
async def test_the_health_call_keeps_the_deadline_and_names_no_subject(case: Case) -> None:
    with anyio.fail_after(5), pytest.raises(SourceFailed) as failed:
        await case.connect(Silent()).health(an_ask(seconds=0.05))
    assert failed.value.reason is SourceReason.TIMEOUT

    transport = Recording(case.source)
    await case.connect(transport).health(an_ask())
    asked = "".join(str(request.url) + request.content.decode() for request in transport.requests)
    assert not [subject for subject in (*case.held, case.not_held) if identifier(subject) in asked]


@every_case
async def test_the_list_of_shields_is_whole_or_said_not_to_exist(case: Case) -> None:
    shields = await case.connect(Recording(case.source)).shields(an_ask())

    assert shields is None or all(isinstance(number, NHSNumber) for number in shields)
