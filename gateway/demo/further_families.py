"""Further families that a directory must get right: half-siblings, adoption, placements, changed numbers."""

from __future__ import annotations

from dataclasses import replace

from gateway.demo.names import TRANSLITERATED
from gateway.demo.people import (
    AccessLimitation,
    Adult,
    Allocation,
    Child,
    DisclosureBasis,
    HealthRecord,
    Inclusion,
    LinkedAdult,
    NameUse,
    PersonName,
    Plan,
)
from gateway.demo.records import Scribe, named
from gateway.demo.registry_office import years_before
from gateway.demo.staff import (
    CAMHS,
    CAMHS_STAFF,
    CHILD_ABUSE_SOUTH,
    COMMUNITY_PAEDIATRICS,
    COUNCILS,
    DANA_AMIN,
    DIETETICS,
    HANA_LIND,
    HEALTH_VISITING,
    HEALTH_VISITORS,
    MISSING_PERSONS,
    OCCUPATIONAL_THERAPY,
    OFFICERS,
    PHYSIOTHERAPY,
    PRACTICES,
    PRISON_MANAGERS,
    PROBATION_OFFICERS,
    PROBATION_TEAMS,
    RAVI_OKAFOR,
    SCHOOL_NURSES,
    SCHOOL_NURSING,
    SEXUAL_HEALTH,
    SPEECH_AND_LANGUAGE,
    THERAPISTS,
)

NORTHSHIRE, EASTMARCH, WESTVALE = (COUNCILS[name] for name in ("northshire", "eastmarch", "westvale"))


def further_families(scribe: Scribe) -> tuple[list[Child], list[Adult]]:
    """Return the children, in a fixed order, and the adults linked to them."""
    adults = _adults(scribe)
    children = [
        *_half_siblings(scribe),
        *_adopted(scribe),
        _looked_after_out_of_area(scribe),
        _no_fixed_address(scribe),
        *_transliterated(scribe),
        _many_teams(scribe),
        *_superseded_number(scribe),
        _invalidated_number(scribe),
        _handling_codes(scribe),
        _lapsed_consent(scribe),
        *_children_of(scribe, adults),
        _source_only(scribe),
    ]
    return children, adults


def _half_siblings(scribe: Scribe) -> list[Child]:
    """One mother, two fathers, two surnames, one home."""
    return [
        scribe.child(
            named(given, family, born),
            born,
            sex,
            story="half-siblings",
            postcode="ZZ99 3CC",
            health=HealthRecord("U", PRACTICES[0], care_teams=(scribe.care_team(SCHOOL_NURSING, SCHOOL_NURSES[2]),)),
            councils=(
                scribe.council(
                    "northshire",
                    scribe.council_row(NORTHSHIRE.safeguarding, NORTHSHIRE.workers[3], lead=True),
                    status="CIN_S17",
                ),
            ),
        )
        for given, family, sex, born in (
            ("Maya", "Bello", "F", years_before(scribe.today, 9, 1)),
            ("Noah", "Hirst", "M", years_before(scribe.today, 6, 200)),
        )
    ]


def _adopted(scribe: Scribe) -> list[Child]:
    """Adoption gives a new number and name; nothing may lead from one to the other, and the old one is shielded."""
    born = years_before(scribe.today, 5, 90)
    return [
        scribe.child(
            named("Orla", "Vaughan", born),
            born,
            "F",
            story="adopted",
            postcode="ZZ99 4DD",
            health=HealthRecord(
                "U", PRACTICES[1], care_teams=(scribe.care_team(HEALTH_VISITING, HEALTH_VISITORS[0], since=350),)
            ),
            councils=(
                scribe.council(
                    "westvale",
                    scribe.council_row(WESTVALE.looked_after, WESTVALE.workers[4], kind="ADOPTION_SUPPORT", since=350),
                ),
            ),
        ),
        scribe.child(
            named("Roisin", "Keating", born),
            born,
            "F",
            story="adopted-former-identity",
            postcode=None,
            health=HealthRecord("R", None, invalidated=True),
            councils=(
                scribe.council(
                    "northshire",
                    scribe.council_row(
                        NORTHSHIRE.looked_after, NORTHSHIRE.workers[5], kind="LOOKED_AFTER", since=1500, ended=360
                    ),
                    shielded=True,
                    status="CLA_S31",
                    since=1500,
                    until=360,
                ),
            ),
        ),
    ]


