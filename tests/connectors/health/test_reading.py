"""What the health connector makes of particular answers: one flaw or one feature each."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import date
from typing import Any

import httpx
import pytest

from connectors.base import Ask, Deadline, FieldMask
from connectors.health.section import HOLDS
from schema.records import Answer, Answered, Involvement, NoAnswer
from schema.sections import ChildIdentity, HealthRecord, Registered, SafeguardingFlag
from schema.vocabulary import (
    ContactMode,
    DisclosureBasis,
    InvolvementStatus,
    PurposeClass,
    Sensitivity,
    SourceReason,
)
from tests.connectors.contract import health_case as fake
from tests.connectors.contract.transports import Recording

pytestmark = pytest.mark.anyio

CHILD = fake.HELD[0]
NUMBER = str(CHILD.nhs_number)
OTHER = str(fake.HELD[1].nhs_number)
CURRENT_ONLY = FieldMask(frozenset({"involvements"}))

Resources = dict[str, Any]


async def answer_of(transport: httpx.AsyncBaseTransport, mask: FieldMask = CURRENT_ONLY) -> Answer:
    connector = fake.connect(transport)
    ask = Ask(str(uuid.uuid4()), None, PurposeClass.SAFEGUARDING, Deadline.after(5), asker=None)
    return (await connector.involvements([CHILD], mask, ask))[CHILD]


async def ask(mask: FieldMask = CURRENT_ONLY, **said: Any) -> Answer:
    """Ask a source that says these resources by path (`Patient`, `CareTeam`, ...); the rest as the good source does."""

    def source(request: httpx.Request) -> httpx.Response:
        kind = request.url.path.removeprefix("/api/").split("/")[0]
        resource = said.get(kind)
        return fake.source(request) if resource is None else fake.fhir(resource)

    return await answer_of(Recording(source), mask)


async def rows(**said: Any) -> tuple[Involvement, ...]:
    answer = await ask(**said)
    assert isinstance(answer, Answered), answer
    return answer.involvements


async def refused(**said: Any) -> str:
    answer = await ask(mask=FieldMask(HOLDS), **said)
    assert isinstance(answer, NoAnswer), answer
    assert answer.reason is SourceReason.INVALID_ANSWER
    return answer.code


def team(**changed: Any) -> Resources:
    included = (fake.practitioner_role(), fake.practitioner())
    return fake.bundle(fake.care_team(NUMBER, **changed), included=included)


NO_EPISODES = fake.bundle()


# Who is meant


SUBJECTS = {
    "nobody": {},
    "somebody-else-by-number": {"identifier": {"system": fake.NHS, "value": OTHER}},
    "somebody-else-by-reference": {"reference": f"Patient/{OTHER}"},
    "two-people-at-once": {"identifier": {"system": fake.NHS, "value": NUMBER}, "reference": f"Patient/{OTHER}"},
    "a-local-id-alone": {"reference": "Patient/local-7"},
    "a-number-of-another-system": {"identifier": {"system": "https://hospital.example/id", "value": NUMBER}},
    "another-server's-patient": {"reference": f"https://other.example/Patient/{NUMBER}"},
}


@pytest.mark.parametrize("subject", [pytest.param(value, id=name) for name, value in SUBJECTS.items()])
async def test_a_care_team_that_does_not_say_it_is_about_the_child_is_refused(subject: Resources) -> None:
    assert await refused(CareTeam=fake.bundle(fake.care_team(NUMBER, subject=subject))) == "MISMATCH"
    assert await refused(EpisodeOfCare=fake.bundle(fake.episode(NUMBER, patient=subject))) == "MISMATCH"
    assert await refused(Flag=fake.bundle(fake.flag(NUMBER, subject=subject))) == "MISMATCH"


async def test_a_local_id_is_believed_when_the_patient_with_its_number_comes_along() -> None:
    along = {**fake.patient(NUMBER), "id": "local-7"}
    bundle = fake.bundle(fake.care_team(NUMBER, subject={"reference": "Patient/local-7"}), included=(along,))

    assert await rows(CareTeam=bundle, EpisodeOfCare=NO_EPISODES)


async def test_a_patient_whose_id_and_number_disagree_is_refused() -> None:
    wrong = {**fake.patient(NUMBER), "identifier": [{"system": fake.NHS, "value": OTHER}]}
    assert await refused(Patient=wrong) == "MISMATCH"


async def test_a_superseding_patient_who_does_not_answer_as_itself_is_refused() -> None:
    third = str(fake.HELD[2].nhs_number)

    def source(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(f"/Patient/{NUMBER}"):
            return fake.fhir(fake.patient(OTHER))
        if request.url.path.endswith(f"/Patient/{OTHER}"):
            return fake.fhir(fake.patient(third))
        return fake.source(request)

    answer = await answer_of(Recording(source))

    assert isinstance(answer, NoAnswer)
    assert answer.code == "MISMATCH"


async def test_rows_found_under_the_superseding_number_are_added_and_the_old_number_stays_the_subject() -> None:
    transport = Recording(
        lambda request: (
            fake.fhir(fake.patient(OTHER)) if request.url.path.endswith(f"/Patient/{NUMBER}") else fake.source(request)
        )
    )

    answer = await answer_of(transport)

    assert isinstance(answer, Answered)
    assert answer.subject == CHILD
    assert {row.local_id.split("/")[1] for row in answer.involvements} == {"ct-new-018", "ct-new-026"}
    traced = [r.url.path for r in transport.requests if r.method == "GET"]
    assert traced == [f"/api/Patient/{NUMBER}", f"/api/Patient/{OTHER}"]


# The trace


async def test_current_former_and_alias_names_all_prove_and_the_current_one_comes_first() -> None:
    names = [
        {"use": "old", "family": "Hart", "given": ["Ada"]},
        {"use": "temp", "family": "Amis-Hart"},
        {"use": "usual", "family": "Amis", "given": ["Ada", "Jo"]},
    ]
    answer = await ask(mask=FieldMask(HOLDS), Patient=fake.patient(NUMBER, name=names))

    assert isinstance(answer, Answered)
    assert answer.trace is not None
    assert answer.trace.family_names == ("Amis", "Hart", "Amis-Hart")
    identity = answer.sections[ChildIdentity]
    assert (identity.family_name, identity.given_names) == ("Amis", ("Ada", "Jo"))  # type: ignore[attr-defined]


@pytest.mark.parametrize("born", ["2015", "2015-04", None])
async def test_a_birth_date_that_is_not_a_day_proves_nothing_and_costs_no_row(born: str | None) -> None:
    answer = await ask(Patient=fake.patient(NUMBER, birthDate=born))

    assert isinstance(answer, Answered)
    assert answer.trace is None
    assert answer.involvements


@pytest.mark.parametrize("died", ["2026-01-02T00:00:00+00:00", "2026-01-02T00:00:00", "2026-01-02", "2026-01", "2026"])
async def test_a_death_is_read_in_every_published_form_and_rows_keep_the_status_the_source_states(died: str) -> None:
    answer = await ask(mask=FieldMask(HOLDS), Patient=fake.patient(NUMBER, deceasedDateTime=died))

    assert isinstance(answer, Answered)
    assert {row.status for row in answer.involvements} == {InvolvementStatus.CURRENT, InvolvementStatus.PREVIOUS}


@pytest.mark.parametrize(
    ("code", "shielded"), [("U", False), ("N", False), ("R", True), ("V", True), ("REDACTED", True), ("X", True)]
)
@pytest.mark.parametrize("system", [fake.CONFIDENTIALITY, "https://www.hl7.org/fhir/valueset-security-labels.html"])
async def test_a_restricted_patient_or_one_with_a_label_that_is_not_known_is_shielded(
    system: str, code: str, shielded: bool
) -> None:
    answer = await ask(Patient=fake.patient(NUMBER, meta={"security": [{"system": system, "code": code}]}))

    assert isinstance(answer, Answered)
    assert answer.shielded is shielded


async def test_a_patient_without_a_label_neither_sets_nor_lifts_a_shield() -> None:
    answer = await ask(Patient=fake.patient(NUMBER, meta={}))

    assert isinstance(answer, Answered)
    assert answer.shielded is None


async def test_rows_held_for_a_number_that_the_trace_does_not_know_are_told_without_proof() -> None:
    def source(request: httpx.Request) -> httpx.Response:
        traced = request.url.path.startswith("/api/Patient")
        return fake.fhir(fake.not_found("INVALIDATED_RESOURCE"), 404) if traced else fake.source(request)

    answer = await answer_of(Recording(source))

    assert isinstance(answer, Answered)
    assert (answer.trace, answer.shielded) == (None, None)
    assert answer.involvements


@pytest.mark.parametrize("code", ["RESOURCE_NOT_FOUND_ELSEWHERE", "ACCESS_DENIED", "UNSUPPORTED_SERVICE"])
async def test_a_404_of_another_type_is_no_answer(code: str) -> None:
    def source(request: httpx.Request) -> httpx.Response:
        traced = request.url.path.startswith("/api/Patient")
        return fake.fhir(fake.not_found(code), 404) if traced else fake.source(request)

    answer = await answer_of(Recording(source))

    assert isinstance(answer, NoAnswer)
    assert (answer.reason, answer.code) == (SourceReason.PROTOCOL, "NOT_FOUND_BARE")


# Pages


def pages(*urls: str, total: int | None = None) -> Callable[[httpx.Request], httpx.Response]:
    """Return a source whose search for care teams has a page at each URL, one care team a page."""
    counted = len(urls) + 1 if total is None else total

    def source(request: httpx.Request) -> httpx.Response:
        if not request.url.path.startswith("/api/CareTeam") and "page" not in str(request.url):
            return fake.source(request)
        here = urls.index(str(request.url)) + 1 if request.method == "GET" else 0
        link = [{"relation": "next", "url": urls[here]}] if here < len(urls) else []
        team = fake.care_team(NUMBER, id=f"ct-{here}")
        return fake.fhir(fake.bundle(team, link=link, total=counted))

    return source


async def test_every_page_is_read() -> None:
    urls = [f"https://source.example/api/CareTeam?page={number}" for number in (1, 2)]

    answer = await answer_of(Recording(pages(*urls)))

    assert isinstance(answer, Answered)
    assert {row.local_id.split("/")[1] for row in answer.involvements} >= {"ct-0", "ct-1", "ct-2"}


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://evil.example/api/CareTeam?page=1", id="another-host"),
        pytest.param("http://source.example/api/CareTeam?page=1", id="without-tls"),
        pytest.param("https://source.example:8443/api/CareTeam?page=1", id="another-port"),
        pytest.param("https://source.example.evil.example/api/CareTeam?page=1", id="a-host-that-starts-alike"),
        pytest.param("https://source.example/admin?page=1", id="another-path"),
        pytest.param("https://source.example/apiary/CareTeam?page=1", id="a-path-that-starts-alike"),
        pytest.param("https://source.example/api/../admin?page=1", id="dot-segments"),
        pytest.param("https://source.example/api/%2e%2e/admin?page=1", id="encoded-dot-segments"),
        pytest.param("https://user@source.example/api/CareTeam?page=1", id="with-a-user"),
        pytest.param(f"https://source.example/api/CareTeam?page=1&patient={NUMBER}", id="with-the-number-in-it"),
        pytest.param("https://source.example/api/CareTeam?page=1&page=2", id="a-parameter-twice"),
        pytest.param("https://source.example/api/CareTeam?page", id="a-query-that-is-none"),
        pytest.param("/api/CareTeam?page=1", id="relative"),
    ],
)
async def test_a_page_that_leads_elsewhere_is_not_fetched_and_the_answer_is_none(url: str) -> None:
    transport = Recording(pages(url))

    answer = await answer_of(transport)

    assert isinstance(answer, NoAnswer)
    assert answer.reason is SourceReason.INVALID_ANSWER
    assert not [request for request in transport.requests if "page" in str(request.url)]


async def test_pages_without_end_are_given_up() -> None:
    urls = [f"https://source.example/api/CareTeam?page={number}" for number in range(30)]
    transport = Recording(pages(*urls))

    answer = await answer_of(transport)

    assert isinstance(answer, NoAnswer)
    assert answer.code == "TOO_LARGE"


@pytest.mark.parametrize("total", [0, 1, 3])
async def test_a_total_that_does_not_fit_is_no_answer(total: int) -> None:
    answer = await answer_of(Recording(pages("https://source.example/api/CareTeam?page=1", total=total)))

    assert isinstance(answer, NoAnswer)
    assert answer.code == "SCHEMA"


async def test_an_error_among_the_entries_is_no_answer_and_a_warning_is() -> None:
    async def with_issue(severity: str) -> Answer:
        outcome = {**fake.not_found("X"), "issue": [{"severity": severity, "code": "incomplete"}]}
        entries = [*team()["entry"], {"resource": outcome, "search": {"mode": "outcome"}}]
        return await ask(CareTeam={**team(), "entry": entries})

    assert isinstance(await with_issue("error"), NoAnswer)
    assert isinstance(await with_issue("warning"), Answered)


# Rows


async def test_a_team_and_its_episode_of_care_give_one_row_with_the_care_manager_in_the_lead() -> None:
    (row,) = await rows(CareTeam=team())

    assert row.lead
    assert row.practitioner is not None
    assert row.practitioner.name == "Hana Lind"
    assert row.service is not None
    assert row.service.name == "Health visiting"


async def test_a_care_manager_alone_gives_a_row() -> None:
    episode = fake.episode(NUMBER, team=[])
    bundle = fake.bundle(episode, included=(fake.practitioner(),))

    (row,) = await rows(CareTeam=fake.bundle(), EpisodeOfCare=bundle)

    assert row.practitioner is not None
    assert row.practitioner.name == "Hana Lind"
    assert (row.lead, row.team, row.contact_mode) == (True, None, ContactMode.NONE)


async def test_a_care_manager_outside_the_team_gives_a_row_of_the_same_team() -> None:
    manager = fake.practitioner(id="p-9", identifier=[], name=[{"family": "Bede"}])
    episodes = fake.bundle(fake.episode(NUMBER, careManager={"reference": "Practitioner/p-9"}), included=(manager,))

    first, second = await rows(CareTeam=team(), EpisodeOfCare=episodes)

    leads = {row.practitioner.name: row.lead for row in (first, second) if row.practitioner}
    assert leads == {"Hana Lind": False, "Bede": True}
    assert first.team == second.team


async def test_a_practitioner_who_left_leaves_the_team() -> None:
    included = (fake.practitioner_role(active=False), fake.practitioner())

    (row,) = await rows(CareTeam=fake.bundle(fake.care_team(NUMBER), included=included), EpisodeOfCare=NO_EPISODES)

    assert (row.practitioner, row.contact_mode) == (None, ContactMode.TEAM_ONLY)


async def test_a_practitioner_whom_the_source_cannot_resolve_leaves_the_team() -> None:
    bundle = fake.bundle(fake.care_team(NUMBER))

    (row,) = await rows(CareTeam=bundle, EpisodeOfCare=NO_EPISODES, PractitionerRole=fake.bundle())

    assert (row.practitioner, row.contact_mode) == (None, ContactMode.TEAM_ONLY)


async def test_family_in_a_care_team_is_never_told() -> None:
    members = [
        {"member": {"reference": "RelatedPerson/mother", "display": "Her mother"}},
        {"member": {"reference": f"Patient/{NUMBER}", "display": "Ada Amis"}},
    ]

    (row,) = await rows(CareTeam=team(participant=members), EpisodeOfCare=NO_EPISODES)

    assert row.practitioner is None


async def test_an_organisation_in_a_care_team_is_not_a_practitioner() -> None:
    members = [{"member": {"reference": "Organization/o-1", "display": "Another trust"}}]

    (row,) = await rows(CareTeam=team(participant=members), EpisodeOfCare=NO_EPISODES)

    assert row.practitioner is None


async def test_a_home_telephone_is_never_told_and_one_for_work_comes_first() -> None:
    telecom = [
        {"system": "phone", "value": "01632 960111", "use": "home"},
        {"system": "phone", "value": "01632 960222", "use": "mobile"},
        {"system": "phone", "value": "01632 960333", "use": "work"},
    ]
    for given, expected in ((telecom, "01632 960333"), (telecom[:2], "01632 960222"), (telecom[:1], None)):
        included = (fake.practitioner_role(telecom=given), fake.practitioner())
        (row,) = await rows(CareTeam=fake.bundle(fake.care_team(NUMBER), included=included))
        assert row.practitioner is not None
        assert row.practitioner.phone == expected


async def test_a_participant_whose_time_is_over_is_previous_and_told_only_under_that_path() -> None:
    member = {"member": {"reference": "PractitionerRole/pr-1"}, "period": {"start": "2020-01-01", "end": "2021-01-01"}}
    said = {"CareTeam": team(participant=[member]), "EpisodeOfCare": NO_EPISODES}

    assert await rows(**said) == ()


@pytest.mark.parametrize("status", ["proposed", "entered-in-error", "no-such-status"])
async def test_a_team_that_does_no_work_with_the_child_gives_no_row(status: str) -> None:
    assert await rows(CareTeam=team(status=status), EpisodeOfCare=NO_EPISODES) == ()


async def test_a_mask_for_current_work_drops_ended_work_that_is_sent_all_the_same() -> None:
    assert await rows(CareTeam=team(ended=True), EpisodeOfCare=NO_EPISODES) == ()


@pytest.mark.parametrize("text", ["Ha\u202ena", "Ha\nna", "Hana\n", "Ha\x00na", "", "x" * 501])
async def test_a_name_with_characters_that_deceive_is_refused(text: str) -> None:
    included = (fake.practitioner_role(), fake.practitioner(name=[{"given": [text], "family": "Lind"}]))

    assert await refused(CareTeam=fake.bundle(fake.care_team(NUMBER), included=included)) == "SCHEMA"


@pytest.mark.parametrize("start", ["31/03/2015", "2026-02-30", "2026-13-01", "yesterday", 2026])
async def test_a_date_that_is_none_is_refused(start: Any) -> None:
    assert await refused(CareTeam=team(period={"start": start})) == "SCHEMA"


# Sensitive rows


BASIS = "https://contactpoint.example/fhir/disclosure-basis"


def beside(what: str, **value: Any) -> Resources:
    """A consent with one extension of its value, beside it as FHIR writes those of a primitive."""
    return {"valueCode": "CONSENT", "_valueCode": {"extension": [{"url": f"{BASIS}-{what}", **value}]}}


def labelled(*codes: str, basis: str | None = None, **more: Any) -> Resources:
    extension = [{"url": BASIS, "valueCode": basis}] if basis else []
    return {"meta": {"security": [{"code": code} for code in codes]}, "extension": extension, **more}


async def test_a_label_on_the_episode_alone_makes_the_row_of_its_team_sensitive() -> None:
    episodes = fake.bundle(fake.episode(NUMBER, **labelled("MH")))

    (row,) = await rows(CareTeam=team(), EpisodeOfCare=episodes)

    assert row.sensitivity is Sensitivity.SENSITIVE


async def test_an_episode_that_is_over_is_work_of_its_own_and_does_not_label_the_team_that_goes_on() -> None:
    over = fake.episode(NUMBER, **labelled("MH"), id="ep-over", status="finished")

    answer = await ask(mask=FieldMask(HOLDS), CareTeam=team(), EpisodeOfCare=fake.bundle(over))

    assert isinstance(answer, Answered)
    told = {(row.status, row.sensitivity) for row in answer.involvements}
    assert told == {
        (InvolvementStatus.CURRENT, Sensitivity.STANDARD),
        (InvolvementStatus.PREVIOUS, Sensitivity.SENSITIVE),
    }


async def test_a_basis_for_one_sensitive_service_is_none_for_another_of_the_same_team() -> None:
    with_basis = fake.episode(NUMBER, **labelled("MH", basis="CONSENT"))
    without = fake.episode(NUMBER, **labelled("SUD"), id="ep-2")

    (row,) = await rows(CareTeam=team(), EpisodeOfCare=fake.bundle(with_basis, without))
    (control,) = await rows(CareTeam=team(), EpisodeOfCare=fake.bundle(with_basis))

    assert (row.sensitivity, row.basis) == (Sensitivity.SENSITIVE, None)
    assert control.basis is DisclosureBasis.CONSENT


@pytest.mark.parametrize(
    ("extension", "expected"),
    [
        ({"valueCode": "CONSENT"}, (DisclosureBasis.CONSENT, None)),
        ({"valueCode": "SIGNIFICANT_HARM"}, (DisclosureBasis.SIGNIFICANT_HARM, None)),
        ({"valueCode": "BECAUSE"}, (None, None)),
        ({}, (None, None)),
        (beside("until", valueDate="2027-01-31"), (DisclosureBasis.CONSENT, date(2027, 1, 31))),
        (beside("until", valueDateTime="2027-01-31T09:00:00Z"), (DisclosureBasis.CONSENT, date(2027, 1, 31))),
        (beside("until", valueDate="2027"), (None, None)),
        (beside("until"), (None, None)),
        (beside("withdrawn", valueDate="2026-01-31"), (None, None)),
        (beside("withdrawn", valueDate="2999-01-31"), (None, None)),
        (beside("withdrawn"), (None, None)),
        (beside("withdrawn", valueCode="SIGNIFICANT_HARM"), (None, None)),
        # not FHIR: a value and extensions of its own at once
        ({"valueCode": "CONSENT", "extension": [{"url": f"{BASIS}-until", "valueDate": "2027-01-31"}]}, (None, None)),
        ({"valueCode": "SIGNIFICANT_HARM", "extension": [{"url": "until", "valueDate": "2020-01-31"}]}, (None, None)),
    ],
)
async def test_a_basis_counts_only_if_it_can_be_read_whole(extension: Resources, expected: Any) -> None:
    said = labelled("MH", extension=[{"url": BASIS, **extension}])
    (row,) = await rows(CareTeam=team(**said), EpisodeOfCare=NO_EPISODES)

    assert (row.basis, row.basis_until) == expected


@pytest.mark.parametrize(
    ("labels", "basis", "expected"),
    [
        (("V",), None, "RESTRICTED"),
        (("V", "MH"), "CONSENT", "RESTRICTED"),
        (("R",), None, "RESTRICTED"),
        (("R", "MH"), "CONSENT", None),
        (("R",), "SIGNIFICANT_HARM", None),
        (("MH",), None, None),
        (("N",), None, None),
    ],
)
async def test_a_row_that_its_source_restricts_is_refused(
    labels: tuple[str, ...], basis: str | None, expected: str | None
) -> None:
    on_team = await rows(CareTeam=team(**labelled(*labels, basis=basis)), EpisodeOfCare=NO_EPISODES)
    episode = fake.bundle(fake.episode(NUMBER, **labelled(*labels, basis=basis)))
    on_episode = await rows(CareTeam=team(), EpisodeOfCare=episode)

    assert [row.refusal for row in (*on_team, *on_episode)] == [expected, expected]


# Sections


async def health_record(**said: Any) -> HealthRecord:
    answer = await ask(FieldMask(HOLDS), **said)
    assert isinstance(answer, Answered), answer
    record = answer.sections.get(HealthRecord, HealthRecord())  # type: ignore[call-arg]
    assert isinstance(record, HealthRecord)
    return record


async def test_where_a_child_is_registered_is_told_with_the_name_that_is_published() -> None:
    agency = fake.connect(Recording(fake.source)).manifest.agency

    assert (await health_record()).registration == (Registered(agency, "Y99001", date(2015, 5, 1), "Meadow Surgery"),)


@pytest.mark.parametrize("code", ["R", "V", "X"])
async def test_a_restricted_childs_practice_is_not_told_even_if_it_is_sent(code: str) -> None:
    meta = {"security": [{"code": code}]}

    assert (await health_record(Patient=fake.patient(NUMBER, meta=meta))).registration is None


async def test_a_flag_names_the_authority_and_how_it_is_reached_by_day_and_by_night() -> None:
    agency = fake.connect(Recording(fake.source)).manifest.agency
    (flag,) = (await health_record()).safeguarding or ()

    days = (date(2026, 2, 1), date(2999, 12, 31))
    assert flag == SafeguardingFlag(agency, "CPP", *days, "Northshire Council", "01632 960101", "01632 960100")


@pytest.mark.parametrize(
    ("changes", "included", "expected"),
    [
        pytest.param({"author": {"display": "A council"}}, (), ("A council", None), id="named-alone"),
        pytest.param({"author": None}, (), (None, None), id="not-named"),
        pytest.param({"author": {"reference": "#other"}}, (), (None, None), id="not-sent"),
        pytest.param(
            {"author": {"reference": "Organization/la"}},
            (fake.authority(id="la", name="Eastmarch Council"),),
            ("Eastmarch Council", "01632 960101"),
            id="sent-along",
        ),
    ],
)
async def test_the_authority_of_a_flag_is_found_as_fhir_sends_it(
    changes: Resources, included: tuple[Resources, ...], expected: tuple[str | None, str | None]
) -> None:
    flag = {key: value for key, value in fake.flag(NUMBER, **changes).items() if value is not None}

    (told,) = (await health_record(Flag=fake.bundle(flag, included=included))).safeguarding or ()

    assert (told.authority, told.phone) == expected


@pytest.mark.parametrize("label", ["V", "R", "MH", "LOCAL-17"])
async def test_a_flag_with_a_label_is_not_told(label: str) -> None:
    labelled_flag = fake.flag(NUMBER, meta={"security": [{"code": label}]})

    assert (await health_record(Flag=fake.bundle(labelled_flag))).safeguarding is None
