"""The children of the published stories: one case each, always with the same NHS numbers.

The order is part of the interface, because numbers are handed out along it: a new story goes to the end.
"""

from __future__ import annotations

from gateway.demo.people import (
    Adult,
    Allocation,
    Child,
    DisclosureBasis,
    DynamicRisk,
    HealthRecord,
    Inclusion,
    Mappa,
    NameUse,
    Plan,
    PoliceNotification,
    PoliceOrder,
    RiskOfHarm,
)
from gateway.demo.records import Scribe, named
from gateway.demo.registry_office import years_before
from gateway.demo.staff import (
    CAMHS,
    CAMHS_STAFF,
    CASEY_MOOR,
    CHILD_ABUSE_SOUTH,
    COUNCILS,
    DANA_AMIN,
    HANA_LIND,
    HEALTH_VISITING,
    HEALTH_VISITORS,
    OFFICERS,
    PETRA_BLUM,
    PRACTICES,
    PROBATION_TEAMS,
    PUBLIC_PROTECTION,
    RAVI_OKAFOR,
    SAM_OKORO,
    SCHOOL_NURSES,
    SCHOOL_NURSING,
    SUBSTANCE_STAFF,
    YOUNG_PEOPLES_SUBSTANCE_USE,
)

NORTHSHIRE, EASTMARCH, WESTVALE = (COUNCILS[name] for name in ("northshire", "eastmarch", "westvale"))


def published_stories(scribe: Scribe) -> tuple[list[Child], list[Adult]]:
    """Return the children, in the order of the stories, and the adults linked to them."""
    father, stepfather = _supervised_father(scribe), _unallocated_stepfather(scribe)
    children = [
        _ordinary(scribe),
        *_twins(scribe),
        _shielded(scribe),
        _sensitive_service(scribe),
        _linked_adult(scribe, father),
        _three_authorities(scribe),
        _unallocated(scribe, stepfather),
        _nobody_involved(scribe),
        _unknown(scribe),
        _agency_down(scribe),
        _former_surname(scribe),
        _turned_18(scribe),
        _deceased(scribe),
    ]
    return children, [father, stepfather]


def _ordinary(scribe: Scribe) -> Child:
    born = years_before(scribe.today, 4, 250)
    return scribe.child(
        named("Ada Rose", "Amis", born),
        born,
        "F",
        story="ordinary",
        health=HealthRecord(
            "U",
            PRACTICES[0],
            care_teams=(
                scribe.care_team(HEALTH_VISITING, HANA_LIND, since=900),
                scribe.care_team(SCHOOL_NURSING, SCHOOL_NURSES[0], since=60, inclusion=Inclusion.INCLUDED),
                scribe.care_team(HEALTH_VISITING, HEALTH_VISITORS[3], since=1600, ended=901),
            ),
            flags=(scribe.flag("CPP", "northshire", since=120),),
        ),
        police=scribe.police(
            scribe.police_row(RAVI_OKAFOR),
            scribe.police_row(OFFICERS[2], PUBLIC_PROTECTION, event_type="DOMESTIC_INCIDENT", since=700, ended=600),
            orders=(
                PoliceOrder("POLICE_PROTECTION_S46", scribe.days_ago(130), scribe.days_ago(127), CHILD_ABUSE_SOUTH),
            ),
            notifications=(PoliceNotification("PUBLIC_PROTECTION_NOTICE", scribe.days_ago(129), "CHILDRENS_SERVICES"),),
        ),
        councils=(
            scribe.council(
                "northshire",
                scribe.council_row(NORTHSHIRE.safeguarding, SAM_OKORO, kind="CHILD_PROTECTION", since=120, lead=True),
                scribe.council_row(NORTHSHIRE.assessment, NORTHSHIRE.workers[1], since=180, ended=121),
                status="CP_PLAN",
                since=120,
                plan=Plan(
                    "CHILD_PROTECTION",
                    scribe.days_ago(120),
                    scribe.days_ago(-60),
                    "Neglect",
                    conference_on=scribe.days_ago(-58),
                    core_group_on=scribe.days_ago(-9),
                ),
                assessments=(scribe.early_help(NORTHSHIRE.early_help),),
            ),
        ),
        school=(scribe.school_row(DANA_AMIN, since=80),),
    )


def _twins(scribe: Scribe) -> list[Child]:
    """Same date of birth, surname and home: only the first name and the number tell them apart."""
    born = years_before(scribe.today, 7, 40)
    return [
        scribe.child(
            named(given, "Adeyemi", born),
            born,
            sex,
            story="twins",
            postcode="ZZ99 2BB",
            birth_order=order,
            health=HealthRecord(
                "U", PRACTICES[0], care_teams=(scribe.care_team(SCHOOL_NURSING, SCHOOL_NURSES[1], since=800),)
            ),
            councils=(
                scribe.council(
                    "northshire",
                    scribe.council_row(NORTHSHIRE.safeguarding, worker, since=240, lead=True),
                    status="CIN_S17",
                    since=240,
                ),
            ),
            school=(scribe.school_row(DANA_AMIN, since=500),),
        )
        for order, (given, sex, worker) in enumerate([("Taiwo", "F", SAM_OKORO), ("Kehinde", "M", CASEY_MOOR)], 1)
    ]