def _looked_after_out_of_area(scribe: Scribe) -> Child:
    """In the care of Westvale, living in Northshire, missing twice."""
    born = years_before(scribe.today, 15, 12)
    return scribe.child(
        named("Rania", "Khalil", born),
        born,
        "F",
        story="looked-after-out-of-area",
        postcode="ZZ99 5EE",
        health=HealthRecord(
            "U",
            PRACTICES[2],
            care_teams=(
                scribe.care_team(SCHOOL_NURSING, SCHOOL_NURSES[1]),
                scribe.care_team(
                    CAMHS,
                    CAMHS_STAFF[1],
                    since=80,
                    labels=("PSY",),
                    basis=DisclosureBasis("SIGNIFICANT_HARM", None),
                ),
            ),
            flags=(scribe.flag("LAC", "westvale", since=420),),
        ),
        police=scribe.police(
            scribe.police_row(
                None, MISSING_PERSONS, event_type="MISSING_EPISODE", role="MISSING_COORDINATOR", since=30
            ),
        ),
        councils=(
            scribe.council(
                "westvale",
                scribe.council_row(
                    WESTVALE.looked_after, WESTVALE.workers[2], kind="LOOKED_AFTER", since=420, lead=True
                ),
                status="CLA_S20",
                since=420,
                plan=Plan("CARE", scribe.days_ago(420), scribe.days_ago(-20), None),
            ),
            scribe.council("northshire", scribe.council_row(NORTHSHIRE.assessment, None, kind="HOST_NOTIFICATION")),
        ),
    )


def _no_fixed_address(scribe: Scribe) -> Child:
    born = years_before(scribe.today, 8, 44)
    return scribe.child(
        named("Sunny", "Lee", born),
        born,
        "M",
        story="no-fixed-address",
        postcode=None,
        health=HealthRecord("U", None, care_teams=(scribe.care_team(SCHOOL_NURSING, SCHOOL_NURSES[4], since=30),)),
        councils=(
            scribe.council(
                "eastmarch", scribe.council_row(EASTMARCH.early_help, EASTMARCH.workers[7], kind="EARLY_HELP", ended=50)
            ),
        ),
    )


def _transliterated(scribe: Scribe) -> list[Child]:
    """Two offices wrote down what they heard: the spelling that is not current is an alias."""
    return [
        scribe.child(
            (named(*now, born), named(*heard, born, NameUse.ALIAS)),
            born,
            "F" if number % 2 else "M",
            story="transliterated",
            postcode="ZZ99 6FF",
            health=HealthRecord(
                "U", PRACTICES[number % 4], care_teams=(scribe.care_team(SCHOOL_NURSING, SCHOOL_NURSES[number % 5]),)
            ),
            police=scribe.police(scribe.police_row(OFFICERS[3], CHILD_ABUSE_SOUTH), match_score=0.91)
            if number == 0
            else None,
            councils=(
                scribe.council(
                    "northshire",
                    scribe.council_row(NORTHSHIRE.assessment, NORTHSHIRE.workers[number], kind="ASSESSMENT"),
                ),
            )
            if number < 3
            else (),
        )
        for number, (now, heard) in enumerate(TRANSLITERATED)
        for born in [years_before(scribe.today, 6 + number, 15 * number)]
    ]


