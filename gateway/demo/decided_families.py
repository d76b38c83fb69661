"""Families about whom somebody has decided what may be told: an authority, a young person, parents."""

from __future__ import annotations

from gateway.demo.people import Child, DisclosureBasis, HealthRecord, Sharing
from gateway.demo.records import Scribe, named
from gateway.demo.registry_office import years_before
from gateway.demo.staff import (
    CAMHS,
    CAMHS_STAFF,
    COUNCILS,
    DANA_AMIN,
    OAK_PRIMARY,
    PRACTICES,
    SCHOOL_NURSES,
    SCHOOL_NURSING,
)

NORTHSHIRE = COUNCILS["northshire"]


def decided_families(scribe: Scribe) -> list[Child]:
    """Return the children, in a fixed order."""
    return [_refused(scribe), _withdrawn_consent(scribe), _early_help_at_school(scribe), _early_help_ended(scribe)]


def _refused(scribe: Scribe) -> Child:
    """The authority has decided that to tell of its work would be more detrimental to the child than not to."""
    born = years_before(scribe.today, 12, 140)
    return scribe.child(
        named("Robin", "Castell", born),
        born,
        "F",
        story="refused",
        health=HealthRecord("U", PRACTICES[1], care_teams=(scribe.care_team(SCHOOL_NURSING, SCHOOL_NURSES[2]),)),
        councils=(
            scribe.council(
                "northshire",
                scribe.council_row(NORTHSHIRE.safeguarding, NORTHSHIRE.workers[6], kind="CHILD_PROTECTION", lead=True),
                status="ENQUIRY_S47",
                sharing=Sharing("DO_NOT_SHARE", "MORE_DETRIMENTAL"),
            ),
        ),
    )


def _withdrawn_consent(scribe: Scribe) -> Child:
    """A young person consented that a service may be mentioned, and has since changed their mind."""
    born = years_before(scribe.today, 15, 30)
    withdrawn = DisclosureBasis("CONSENT", scribe.days_ago(-300), scribe.days_ago(4))
    return scribe.child(
        named("Ash", "Novak", born),
        born,
        "M",
        story="withdrawn-consent",
        health=HealthRecord(
            "U",
            PRACTICES[2],
            care_teams=(
                scribe.care_team(SCHOOL_NURSING, SCHOOL_NURSES[3], since=90),
                scribe.care_team(CAMHS, CAMHS_STAFF[1], since=80, labels=("MH",), basis=withdrawn, episode=True),
            ),
        ),
    )


def _early_help_at_school(scribe: Scribe) -> Child:
    """The school holds the assessment and leads; the family consented that this may be told."""
    born = years_before(scribe.today, 8, 21)
    return scribe.child(
        named("Nell", "Osei", born),
        born,
        "F",
        story="early-help-at-school",
        health=HealthRecord("U", PRACTICES[0], care_teams=(scribe.care_team(SCHOOL_NURSING, SCHOOL_NURSES[0]),)),
        school=(scribe.school_row(DANA_AMIN, since=300, lead=True),),
        school_assessments=(scribe.early_help(OAK_PRIMARY, since=280),),
    )


def _early_help_ended(scribe: Scribe) -> Child:
    """The family withdrew: that there is an assessment is no longer told, by the authority or by the school."""
    born = years_before(scribe.today, 9, 200)
    return scribe.child(
        named("Otto", "Pell", born),
        born,
        "M",
        story="early-help-withdrawn",
        health=HealthRecord("U", PRACTICES[0]),
        councils=(
            scribe.council(
                "northshire",
                scribe.council_row(NORTHSHIRE.early_help, NORTHSHIRE.workers[7], kind="EARLY_HELP"),
                status="EARLY_HELP",
                assessments=(scribe.early_help(NORTHSHIRE.early_help, since=200, withdrawn=2),),
            ),
        ),
        school=(scribe.school_row(DANA_AMIN, since=300),),
        school_assessments=(scribe.early_help(OAK_PRIMARY, since=200, withdrawn=2),),
    )