def _shielded(scribe: Scribe) -> Child:
    """In a refuge: known to three agencies, and none of the demo's personas works with the child."""
    born = years_before(scribe.today, 6, 20)
    return scribe.child(
        named("Beatrix", "Barlow", born),
        born,
        "F",
        story="shielded",
        area="eastmarch",
        postcode=None,
        health=HealthRecord("R", None, care_teams=(scribe.care_team(SCHOOL_NURSING, SCHOOL_NURSES[2], since=90),)),
        police=scribe.police(
            scribe.police_row(OFFICERS[1], PUBLIC_PROTECTION, event_type="DOMESTIC_INCIDENT"), restricted=True
        ),
        councils=(
            scribe.council(
                "eastmarch",
                scribe.council_row(EASTMARCH.safeguarding, EASTMARCH.workers[2], kind="CHILD_PROTECTION", lead=True),
                shielded=True,
                status="CP_PLAN",
            ),
        ),
    )


def _sensitive_service(scribe: Scribe) -> Child:
    """One service with the young person's consent, until next year; another without any basis to be mentioned."""
    born = years_before(scribe.today, 14, 100)
    consent = DisclosureBasis("CONSENT", scribe.today.replace(year=scribe.today.year + 1, month=1, day=31))
    return scribe.child(
        named("Cai", "Pritchard", born),
        born,
        "M",
        story="sensitive-service",
        health=HealthRecord(
            "U",
            PRACTICES[1],
            care_teams=(
                scribe.care_team(HEALTH_VISITING, HANA_LIND, since=400),
                scribe.care_team(CAMHS, CAMHS_STAFF[0], since=150, labels=("MH",), basis=consent, episode=True),
                scribe.care_team(YOUNG_PEOPLES_SUBSTANCE_USE, SUBSTANCE_STAFF[0], since=45, labels=("SUD",)),
            ),
        ),
        councils=(
            scribe.council(
                "northshire",
                scribe.council_row(NORTHSHIRE.early_help, SAM_OKORO, kind="EARLY_HELP"),
                status="EARLY_HELP",
            ),
        ),
    )


def _supervised_father(scribe: Scribe) -> Adult:
    return Adult(
        crn=scribe.office.crn(),
        prison_number=None,
        given="Dexter",
        middle="John",
        family="Coyle",
        date_of_birth=years_before(scribe.today, 34, 12),
        sex="M",
        team=PROBATION_TEAMS[2],
        officer=PETRA_BLUM,
        allocation=Allocation.OFFICER,
        mappa=Mappa(level=2, category=2, started_on=scribe.days_ago(200), review_on=scribe.days_ago(-40)),
        risks=(DynamicRisk("RCCO", "Child Concerns", scribe.days_ago(200), scribe.days_ago(-40)),),
        harm=RiskOfHarm(scribe.days_ago(190), "HIGH", "HIGH"),
    )


def _linked_adult(scribe: Scribe, father: Adult) -> Child:
    born = years_before(scribe.today, 9, 5)
    return scribe.child(
        named("Daria", "Coyle", born),
        born,
        "F",
        story="linked-adult-probation",
        health=HealthRecord(
            "U", PRACTICES[1], care_teams=(scribe.care_team(SCHOOL_NURSING, SCHOOL_NURSES[0], since=700),)
        ),
        councils=(
            scribe.council(
                "northshire",
                scribe.council_row(NORTHSHIRE.safeguarding, SAM_OKORO, kind="CHILD_PROTECTION", lead=True),
                adults=(scribe.linked(father, "FATHER"),),
                status="ENQUIRY_S47",
                since=20,
            ),
        ),
    )


def _three_authorities(scribe: Scribe) -> Child:
    """Looked after by one authority, placed in a second, with family history in a third."""
    born = years_before(scribe.today, 11, 77)
    return scribe.child(
        named("Elias", "Farouk", born),
        born,
        "M",
        story="three-authorities",
        health=HealthRecord(
            "U",
            PRACTICES[2],
            care_teams=(scribe.care_team(SCHOOL_NURSING, SCHOOL_NURSES[3]),),
            flags=(scribe.flag("LAC", "eastmarch", since=500),),
        ),
        councils=(
            scribe.council(
                "northshire",
                scribe.council_row(NORTHSHIRE.safeguarding, NORTHSHIRE.workers[4], kind="PLACEMENT_VISITS"),
                status="CIN_S17",
            ),
            scribe.council(
                "eastmarch",
                scribe.council_row(
                    EASTMARCH.looked_after, EASTMARCH.workers[5], kind="LOOKED_AFTER", since=500, lead=True
                ),
                status="CLA_S31",
                since=500,
                plan=Plan("CARE", scribe.days_ago(500), scribe.days_ago(-30), None),
            ),
            scribe.council("westvale", scribe.council_row(WESTVALE.early_help, WESTVALE.workers[1], kind="EARLY_HELP")),
        ),
    )