def _many_teams(scribe: Scribe) -> Child:
    """A disabled child with more care teams than one page of a search holds."""
    born = years_before(scribe.today, 4, 30)
    ways = (Inclusion.CONTAINED, Inclusion.INCLUDED, Inclusion.BY_REFERENCE)
    teams = (
        (HEALTH_VISITING, HANA_LIND),
        (COMMUNITY_PAEDIATRICS, THERAPISTS[0]),
        (PHYSIOTHERAPY, THERAPISTS[1]),
        (OCCUPATIONAL_THERAPY, THERAPISTS[2]),
        (SPEECH_AND_LANGUAGE, THERAPISTS[3]),
        (DIETETICS, THERAPISTS[4]),
    )
    return scribe.child(
        named("Teddy", "Mensah", born),
        born,
        "M",
        story="many-teams",
        health=HealthRecord(
            "U",
            PRACTICES[0],
            care_teams=tuple(
                scribe.care_team(
                    team, worker, since=100 + 20 * number, inclusion=ways[number % 3], episode=number % 2 == 1
                )
                for number, (team, worker) in enumerate(teams)
            ),
        ),
        councils=(
            scribe.council(
                "northshire",
                scribe.council_row(NORTHSHIRE.safeguarding, NORTHSHIRE.workers[8], kind="DISABLED_CHILDREN", lead=True),
                status="CIN_S17",
            ),
        ),
    )


def _superseded_number(scribe: Scribe) -> list[Child]:
    """Registered twice: the trace answers the old number with the record of the new one."""
    born = years_before(scribe.today, 3, 3)
    now = scribe.child(
        named("Uma", "Joshi", born),
        born,
        "F",
        story="superseding-number",
        health=HealthRecord(
            "U", PRACTICES[3], care_teams=(scribe.care_team(HEALTH_VISITING, HEALTH_VISITORS[2], since=90),)
        ),
    )
    old = scribe.child(
        named("Uma", "Joshi", born),
        born,
        "F",
        story="superseded-number",
        health=HealthRecord("U", None, superseded_by=now.nhs_number),
        councils=(
            scribe.council(
                "northshire", scribe.council_row(NORTHSHIRE.early_help, NORTHSHIRE.workers[9], kind="EARLY_HELP")
            ),
        ),
    )
    return [now, old]


def _invalidated_number(scribe: Scribe) -> Child:
    born = years_before(scribe.today, 4, 4)
    return scribe.child(
        named("Vera", "Ilves", born),
        born,
        "F",
        story="invalidated-number",
        health=HealthRecord("U", None, invalidated=True),
    )


def _handling_codes(scribe: Scribe) -> Child:
    """Police hold rows that they never share, beside one that they do."""
    born = years_before(scribe.today, 13, 60)
    return scribe.child(
        named("Wanda", "Zielinski", born),
        born,
        "F",
        story="police-conditions",
        health=HealthRecord("U", PRACTICES[1], care_teams=(scribe.care_team(SCHOOL_NURSING, SCHOOL_NURSES[3]),)),
        police=scribe.police(
            scribe.police_row(RAVI_OKAFOR),
            scribe.police_row(OFFICERS[6], event_type="CRIME", role="OFFICER_IN_CASE", do_not_disclose=True),
            handling_code="C",
        ),
    )


def _source_only(scribe: Scribe) -> Child:
    """Police hold a nominal that came from a source in need of protection: nothing of it is ever shared."""
    born = years_before(scribe.today, 10, 61)
    return scribe.child(
        named("Viktor", "Varga", born),
        born,
        "M",
        story="police-source-only",
        health=HealthRecord("U", PRACTICES[1], care_teams=(scribe.care_team(SCHOOL_NURSING, SCHOOL_NURSES[3]),)),
        police=scribe.police(scribe.police_row(OFFICERS[4]), handling_code="S"),
    )


