"""The door: from what sources say to what one caller may see, row kind by row kind."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth import disclosure
from auth.disclosure import (
    Disclosed,
    SourceFacts,
    Viewer,
    agency_type,
    disclose,
    may_show,
    proves_identity,
    relationship_of,
    why_held_back,
)
from auth.paths import INVOLVEMENTS, LINKED_ADULT, PRACTITIONER, PREVIOUS, SCOPES, SENSITIVE
from auth.standing import NO_STANDING, standing_of
from schema.records import AdultRef, Agency, Answered, Contact, Involvement, Practitioner, Registration, Team
from schema.sections import SECTIONS, Assessments, ChildIdentity, ChildrensServicesRecord, HealthRecord, StatutoryStatus
from schema.vocabulary import (
    AgencyKind,
    ContactMode,
    DisclosureBasis,
    HeldBack,
    InvolvementRelationship,
    InvolvementStatus,
    RefusalReason,
    Relationship,
    Sensitivity,
)
from tests.auth.model import TODAY, agreed, agreement, caller, custodian, entitled, grant
from tests.fixtures.sources import ADULT, BORN, CHILD, known, row, sensitive

AGENCY: Final = Agency("cs", "Amber Council", AgencyKind.CHILDRENS_SERVICES, "amber", None)
BROKER: Final = Agency(
    "hub",
    "Amber Hub",
    AgencyKind.CHILDRENS_SERVICES,
    "amber",
    Contact(ContactMode.BROKERED, "01632 960900", "hub@amber.example", "01632 960901", "the same day"),
)
ENTRY_PATHS: Final = (INVOLVEMENTS, PRACTITIONER, PREVIOUS, LINKED_ADULT, SENSITIVE)


def facts(*rows: Involvement, broker: Agency | None = BROKER, **held: Any) -> SourceFacts:
    return SourceFacts(custodian(), AGENCY, broker, known(CHILD, *rows, **held))


def shown(
    fact: SourceFacts,
    opens: frozenset[str] = frozenset(SCOPES),
    *,
    relationship: Relationship = Relationship.NONE,
    subject: str = "worker",
) -> Disclosed:
    entitlements = entitled(agreed(agreement(grant(opens=opens | {INVOLVEMENTS}))))
    who = caller(subject=subject)
    viewer = Viewer(who, lambda *parts: f"opaque-{abs(hash((who.subject, *parts)))}")
    return disclose([fact], entitlements, standing_of(relationship), viewer, TODAY)


def made(thing: object) -> Iterator[object]:
    """Every type inside a tree of them and lists."""
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        yield thing
        for field in vars(thing):
            yield from made(getattr(thing, field))
    elif isinstance(thing, list | tuple):
        for each in thing:
            yield from made(each)


def lacking(thing: object) -> list[str]:
    """The fields that no type inside it was given."""
    return [
        f"{type(each).__name__}.{field.name}"
        for each in made(thing)
        for field in dataclasses.fields(each)  # type: ignore[arg-type]
        if field.name not in vars(each)
    ]


def values(thing: object) -> Iterator[str]:
    """Every text inside a tree of dataclasses, lists and mappings."""
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        for field in dataclasses.fields(thing):
            yield from values(getattr(thing, field.name))
    elif isinstance(thing, Mapping):
        for value in thing.values():
            yield from values(value)
    elif isinstance(thing, list | tuple):
        for value in thing:
            yield from values(value)
    elif thing is not None:
        yield str(thing)


# --------------------------------------------------------------------------------------------- row kind x what opens


KINDS: Final = {
    # what it is: (row, the paths that must all be open)
    "current": (row(), {INVOLVEMENTS}),
    "ended": (row(status=InvolvementStatus.PREVIOUS), {INVOLVEMENTS, PREVIOUS}),
    "of an unborn child": (row(relationship=InvolvementRelationship.UNBORN), {INVOLVEMENTS}),
    "about a linked adult": (row(relationship=InvolvementRelationship.LINKED_ADULT), {LINKED_ADULT}),
    "ended, about a linked adult": (
        row(relationship=InvolvementRelationship.LINKED_ADULT, status=InvolvementStatus.PREVIOUS),
        {LINKED_ADULT, PREVIOUS},
    ),
    "sensitive, with consent": (sensitive(), {INVOLVEMENTS, SENSITIVE}),
    "sensitive, on significant harm": (
        sensitive(basis=DisclosureBasis.SIGNIFICANT_HARM, basis_until=None),
        {INVOLVEMENTS, SENSITIVE},
    ),
    "of unknown sensitivity, with consent": (sensitive(sensitivity=Sensitivity.UNKNOWN), {INVOLVEMENTS, SENSITIVE}),
    "sensitive, ended": (sensitive(status=InvolvementStatus.PREVIOUS), {INVOLVEMENTS, SENSITIVE, PREVIOUS}),
    "sensitive, about a linked adult": (
        sensitive(relationship=InvolvementRelationship.LINKED_ADULT),
        {LINKED_ADULT, SENSITIVE},
    ),
    "sensitive, without a basis": (sensitive(basis=None), None),
    "sensitive, its consent expired": (sensitive(basis_until=TODAY - timedelta(days=1)), None),
    "sensitive, its consent without an end": (sensitive(basis_until=None), None),
    "of unknown sensitivity, without a basis": (row(sensitivity=Sensitivity.UNKNOWN), None),
    "never to be shared": (row(refusal=RefusalReason.NOT_STATED), None),
    "sensitive and never to be shared": (sensitive(refusal=RefusalReason.NOT_STATED), None),
}
SUBSETS: Final = [frozenset(c) for n in range(len(ENTRY_PATHS) + 1) for c in itertools.combinations(ENTRY_PATHS, n)]


@pytest.mark.parametrize("what", KINDS)
def test_a_row_is_shown_exactly_when_all_that_it_needs_is_open(what: str) -> None:
    held, needed = KINDS[what]
    for opens in SUBSETS:
        granted = entitled(agreed(agreement(grant(opens=opens | {INVOLVEMENTS})))).by_custodian["cs"]
        open_now = opens | {INVOLVEMENTS}
        assert may_show(held, granted, NO_STANDING, TODAY) is (needed is not None and needed <= open_now), opens


def test_without_the_default_answer_no_row_is_shown() -> None:
    nothing = entitled(agreed(agreement(grant(opens=frozenset({PREVIOUS, SENSITIVE}))))).by_custodian["cs"]

    assert not any(may_show(held, nothing, NO_STANDING, TODAY) for held, _ in KINDS.values())


def test_consent_holds_on_its_last_day() -> None:
    assert shown(facts(sensitive(basis_until=TODAY))).rows


# -------------------------------------------------------------------------------------------- what of a row is shown


def test_with_the_practitioners_path_the_practitioner_and_their_own_contact_are_shown() -> None:
    (entry,) = shown(facts(row(number="SW1"))).rows

    assert entry.practitioner is not None
    assert (entry.practitioner.name, entry.practitioner.registration.number) == ("Ada Brook", "SW1")
    assert (entry.contact.mode, entry.contact.phone) == (ContactMode.DIRECT, "01632 960101")
    assert entry.contact.out_of_hours == "01632 960199"


def test_without_it_an_entry_speaks_for_its_team() -> None:
    (entry,) = shown(facts(row(number="SW1")), frozenset({INVOLVEMENTS})).rows

    assert entry.practitioner is None
    assert (entry.contact.mode, entry.contact.phone) == (ContactMode.TEAM_ONLY, "01632 960100")
    assert entry.team.name == "Amber team"
    assert not {"Ada Brook", "01632 960101", "ada.brook@amber.example", "SW1"} & set(values(entry))


@pytest.mark.parametrize("mode", [ContactMode.TEAM_ONLY, ContactMode.BROKERED, ContactMode.NONE])
def test_a_row_that_is_not_for_direct_contact_names_nobody(mode: ContactMode) -> None:
    (entry,) = shown(facts(row(contact_mode=mode))).rows

    assert entry.practitioner is None
    assert "01632 960101" not in set(values(entry))


def test_a_row_without_a_practitioner_speaks_for_its_team_and_one_without_any_contact_says_none() -> None:
    (team,) = shown(facts(row(name=None))).rows
    bare = Practitioner("Ada Brook", None, None, None, None)
    (nobody,) = shown(facts(row(practitioner=bare, team=None, service=None))).rows

    assert (team.practitioner, team.contact.mode) == (None, ContactMode.TEAM_ONLY)
    assert (nobody.practitioner.name, nobody.contact.mode, nobody.team, nobody.service) == (
        "Ada Brook",
        ContactMode.NONE,
        None,
        None,
    )


def test_a_practitioner_without_a_telephone_is_reached_by_the_teams() -> None:
    bare = Practitioner("Ada Brook", None, Registration("SWE", "1"), None, None)
    (entry,) = shown(facts(row(practitioner=bare))).rows

    assert (entry.contact.mode, entry.contact.phone, entry.contact.email) == (
        ContactMode.DIRECT,
        "01632 960100",
        "team@amber.example",
    )


def test_out_of_hours_alone_is_a_way_to_reach_a_team() -> None:
    (entry,) = shown(facts(row(name=None, team=Team("Duty", None, None, "01632 960199")))).rows

    assert (entry.contact.mode, entry.contact.out_of_hours) == (ContactMode.TEAM_ONLY, "01632 960199")


EVERY_SORT: Final = (
    row("named", number="SW900001"),
    row("bare", name=None, team=None, service=None),
    row("team", contact_mode=ContactMode.TEAM_ONLY),
    sensitive(),
)


def test_what_the_door_makes_lacks_no_field() -> None:
    told = shown(facts(*EVERY_SORT)).rows

    assert len(told) == len(EVERY_SORT)
    assert lacking(told) == []


@pytest.mark.parametrize("maker", ["_team", "_service", "_contact", "_practitioner"])
def test_a_field_that_the_door_forgets_is_noticed(maker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = getattr(disclosure, maker)

    def forgetful(*given: Any) -> Any:
        whole = honest(*given)
        delattr(whole, dataclasses.fields(whole)[-1].name)
        return whole

    monkeypatch.setattr(disclosure, maker, forgetful)

    assert lacking(shown(facts(*EVERY_SORT)).rows)


def test_a_sensitive_service_appears_under_its_brokers_name_and_shows_nothing_of_itself() -> None:
    held = sensitive(lead=True, started_on=date(2025, 2, 3), number="SW9")
    (entry,) = shown(facts(held)).rows

    assert entry.agency.name == "Amber Hub"
    assert [a.id for a in entry.sources] == ["hub"]
    assert (entry.contact.mode, entry.contact.phone, entry.contact.out_of_hours) == (
        ContactMode.BROKERED,
        "01632 960900",
        "01632 960901",
    )
    seen = set(values(entry))
    assert not {"Amber Council", "The clinic", "CLINIC", "Cass Dell", "01632 960666", "2025-02-03", "SW9"} & seen
    assert not entry.lead
    assert entry.role is entry.team is entry.service is entry.practitioner is None


def test_a_sensitive_service_without_a_broker_does_not_appear() -> None:
    assert shown(facts(sensitive(), broker=None)).rows == ()


def test_a_broker_without_a_contact_of_its_own_is_named_all_the_same() -> None:
    (entry,) = shown(facts(sensitive(), broker=dataclasses.replace(BROKER, safeguarding_lead=None))).rows

    assert (entry.agency.name, entry.contact.phone) == ("Amber Hub", None)


def test_ids_differ_between_viewers_and_do_not_hold_the_sources_own_key() -> None:
    (one,) = shown(facts(row("LOCAL-KEY-1"))).rows
    (other,) = shown(facts(row("LOCAL-KEY-1")), subject="another").rows

    assert one.id != other.id
    assert "LOCAL-KEY-1" not in set(values(one))


def test_an_agency_is_shown_with_its_safeguarding_lead() -> None:
    lead = Contact(ContactMode.TEAM_ONLY, "01632 960200")

    assert agency_type(dataclasses.replace(AGENCY, safeguarding_lead=lead)).safeguarding_lead.phone == "01632 960200"
    assert agency_type(AGENCY).safeguarding_lead is None


# ---------------------------------------------------------------------------------------------------------- sections


LIAR: Final = Agency("somebody-else", "Somebody Else", AgencyKind.POLICE)
STATUSES: Final = ChildrensServicesRecord(statuses=(StatutoryStatus(LIAR, "CP_PLAN", None),))  # type: ignore[call-arg]


def test_an_item_is_stamped_with_the_source_that_said_it_whatever_it_claims() -> None:
    section = shown(facts(sections=[STATUSES])).sections["childrens_services"]

    assert [(s.agency.id, s.status) for s in section.statuses] == [("cs", "CP_PLAN")]


@pytest.mark.parametrize("path", sorted(f.path for d in SECTIONS.values() for f in d.fields))
def test_a_closed_section_field_is_null_whatever_is_held(path: str) -> None:
    everything = [d.cls(**{f.name: _some(f) for f in d.fields}) for d in SECTIONS.values()]
    found = shown(facts(sections=everything), frozenset(SCOPES) - {path}).sections
    all_of_it = shown(facts(sections=everything)).sections

    assert _at(all_of_it, path) is not None
    assert _at(found, path) is None


def _some(field: Any) -> Any:
    if field.item is None:
        return ("Ada",) if field.name == "given_names" else BORN if field.name == "date_of_birth" else "Amis"
    return (field.item(**{f.name: LIAR if f.name == "agency" else None for f in dataclasses.fields(field.item)}),)


def _at(sections: Mapping[str, Any], path: str) -> Any:
    name, _, field = path.partition(".")
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
    section = sections.get(snake)
    inner = "".join(f"_{c.lower()}" if c.isupper() else c for c in field)
    return getattr(section, inner, None) if inner else section


@pytest.mark.parametrize(
    "section",
    [
        pytest.param(ChildrensServicesRecord(statuses=(), plans=None), id="empty-and-none"),  # type: ignore[call-arg]
        pytest.param(HealthRecord(), id="all-none"),
        pytest.param(Assessments(assessments=()), id="hoisted-and-empty"),  # type: ignore[call-arg]
    ],
)
def test_a_section_that_holds_nothing_is_the_same_null_as_one_that_is_closed(section: object) -> None:
    assert shown(facts(sections=[section])).sections == {}


def test_a_list_joins_what_every_source_says_and_a_single_value_is_the_first_sources() -> None:
    one = ChildIdentity(given_names=None, family_name="Amis")  # type: ignore[call-arg]
    two = ChildIdentity(given_names=("Ada",), family_name="Other")  # type: ignore[call-arg]
    entitlements = entitled(
        agreed(agreement(grant()), agreement(grant(), id="2", custodian="cs2")), None, custodian(), custodian("cs2")
    )
    second = SourceFacts(
        custodian("cs2"), dataclasses.replace(AGENCY, id="cs2"), None, known(CHILD, sections=[two, STATUSES])
    )
    found = disclose(
        [facts(sections=[one, STATUSES]), second],
        entitlements,
        NO_STANDING,
        Viewer(caller(), lambda *_: "x"),
        TODAY,
    )

    assert [s.agency.id for s in found.sections["childrens_services"].statuses] == ["cs", "cs2"]
    assert (found.sections["identity"].family_name, found.sections["identity"].given_names) == ("Amis", ["Ada"])


# -------------------------------------------------------------------------------------------------- the relationship


def standing(*rows: Involvement, subject: Any = CHILD, organisation: str = "owner", **who: Any) -> Relationship:
    fact = SourceFacts(custodian(organisation=organisation), AGENCY, None, known(subject, *rows))
    return relationship_of(caller(**who), [fact])[0]


def test_a_practitioner_is_known_by_registration_and_never_by_name() -> None:
    def own(*rows: Involvement, **who: Any) -> Relationship:
        return standing(*rows, organisation="amber-council", **who)

    assert own(row(name="Ada Brook", number="SW1"), registration="SWE:SW1") is Relationship.PRACTITIONER
    assert own(row(name="Ada Brook", number="SW2"), registration="SWE:SW1") is Relationship.ORGANISATION
    assert own(row(name="Ada Brook"), name="Ada Brook", registration="SWE:SW1") is Relationship.ORGANISATION
    assert own(row(name="Ada Brook", number="SW1"), name="Ada Brook") is Relationship.ORGANISATION


def test_another_source_cannot_plant_a_registration() -> None:
    planted = row(name="Ada Brook", number="SW1")

    assert standing(planted, organisation="brook-school", registration="SWE:SW1") is Relationship.NONE


def test_the_callers_organisation_is_involved_when_it_owns_a_source_with_a_current_entry() -> None:
    assert standing(row(), organisation="amber-council") is Relationship.ORGANISATION
    assert standing(row(), organisation="brook-council") is Relationship.NONE
    assert standing(organisation="amber-council") is Relationship.NONE


@pytest.mark.parametrize(
    "differs",
    [
        pytest.param({"status": InvolvementStatus.PREVIOUS}, id="ended"),
        pytest.param({"relationship": InvolvementRelationship.LINKED_ADULT}, id="about-a-linked-adult"),
        pytest.param({"relationship": InvolvementRelationship.UNBORN}, id="about-an-unborn-child"),
    ],
)
def test_only_a_current_entry_about_the_child_makes_a_relationship(differs: dict[str, Any]) -> None:
    theirs = row(number="SW1", **differs)

    assert standing(theirs, organisation="amber-council", registration="SWE:SW1") is Relationship.NONE


def test_an_answer_about_an_adult_makes_no_relationship_to_the_child() -> None:
    assert standing(row(number="SW1"), subject=AdultRef(ADULT), registration="SWE:SW1") is Relationship.NONE


# ---------------------------------------------------------------------------------------------------- proving identity


@pytest.mark.parametrize("what", KINDS)
def test_only_an_ordinary_row_about_the_child_that_could_be_shown_proves_who_the_child_is(what: str) -> None:
    held, needed = KINDS[what]
    entitlement = entitled(agreed(agreement(grant()))).by_custodian["cs"]

    assert proves_identity(held, entitlement, NO_STANDING, TODAY) is (what in {"current", "ended"})
    assert needed is None or may_show(held, entitlement, NO_STANDING, TODAY)


# --------------------------------------------------------------------------------- properties against a small oracle


ROWS = st.builds(
    lambda i, **differs: row(f"local-{i}", **differs),
    st.integers(1, 9),
    number=st.sampled_from([None, "SW1", "SW2"]),
    contact_mode=st.sampled_from(ContactMode),
    status=st.sampled_from(InvolvementStatus),
    relationship=st.sampled_from(InvolvementRelationship),
    sensitivity=st.sampled_from(Sensitivity),
    basis=st.sampled_from([None, *DisclosureBasis]),
    basis_until=st.sampled_from([None, TODAY, TODAY - timedelta(days=1)]),
    refusal=st.sampled_from([None, *RefusalReason]),
)
OPENS = st.frozensets(st.sampled_from(ENTRY_PATHS))


def allowed(held: Involvement, opens: frozenset[str]) -> set[str]:
    """The oracle: every text that an entry made of this row may hold, told by a table and not by the door."""
    if held.refusal is not None:
        return set()
    if held.status == "PREVIOUS" and PREVIOUS not in opens:
        return set()
    if (LINKED_ADULT if held.relationship == "LINKED_ADULT" else INVOLVEMENTS) not in opens:
        return set()
    frame = {held.status, held.relationship, "True", "False", *ContactMode}
    if held.sensitivity != "STANDARD":
        consented = held.basis == "CONSENT" and held.basis_until is not None and held.basis_until >= TODAY
        harm = held.basis == "SIGNIFICANT_HARM" and (held.basis_until is None or held.basis_until >= TODAY)
        if SENSITIVE not in opens or not (consented or harm):
            return set()
        return frame | set(values(BROKER))
    team = {"Amber team", "01632 960100", "team@amber.example", "01632 960199", "SERVICE", "A service"}
    told = frame | team | set(values(AGENCY)) | {"Allocated worker", "one working day", "2024-01-02"}
    if PRACTITIONER in opens and held.contact_mode == "DIRECT":
        told |= {"Ada Brook", "Practitioner", "01632 960101", "ada.brook@amber.example", "SWE", "SW1", "SW2"}
    return told


@given(st.lists(ROWS, max_size=3), OPENS)
def test_a_disclosed_entry_holds_no_value_that_the_table_does_not_allow(rows: list[Any], opens: frozenset[str]) -> None:
    opens |= {INVOLVEMENTS}
    found = shown(facts(*rows), opens)
    expected = [held for held in rows if allowed(held, opens)]

    assert len(found.rows) == len(expected)
    for entry, held in zip(found.rows, expected, strict=True):
        told = set(values(entry)) - {entry.id}
        assert told <= allowed(held, opens)
        assert entry.id.startswith("opaque-")


@given(st.lists(ROWS, max_size=3), OPENS, OPENS, st.sampled_from(Relationship))
def test_opening_less_never_adds_a_value_to_an_answer(
    rows: list[Any], opens: frozenset[str], drop: frozenset[str], relationship: Relationship
) -> None:
    more = shown(facts(*rows, sections=[STATUSES]), opens, relationship=relationship)
    less = shown(facts(*rows, sections=[STATUSES]), opens - drop, relationship=relationship)

    teams_instead = {ContactMode.TEAM_ONLY.value, ContactMode.NONE.value, "01632 960100", "team@amber.example"}
    assert set(values(less.rows)) - teams_instead <= set(values(more.rows))
    assert set(values(less.sections)) <= set(values(more.sections))


@given(st.lists(ROWS, max_size=4))
def test_the_answers_of_sources_are_facts_the_door_does_not_change(rows: list[Any]) -> None:
    fact = facts(*rows)
    before = repr(fact)
    shown(fact)

    assert repr(fact) == before
    assert isinstance(fact.answer, Answered)


@pytest.mark.parametrize(
    ("ended", "days", "why"),
    [
        pytest.param(TODAY - timedelta(days=365), 365, None, id="the-last-day"),
        pytest.param(TODAY - timedelta(days=366), 365, HeldBack.RETENTION_ENDED, id="a-day-later"),
        pytest.param(None, 365, HeldBack.RETENTION_ENDED, id="no-stated-day"),
        pytest.param(None, None, None, id="no-retention-of-its-own"),
    ],
)
def test_ended_work_is_told_for_as_long_as_its_source_retains_it(
    ended: Any, days: int | None, why: HeldBack | None
) -> None:
    held = row(status=InvolvementStatus.PREVIOUS, ended_on=ended)
    entitlement = entitled(agreed(agreement(grant())), None, custodian(retention_days=days)).by_custodian["cs"]

    assert why_held_back(held, entitlement, NO_STANDING, TODAY) is why


def test_the_door_says_for_the_log_what_it_held_back_and_why() -> None:
    rows = [
        row("told"),
        row("refused", refusal=RefusalReason.MORE_DETRIMENTAL),
        row("refused-too", refusal=RefusalReason.MORE_DETRIMENTAL),
        sensitive("no-basis", basis=None),
        sensitive("expired", basis_until=TODAY - timedelta(days=1)),
    ]

    assert shown(facts(*rows)).held_back == {
        ("cs", HeldBack.MORE_DETRIMENTAL): 2,
        ("cs", HeldBack.SENSITIVE): 1,
        ("cs", HeldBack.CONSENT_ENDED): 1,
    }
    assert shown(facts(sensitive()), frozenset(SCOPES)).held_back == {}
    assert shown(facts(sensitive(), broker=None)).held_back == {("cs", HeldBack.NO_BROKER): 1}
    assert shown(facts(row(status=InvolvementStatus.PREVIOUS)), frozenset({INVOLVEMENTS})).held_back == {
        ("cs", HeldBack.NOT_GRANTED): 1
    }