def _unallocated_stepfather(scribe: Scribe) -> Adult:
    return Adult(
        crn=scribe.office.crn(),
        prison_number=None,
        given="Gavin",
        middle=None,
        family="Flint",
        date_of_birth=years_before(scribe.today, 41, 200),
        sex="M",
        team=PROBATION_TEAMS[0],
        officer=None,
        allocation=Allocation.PLACEHOLDER_UNALLOCATED,
    )


def _unallocated(scribe: Scribe, stepfather: Adult) -> Child:
    """Nobody is allocated yet, here or there: the team answers."""
    born = years_before(scribe.today, 3, 60)
    return scribe.child(
        named("Finn", "Underhill", born),
        born,
        "M",
        story="unallocated",
        health=HealthRecord("U", PRACTICES[0], care_teams=(scribe.care_team(HEALTH_VISITING, since=250),)),
        councils=(
            scribe.council(
                "northshire",
                scribe.council_row(NORTHSHIRE.assessment, None, kind="ASSESSMENT", since=10, lead=True),
                adults=(scribe.linked(stepfather, "STEPFATHER", since=9),),
                status="CIN_S17",
                since=10,
            ),
        ),
    )


def _nobody_involved(scribe: Scribe) -> Child:
    born = years_before(scribe.today, 8, 160)
    return scribe.child(
        named("Grace", "Oakley", born), born, "F", story="nobody-involved", health=HealthRecord("U", PRACTICES[3])
    )


def _unknown(scribe: Scribe) -> Child:
    """A valid number that no agency holds; the date and the name are what an asker would type."""
    born = years_before(scribe.today, 5, 300)
    return scribe.child(named("Hugo", "Quayle", born), born, "M", story="unknown", postcode=None)


def _agency_down(scribe: Scribe) -> Child:
    """The police simulator answers 503 whenever it is asked about this child."""
    born = years_before(scribe.today, 10, 10)
    return scribe.child(
        named("Ivy", "Fenwick", born),
        born,
        "F",
        story="agency-down",
        health=HealthRecord("U", PRACTICES[0], care_teams=(scribe.care_team(SCHOOL_NURSING, SCHOOL_NURSES[1]),)),
        police=scribe.police(scribe.police_row(OFFICERS[0])),
        councils=(
            scribe.council(
                "northshire",
                scribe.council_row(NORTHSHIRE.safeguarding, SAM_OKORO, since=75, lead=True),
                status="CIN_S17",
                since=75,
            ),
        ),
    )


def _former_surname(scribe: Scribe) -> Child:
    """Took a new name after a change of family; somebody will still ask with the old one."""
    born = years_before(scribe.today, 12, 33)
    return scribe.child(
        (
            named("Jude", "Rowntree", scribe.days_ago(300)),
            named("Jude", "Sharp", born, NameUse.FORMER, scribe.days_ago(300)),
        ),
        born,
        "M",
        story="former-surname",
        health=HealthRecord("U", PRACTICES[2], care_teams=(scribe.care_team(SCHOOL_NURSING, SCHOOL_NURSES[4]),)),
        councils=(
            scribe.council(
                "northshire",
                scribe.council_row(NORTHSHIRE.safeguarding, SAM_OKORO, since=310, lead=True),
                status="CIN_S17",
                since=310,
            ),
        ),
    )


def _turned_18(scribe: Scribe) -> Child:
    born = years_before(scribe.today, 18, 10)
    return scribe.child(
        named("Keira", "Walsh", born),
        born,
        "F",
        story="turned-18",
        health=HealthRecord(
            "U", PRACTICES[1], care_teams=(scribe.care_team(SCHOOL_NURSING, SCHOOL_NURSES[0], since=2000, ended=700),)
        ),
        councils=(
            scribe.council(
                "northshire",
                scribe.council_row(NORTHSHIRE.looked_after, NORTHSHIRE.workers[6], kind="LEAVING_CARE", since=1400),
                status="CARE_LEAVER",
                since=10,
            ),
        ),
    )


def _deceased(scribe: Scribe) -> Child:
    born = years_before(scribe.today, 2, 90)
    return scribe.child(
        named("Leon", "Tanner", born),
        born,
        "M",
        story="deceased",
        deceased_on=scribe.days_ago(40),
        health=HealthRecord(
            "U", PRACTICES[3], care_teams=(scribe.care_team(HEALTH_VISITING, HEALTH_VISITORS[1], since=700, ended=40),)
        ),
        councils=(
            scribe.council(
                "northshire",
                scribe.council_row(NORTHSHIRE.assessment, NORTHSHIRE.workers[2], kind="ASSESSMENT", since=90, ended=38),
                status="CIN_S17",
                since=90,
                until=40,
            ),
        ),
    )
