"""What a health source tells beyond who is involved: identity, registration and safeguarding flags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import get_args

from connectors import answers
from connectors.base import FieldMask
from connectors.health.identity import current_name, registered_with
from connectors.health.labels import sensitivity
from connectors.health.people import contact_of
from connectors.health.resources import Flag, Organization, Patient, whole_date
from connectors.health.searchset import Pool
from schema.records import Agency
from schema.sections import ChildIdentity, FlagCode, HealthRecord, Registered, SafeguardingFlag
from schema.vocabulary import Sensitivity

SAFEGUARDING = "health.safeguarding"
HOLDS = frozenset({answers.INVOLVEMENTS, answers.PREVIOUS}) | answers.paths(ChildIdentity) | answers.paths(HealthRecord)

_CODES = frozenset(get_args(FlagCode))


def sections(
    patient: Patient | None,
    flags: Iterable[tuple[Flag, Pool]],
    mask: FieldMask,
    agency: Agency,
    today: date,
) -> Mapping[type, object]:
    """Return the sections that the mask opens and of which there is anything to tell."""
    told: dict[type, Mapping[str, object]] = {}
    if patient is not None:
        name = current_name(patient)
        told[ChildIdentity] = {
            "given_names": (name.given or None) if name else None,
            "family_name": name.family if name else None,
            "date_of_birth": whole_date(patient.birth_date),
        }
    practices = registered_with(patient, today) if patient is not None else ()
    told[HealthRecord] = {
        "registration": tuple(Registered(agency, *practice) for practice in practices) or None,
        "safeguarding": _safeguarding(flags, agency, today) or None,
    }
    return answers.narrow(told, mask)


def _safeguarding(flags: Iterable[tuple[Flag, Pool]], agency: Agency, today: date) -> tuple[SafeguardingFlag, ...]:
    found = set()
    for flag, pool in flags:
        ended = whole_date(flag.period.end) if flag.period else None
        # a section has no label of its own, so a labelled flag is not told
        if (
            flag.status != "active"
            or (ended and ended < today)
            or sensitivity(flag.meta.security) != Sensitivity.STANDARD
        ):
            continue
        since = whole_date(flag.period.start) if flag.period else None
        authority = _authority(flag, pool)
        found |= {
            SafeguardingFlag(agency, c.code, since, ended, *authority)
            for c in flag.code.coding
            if c.code and c.code in _CODES
        }
    return tuple(sorted(found, key=lambda flag: (flag.code, flag.since or date.min, flag.authority or "")))


def _authority(flag: Flag, pool: Pool) -> tuple[str | None, str | None, str | None]:
    """Return the responsible authority's name, its telephone and that of its emergency duty team (CP-IS)."""
    held = pool.find(flag.author, Organization, flag.contained)
    phone, _, out_of_hours = contact_of(held.telecom) if held else (None, None, None)
    name = (held.name if held else None) or (flag.author.display if flag.author else None)
    return name, phone, out_of_hours
