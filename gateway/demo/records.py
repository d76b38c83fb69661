"""Short ways to write what an agency holds: the stories and the other households are both told in these."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from gateway.demo.people import (
    Adult,
    Assessment,
    CareTeam,
    Child,
    Consent,
    CouncilInvolvement,
    CouncilRecord,
    DisclosureBasis,
    HealthRecord,
    Inclusion,
    LinkedAdult,
    NameUse,
    Officer,
    PersonName,
    Plan,
    PoliceInvolvement,
    PoliceNotification,
    PoliceOrder,
    PoliceRecord,
    SafeguardingFlag,
    SchoolInvolvement,
    Sharing,
    StatutoryStatus,
    Team,
    Worker,
)
from gateway.demo.registry_office import RegistryOffice
from gateway.demo.staff import CHILD_ABUSE_SOUTH, HEALTH_TRUST_ODS, OAK_PRIMARY


def named(
    given: str, family: str, since: date, use: NameUse = NameUse.CURRENT, until: date | None = None
) -> PersonName:
    """Return one name; several given names are separated by spaces."""
    return PersonName(use=use, given=tuple(given.split()), family=family, since=since, until=until)


@dataclass(frozen=True, slots=True)
class Scribe:
    """Writes agencies' rows: dates count back from `today`, numbers come from the office."""

    office: RegistryOffice
    today: date

    def days_ago(self, days: int) -> date:
        return self.today - timedelta(days=days)

    def child(
        self,
        names: PersonName | tuple[PersonName, ...],
        born: date,
        sex: str,
        *,
        story: str | None = None,
        area: str = "northshire",
        postcode: str | None = "ZZ99 1AA",
        deceased_on: date | None = None,
        birth_order: int | None = None,
        health: HealthRecord | None = None,
        police: PoliceRecord | None = None,
        councils: tuple[CouncilRecord, ...] = (),
        school: tuple[SchoolInvolvement, ...] = (),
        school_assessments: tuple[Assessment, ...] = (),
    ) -> Child:
        """Return a child with the next NHS number; the current name comes first."""
        return Child(
            nhs_number=self.office.nhs_number(),
            date_of_birth=born,
            sex=sex,
            names=names if isinstance(names, tuple) else (names,),
            area=area,
            postcode=postcode,
            story=story,
            deceased_on=deceased_on,
            birth_order=birth_order,
            health=health,
            police=police,
            councils=councils,
            school=school,
            school_assessments=school_assessments,
        )

    def council(
        self,
        authority: str,
        *rows: CouncilInvolvement,
        shielded: bool = False,
        adults: tuple[LinkedAdult, ...] = (),
        status: str | None = None,
        since: int = 200,
        until: int | None = None,
        plan: Plan | None = None,
        assessments: tuple[Assessment, ...] = (),
        sharing: Sharing | None = None,
    ) -> CouncilRecord:
        return CouncilRecord(
            authority=authority,
            local_id=self.office.record_id(authority[0].upper()),
            shielded=shielded,
            involvements=rows,
            linked_adults=adults,
            statutory=()
            if status is None
            else (StatutoryStatus(status, self.days_ago(since), None if until is None else self.days_ago(until)),),
            plans=() if plan is None else (plan,),
            assessments=assessments,
            sharing=sharing,
        )

    def linked(self, adult: Adult, relationship: str, *, since: int = 150) -> LinkedAdult:
        return LinkedAdult(adult.crn, None, relationship, self.days_ago(since))

    def early_help(self, team: Team, since: int = 400, *, withdrawn: int | None = None) -> Assessment:
        """Return an assessment to which the family consented for two years; `withdrawn` days ago they ended that."""
        started = self.days_ago(since)
        consent = Consent(
            started, started + timedelta(days=730), None if withdrawn is None else self.days_ago(withdrawn)
        )
        row = self.office.record_id("EHA")
        return Assessment(row, "EARLY_HELP_ASSESSMENT", team, started, self.days_ago(since - 30), consent)

    def flag(self, code: str, authority: str, *, since: int, ended: int | None = None) -> SafeguardingFlag:
        row = self.office.record_id("flag").lower()
        return SafeguardingFlag(
            row, code, authority, self.days_ago(since), None if ended is None else self.days_ago(ended)
        )

    def council_row(
        self,
        team: Team,
        worker: Worker | None,
        *,
        kind: str = "CHILD_IN_NEED",
        since: int = 200,
        ended: int | None = None,
        lead: bool = False,
    ) -> CouncilInvolvement:
        return CouncilInvolvement(
            id=self.office.record_id("CS"),
            kind=kind,
            team=team,
            worker=worker,
            started_on=self.days_ago(since),
            ended_on=None if ended is None else self.days_ago(ended),
            is_lead=lead,
            last_confirmed_on=self.days_ago(3 if ended is None else ended),
        )

    def police(
        self,
        *rows: PoliceInvolvement,
        restricted: bool = False,
        handling_code: str = "P",
        match_score: float = 0.98,
        orders: tuple[PoliceOrder, ...] = (),
        notifications: tuple[PoliceNotification, ...] = (),
    ) -> PoliceRecord:
        nominal = self.office.nominal_id()
        return PoliceRecord(
            nominal, restricted, handling_code, ("CHILD_AT_RISK",), match_score, rows, orders, notifications
        )

    def police_row(
        self,
        officer: Officer | None,
        unit: Team = CHILD_ABUSE_SOUTH,
        *,
        event_type: str = "PUBLIC_PROTECTION_NOTICE",
        role: str = "SAFEGUARDING_DETECTIVE",
        since: int = 90,
        ended: int | None = None,
        do_not_disclose: bool = False,
    ) -> PoliceInvolvement:
        return PoliceInvolvement(
            id=self.office.record_id("INV"),
            event_type=event_type,
            role=role,
            officer=officer,
            unit=unit,
            started_on=self.days_ago(since),
            ended_on=None if ended is None else self.days_ago(ended),
            last_confirmed_on=self.days_ago(5 if ended is None else ended),
            do_not_disclose=do_not_disclose,
        )

    def care_team(
        self,
        team: Team,
        *practitioners: Worker,
        since: int = 300,
        ended: int | None = None,
        labels: tuple[str, ...] = (),
        basis: DisclosureBasis | None = None,
        episode: bool = False,
        inclusion: Inclusion = Inclusion.CONTAINED,
    ) -> CareTeam:
        return CareTeam(
            id=self.office.record_id("ct").lower(),
            team=team,
            organisation=HEALTH_TRUST_ODS,
            practitioners=practitioners,
            started_on=self.days_ago(since),
            ended_on=None if ended is None else self.days_ago(ended),
            labels=labels,
            basis=basis,
            episode=episode,
            inclusion=inclusion,
        )

    def school_row(
        self, worker: Worker, *, since: int = 250, ended: int | None = None, lead: bool = False
    ) -> SchoolInvolvement:
        return SchoolInvolvement(
            id=self.office.record_id("SCH"),
            worker=worker,
            team=OAK_PRIMARY,
            started_on=self.days_ago(since),
            ended_on=None if ended is None else self.days_ago(ended),
            last_confirmed_on=self.days_ago(10 if ended is None else ended),
            lead=lead,
        )