def _lapsed_consent(scribe: Scribe) -> Child:
    """One sensitive row with a label that nobody has agreed on, one with a basis that ran out."""
    born = years_before(scribe.today, 16, 8)
    lapsed = DisclosureBasis("CONSENT", scribe.days_ago(1))
    return scribe.child(
        named("Xin", "Chen", born),
        born,
        "F",
        story="lapsed-consent",
        health=HealthRecord(
            "U",
            PRACTICES[2],
            care_teams=(
                scribe.care_team(SEXUAL_HEALTH, THERAPISTS[5], since=70, labels=("SEX",), basis=lapsed),
                scribe.care_team(COMMUNITY_PAEDIATRICS, THERAPISTS[6], since=500, labels=("LOCAL-17",)),
            ),
        ),
        school=(scribe.school_row(DANA_AMIN, since=3000, ended=1500),),
    )


def _adults(scribe: Scribe) -> list[Adult]:
    """Adults whose records try a reader: limited access, merged numbers, placeholders for an officer, prison."""

    def adult(given: str, family: str, age: int, **facts: object) -> Adult:
        plain = Adult(
            crn=scribe.office.crn(),
            prison_number=None,
            given=given,
            middle=None,
            family=family,
            date_of_birth=years_before(scribe.today, age, age),
            sex="M",
            team=PROBATION_TEAMS[age % 2],
            officer=PROBATION_OFFICERS[age % len(PROBATION_OFFICERS)],
            allocation=Allocation.OFFICER,
        )
        return replace(plain, **facts)  # type: ignore[arg-type]  # the names are those of Adult

    current = adult("Milo", "Stanton", 36)
    return [
        adult("Karl", "Brennan", 29, limitation=AccessLimitation(("a.farrow@northshire.probation.example",), ())),
        adult("Lou", "Clegg", 33, limitation=AccessLimitation((), ("petra.blum@northshire.probation.example",))),
        current,
        adult("Miles", "Stanton", 36, merged_into=current.crn),
        adult("Ned", "Doyle", 45, officer=None, allocation=Allocation.PLACEHOLDER_STAFF),
        adult("Oz", "Eastwood", 27, officer=None, allocation=Allocation.NO_NAME),
        adult(
            "Pete",
            "Gunn",
            38,
            prison_number=scribe.office.prison_number(),
            prison="ZZI",
            prison_manager=PRISON_MANAGERS[0],
            under_supervision=False,
        ),
    ]


def _children_of(scribe: Scribe, adults: list[Adult]) -> list[Child]:
    """One child for each adult, by CRN or prison number, and one whose adult probation does not hold."""
    children = []
    for number, adult in enumerate(adults):
        born = years_before(scribe.today, 5 + number, 100 + number)
        link = scribe.linked(adult, "FATHER")
        if adult.prison_number is not None:
            link = replace(link, crn=None, prison_number=adult.prison_number)
        story = {0: "limited-access-adult", 1: "limited-access-adult", 3: "merged-adult", 6: "adult-in-prison"}.get(
            number, "linked-adult-variants"
        )
        children.append(_child_of(scribe, named("Zak", adult.family, born), story, link))
    born = years_before(scribe.today, 7, 7)
    stranger = LinkedAdult(scribe.office.crn(), None, "MOTHERS_PARTNER", scribe.days_ago(12))
    return [*children, _child_of(scribe, named("Yara", "Marsh", born), "adult-not-known", stranger)]


def _child_of(scribe: Scribe, name: PersonName, story: str, link: LinkedAdult) -> Child:
    return scribe.child(
        name,
        name.since,
        "M",
        story=story,
        health=HealthRecord("U", PRACTICES[1], care_teams=(scribe.care_team(SCHOOL_NURSING, SCHOOL_NURSES[1]),)),
        councils=(
            scribe.council(
                "northshire",
                scribe.council_row(NORTHSHIRE.safeguarding, NORTHSHIRE.workers[10], lead=True),
                adults=(link,),
                status="CIN_S17",
            ),
        ),
    )
