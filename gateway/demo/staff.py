"""Teams and staff of the fictional agencies; the demo's personas are among them and work with some children."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.demo.names import STAFF_FAMILY, STAFF_GIVEN
from gateway.demo.people import Officer, Team, Worker

AUTHORITIES: Final = ("northshire", "eastmarch", "westvale")
AUTHORITY_NAMES: Final = {
    "northshire": "Northshire Council",
    "eastmarch": "Eastmarch Council",
    "westvale": "Westvale Council",
}
AUTHORITY_ODS: Final = {"northshire": "901", "eastmarch": "902", "westvale": "903"}
HEALTH_TRUST: Final = "Northshire Community NHS Trust"
HEALTH_TRUST_ODS: Final = "R9N"
PRACTICES: Final = ("Y99001", "Y99002", "Y99003", "Y99004")


def phone(last_three: int) -> str:
    """Return a telephone number of the range kept for drama, 01632 960000 to 960999; raises ValueError beyond it."""
    if not 0 <= last_three <= 999:
        raise ValueError("the range kept for drama has a thousand numbers")
    return f"01632 960{last_three:03d}"


def _email(given: str, family: str, domain: str) -> str:
    return f"{given}.{family}@{domain}".lower().replace(" ", "")


@dataclass(frozen=True, slots=True)
class Council:
    """The teams and social workers of one authority."""

    authority: str
    domain: str
    assessment: Team
    safeguarding: Team
    looked_after: Team
    early_help: Team
    workers: tuple[Worker, ...]

    @property
    def teams(self) -> tuple[Team, ...]:
        return (self.assessment, self.safeguarding, self.looked_after, self.early_help)


def _council(index: int, authority: str) -> Council:
    domain, base, prefix = f"{authority}.example", 100 + 50 * index, authority[0].upper()

    def team(offset: int, code: str, name: str) -> Team:
        return Team(f"{prefix}-{code}", name, phone(base + offset), f"{code.lower()}@{domain}", phone(base))

    workers = tuple(
        Worker(
            code=f"{prefix}-W{number:02d}",
            given=STAFF_GIVEN[(index * 7 + number) % len(STAFF_GIVEN)],
            family=STAFF_FAMILY[(index * 11 + number * 3) % len(STAFF_FAMILY)],
            role="Social worker",
            registration=f"SW91{index}{number:03d}",
            phone=phone(base + 10 + number),
            email=_email(
                STAFF_GIVEN[(index * 7 + number) % len(STAFF_GIVEN)],
                STAFF_FAMILY[(index * 11 + number * 3) % len(STAFF_FAMILY)],
                domain,
            ),
        )
        for number in range(12)
    )
    return Council(
        authority=authority,
        domain=domain,
        assessment=team(1, "ASMT", "Assessment Team"),
        safeguarding=team(2, "CIN", "Safeguarding and Support Team"),
        looked_after=team(3, "CLA", "Children Looked After Team"),
        early_help=team(4, "EH", "Early Help Hub"),
        workers=workers,
    )


COUNCILS: Final = {authority: _council(index, authority) for index, authority in enumerate(AUTHORITIES)}

SAM_OKORO: Final = Worker(
    "N-SAM", "Sam", "Okoro", "Social worker", "SW900001", phone(180), "sam.okoro@northshire.example"
)
CASEY_MOOR: Final = Worker(
    "N-CASEY", "Casey", "Moor", "Social worker", "SW900002", phone(181), "casey.moor@northshire.example"
)

# health

_TRUST_DOMAIN = "northshire.nhs.example"
HEALTH_VISITING: Final = Team("HV-S", "Health Visiting South", phone(401), f"hv-south@{_TRUST_DOMAIN}", phone(400))
SCHOOL_NURSING: Final = Team("SN", "School Nursing", phone(402), f"school-nursing@{_TRUST_DOMAIN}", phone(400))
COMMUNITY_PAEDIATRICS: Final = Team(
    "CP", "Community Paediatrics", phone(403), f"paediatrics@{_TRUST_DOMAIN}", phone(400)
)
PHYSIOTHERAPY: Final = Team("PT", "Children's Physiotherapy", phone(404), f"physio@{_TRUST_DOMAIN}")
SPEECH_AND_LANGUAGE: Final = Team("SLT", "Speech and Language Therapy", phone(405), f"slt@{_TRUST_DOMAIN}")
OCCUPATIONAL_THERAPY: Final = Team("OT", "Children's Occupational Therapy", phone(406), f"ot@{_TRUST_DOMAIN}")
DIETETICS: Final = Team("DT", "Children's Dietetics", phone(407), f"dietetics@{_TRUST_DOMAIN}")
CAMHS: Final = Team("CAMHS", "Child and Adolescent Mental Health", phone(410), f"camhs@{_TRUST_DOMAIN}", phone(411))
YOUNG_PEOPLES_SUBSTANCE_USE: Final = Team("YPSU", "Young People's Substance Use", phone(412), f"ypsu@{_TRUST_DOMAIN}")
SEXUAL_HEALTH: Final = Team("SH", "Young People's Sexual Health", phone(413), f"ypsh@{_TRUST_DOMAIN}")

HANA_LIND: Final = Worker(
    "HV-HANA", "Hana", "Lind", "Health visitor", "99A0001N", phone(480), f"hana.lind@{_TRUST_DOMAIN}"
)


def _nhs_staff(prefix: str, role: str, start: int, count: int) -> tuple[Worker, ...]:
    return tuple(
        Worker(
            code=f"{prefix}-{number:02d}",
            given=STAFF_GIVEN[(start + number * 2) % len(STAFF_GIVEN)],
            family=STAFF_FAMILY[(start + number * 5) % len(STAFF_FAMILY)],
            role=role,
            registration=f"99B{start:02d}{number:02d}N",
            phone=phone(420 + start % 50 + number),
            email=_email(
                STAFF_GIVEN[(start + number * 2) % len(STAFF_GIVEN)],
                STAFF_FAMILY[(start + number * 5) % len(STAFF_FAMILY)],
                _TRUST_DOMAIN,
            ),
        )
        for number in range(count)
    )


HEALTH_VISITORS: Final = _nhs_staff("HV", "Health visitor", 1, 8)
SCHOOL_NURSES: Final = _nhs_staff("SN", "School nurse", 12, 5)
THERAPISTS: Final = _nhs_staff("TH", "Therapist", 20, 8)
CAMHS_STAFF: Final = _nhs_staff("CA", "Mental health nurse", 32, 4)
SUBSTANCE_STAFF: Final = _nhs_staff("SU", "Substance use worker", 40, 2)

# police

_FORCE_DOMAIN = "northshire.police.example"
FORCE: Final = {"code": "99", "name": "Northshire Constabulary"}
CHILD_ABUSE_SOUTH: Final = Team(
    "CAIT-S", "Child Abuse Investigation Team South", phone(301), f"cait-south@{_FORCE_DOMAIN}", phone(300)
)
PUBLIC_PROTECTION: Final = Team("PPU", "Public Protection Unit", phone(302), f"ppu@{_FORCE_DOMAIN}", phone(300))
MISSING_PERSONS: Final = Team("MISPER", "Missing Persons Unit", phone(303), f"missing@{_FORCE_DOMAIN}", phone(300))

RAVI_OKAFOR: Final = Officer("DC 4411", "R Okafor", "DC")
OFFICERS: Final = tuple(
    Officer(f"{rank} {4500 + 7 * number}", f"{STAFF_GIVEN[number][0]} {STAFF_FAMILY[number]}", rank)
    for number, rank in enumerate(["DC", "DS", "PC", "DC", "PC", "DC", "DI", "PC"])
)

# probation

_PROBATION_DOMAIN = "northshire.probation.example"
PROBATION_TEAMS: Final = (
    Team("N99OM1", "Northshire Offender Management 1", phone(501), f"om1@{_PROBATION_DOMAIN}"),
    Team("N99OM2", "Northshire Offender Management 2", phone(502), f"om2@{_PROBATION_DOMAIN}"),
    Team("N99PP", "Northshire Public Protection", phone(503), f"public-protection@{_PROBATION_DOMAIN}"),
)
PETRA_BLUM: Final = Worker(
    "N99A001", "Petra", "Blum", "Probation practitioner", None, phone(580), f"petra.blum@{_PROBATION_DOMAIN}"
)
PROBATION_OFFICERS: Final = tuple(
    Worker(
        code=f"N99A{100 + number}",
        given=STAFF_GIVEN[-1 - number],
        family=STAFF_FAMILY[(number * 4) % len(STAFF_FAMILY)],
        role="Probation practitioner",
        registration=None,
        phone=phone(510 + number),
        email=_email(STAFF_GIVEN[-1 - number], STAFF_FAMILY[(number * 4) % len(STAFF_FAMILY)], _PROBATION_DOMAIN),
    )
    for number in range(8)
)
PRISON_MANAGERS: Final = (
    Worker("P99-1", "Noor", "Tully", "Prison offender manager", None, phone(590), f"noor.tully@{_PROBATION_DOMAIN}"),
    Worker("P99-2", "Lars", "Gough", "Prison offender manager", None, phone(591), f"lars.gough@{_PROBATION_DOMAIN}"),
)

# school

OAK_PRIMARY: Final = Team(
    "OAK", "Oak Primary School safeguarding", phone(601), "safeguarding@oak-primary.example", phone(602)
)
DANA_AMIN: Final = Worker(
    "OAK-1", "Dana", "Amin", "Designated safeguarding lead", None, phone(603), "dana.amin@oak-primary.example"
)
SCHOOL_STAFF: Final = (
    Worker("OAK-2", "Tess", "Wren", "Pastoral lead", None, phone(604), "tess.wren@oak-primary.example"),
    Worker(
        "OAK-3", "Imran", "Jessop", "Special needs co-ordinator", None, phone(605), "imran.jessop@oak-primary.example"
    ),
)
