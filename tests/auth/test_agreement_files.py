"""Agreements on disk: what cannot be read in full stops the loading, and says where."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from auth.agreement_files import AgreementsUnreadable, load
from auth.agreement_folder import read
from schema.vocabulary import AgencyKind, Assurance, Purpose, Regime, Relationship, Role

ORGANISATIONS = """\
[[organisation]]
id = "amber-council"
name = "Amber Council"
kind = "CHILDRENS_SERVICES"
area = "amber"

[[organisation]]
id = "elm-school"
name = "Elm School"
kind = "SCHOOL"

[[organisation]]
id = "amber-court"
name = "Amber Court"
kind = "OTHER"
appoints = ["CAFCASS_S42", "COURT_ORDER"]
audits = ["amber-council", "*"]
"""
BASES = """\
[[basis]]
purpose = "CP_S47"
gateway = "Children Act 1989 s.47"
regime = "UK_GDPR"
recipient_regime = "DPA_PART_3"
commenced = 1991-10-14

[[basis]]
purpose = "SAFEGUARD_S16LA"
gateway = "Children Act 2004 s.16LA"
regime = "UK_GDPR"
recipient_regime = "UK_GDPR"
commenced = false
"""
AGREEMENT = """\
id = "police"
title = "Police"
custodian = "kind:POLICE"
controller = "The chief officer"
owner = "Head of Public Protection"
approver = "Data Protection Officer"
approved_on = 2026-01-01
review_on = 2026-12-31
areas = ["amber"]
team_only = ["SCHOOL"]

[[grant]]
to = ["CHILDRENS_SERVICES"]
roles = ["social_worker"]
purposes = ["CP_S47"]
relationship = "NONE"
assurance = "STANDARD"
opens = ["involvements"]

[[grant]]
to = ["SCHOOL"]
organisations = ["elm-school"]
roles = ["school_safeguarding_lead"]
purposes = ["SAFEGUARD_S16LA"]
relationship = "PRACTITIONER"
assurance = "STRONG"
opens = ["involvements", "police.events"]
read = "SILENT"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "organisations.toml").write_text(ORGANISATIONS)
    (tmp_path / "lawful-bases.toml").write_text(BASES)
    (tmp_path / "police.toml").write_text(AGREEMENT)
    return tmp_path


def test_a_good_set_is_read_in_full(folder: Path) -> None:
    found = load(folder)

    assert found.organisations["amber-council"].kind is AgencyKind.CHILDRENS_SERVICES
    assert (found.organisations["amber-council"].area, found.organisations["elm-school"].area) == ("amber", None)
    assert found.organisations["elm-school"].appoints == frozenset()
    assert found.organisations["elm-school"].audits == frozenset()
    assert found.organisations["amber-court"].audits == {"amber-council", "*"}
    assert found.organisations["amber-court"].appoints == {Purpose.CAFCASS_S42, Purpose.COURT_ORDER}
    assert found.bases[Purpose.CP_S47].commenced == date(1991, 10, 14)
    assert found.bases[Purpose.CP_S47].recipient_regime is Regime.DPA_PART_3
    assert found.bases[Purpose.SAFEGUARD_S16LA].commenced is None
    (agreement,) = found.agreements
    assert (agreement.custodian, agreement.areas) == ("kind:POLICE", frozenset({"amber"}))
    assert agreement.team_only == {AgencyKind.SCHOOL}
    second = agreement.grants[1]
    assert (second.organisations, second.relationship, second.assurance, second.opens, second.roles) == (
        frozenset({"elm-school"}),
        Relationship.PRACTITIONER,
        Assurance.STRONG,
        frozenset({"involvements", "police.events"}),
        frozenset({Role.SCHOOL_SAFEGUARDING_LEAD}),
    )
    assert [g.silent for g in agreement.grants] == [False, True]


def test_the_version_is_that_of_the_files_and_changes_with_any_of_them(folder: Path) -> None:
    first = load(folder).version
    again = load(folder).version
    (folder / "police.toml").write_text(AGREEMENT + "\n# a word\n")
    other = load(folder).version
    (folder / "police.toml").rename(folder / "force.toml")

    assert first == again
    assert len({first, other, load(folder).version}) == 3


FAULTS = [
    # file, what is replaced, by what, line, words of the rule
    (
        "police.toml",
        'relationship = "NONE"',
        'relationship = "SOMETIMES"',
        16,
        "relationship: SOMETIMES is not a relationship",
    ),
    ("police.toml", 'relationship = "PRACTITIONER"', 'relationship = "SOMETIMES"', 25, "SOMETIMES"),
    (
        "police.toml",
        'roles = ["social_worker"]',
        'roles = ["wizard"]',
        14,
        "roles: wizard is not a role; there are social_worker, ",
    ),
    ("police.toml", 'roles = ["school_safeguarding_lead"]', 'roles = "all"', 23, "roles: must be a list"),
    (
        "police.toml",
        'purposes = ["CP_S47"]',
        'purposes = ["CURIOSITY"]',
        15,
        "purposes: CURIOSITY is not a purpose; there are ",
    ),
    ("police.toml", 'opens = ["involvements"]', 'opens = ["everything"]', 18, "not a path that can be opened"),
    ("police.toml", 'opens = ["involvements", "police.events"]', "opens = []", 27, "a grant needs"),
    ("police.toml", 'to = ["CHILDRENS_SERVICES"]', "to = []", 18, "a grant needs"),
    (
        "police.toml",
        'organisations = ["elm-school"]',
        "organisations = []",
        22,
        "organisations: is empty; leave it out to mean every organisation of those kinds",
    ),
    ("police.toml", 'organisations = ["elm-school"]', 'organisations = "elm"', 22, "organisations: must be a list"),
    ("police.toml", 'areas = ["amber"]', "areas = []", 9, "areas: is empty; leave it out to mean"),
    ("police.toml", 'team_only = ["SCHOOL"]', "team_only = []", 10, "team_only: is empty; leave it out to"),
    ("police.toml", 'title = "Police"', "title = " + "[" * 5000, 1, "cannot be parsed"),
    ("police.toml", 'assurance = "STRONG"', "", 20, "assurance: is missing"),
    ("police.toml", 'custodian = "kind:POLICE"', 'custodian = "kind:POLCE"', 3, "custodian names no agency kind"),
    (
        "police.toml",
        'team_only = ["SCHOOL"]',
        'team_only = ["SCHOOLS"]',
        10,
        "team_only: SCHOOLS is not an agency kind",
    ),
    ("police.toml", 'team_only = ["SCHOOL"]', 'team_only = "SCHOOL"', 10, "team_only: must be a list"),
    ("police.toml", "review_on = 2026-12-31", "review_on = 2026-01-01", 8, "not after the approval"),
    ("police.toml", "review_on = 2026-12-31", 'review_on = "soon"', 8, "review_on: must be a date"),
    (
        "police.toml",
        "review_on = 2026-12-31",
        "reviewed_on = 2026-12-31",
        8,
        "reviewed_on: is not a field of this table",
    ),
    ("police.toml", 'title = "Police"', "title = 3", 2, "title: must be a text"),
    ("police.toml", 'title = "Police"', 'title = "Police', 2, "line 2"),
    ("police.toml", 'opens = ["involvements", "police.events"]', 'opens = ["involvements"', 28, "Unclosed array"),
    (
        "police.toml",
        'read = "SILENT"',
        'read = "QUIET"',
        28,
        "read: QUIET is not a kind of read; there are NOTIFY, SILENT",
    ),
    (
        "organisations.toml",
        'appoints = ["CAFCASS_S42", ',
        'appoints = ["CURIOSITY", ',
        16,
        "CURIOSITY is not a purpose",
    ),
    (
        "organisations.toml",
        'appoints = ["CAFCASS_S42", ',
        'appoints = ["CP_S47", ',
        16,
        "appoints: nobody is appointed for CP_S47; there are CAFCASS_S42, COURT_ORDER, MAPPA_S325, PREVENT_CHANNEL",
    ),
    ("organisations.toml", 'appoints = ["CAFCASS_S42", "COURT_ORDER"]', "appoints = true", 16, "must be a list"),
    (
        "organisations.toml",
        'audits = ["amber-council", ',
        'audits = ["birch-council", ',
        17,
        "birch-council is no",
    ),
    ("organisations.toml", 'kind = "SCHOOL"', 'kind = "SCHOOLS"', 10, "kind: SCHOOLS is not an agency kind"),
    ("organisations.toml", 'id = "elm-school"', 'id = "amber-council"', 8, "stands twice"),
    ("organisations.toml", 'name = "Elm School"', "", 7, "name"),
    ("organisations.toml", 'kind = "SCHOOL"', 'kind = "SCHOOL"\ncolour = "red"', 7, "colour"),
    ("lawful-bases.toml", "commenced = false", "commenced = true", 9, "a date, or false"),
    ("lawful-bases.toml", 'purpose = "SAFEGUARD_S16LA"', 'purpose = "CP_S47"', 9, "stands twice"),
    ("lawful-bases.toml", "commenced = false", "", 8, "commenced"),
    (
        "lawful-bases.toml",
        'recipient_regime = "DPA_PART_3"',
        'recipient_regime = "EU"',
        5,
        "recipient_regime: EU is not a regime; there are UK_GDPR, DPA_PART_3",
    ),
    (
        "lawful-bases.toml",
        "commenced = false",
        'commenced = "yes"',
        13,
        "commenced: must be a date, such as 2026-10-01, or false",
    ),
]


@pytest.mark.parametrize(("name", "good", "bad", "line", "words"), FAULTS, ids=[f"{f[0]}-{f[2]}" for f in FAULTS])
def test_a_fault_is_told_with_file_and_line_and_the_rule(
    folder: Path, name: str, good: str, bad: str, line: int, words: str
) -> None:
    file = folder / name
    text = file.read_text()
    assert text.count(good) == 1
    file.write_text(text.replace(good, bad))

    with pytest.raises(AgreementsUnreadable) as refused:
        load(folder)

    told = str(refused.value)
    assert told.startswith(f"{file}:{line}: ")
    assert words in told
    assert "\n" not in told


@pytest.mark.parametrize("name", ["organisations.toml", "lawful-bases.toml"])
def test_a_set_without_its_parties_or_its_bases_is_not_read(folder: Path, name: str) -> None:
    (folder / name).unlink()

    with pytest.raises(AgreementsUnreadable, match=f"{name}: missing"):
        load(folder)


def test_two_agreements_of_one_name_are_not_read(folder: Path) -> None:
    (folder / "again.toml").write_text(AGREEMENT)

    with pytest.raises(AgreementsUnreadable) as refused:
        load(folder)

    assert str(refused.value) == f"{folder}/police.toml:1: two agreements are called police; the other is in again.toml"


def test_every_file_that_is_at_fault_is_told(folder: Path) -> None:
    (folder / "police.toml").write_text(AGREEMENT.replace('"Police"', "3"))
    (folder / "organisations.toml").write_text("[[organisation]]\n")
    (folder / "lawful-bases.toml").write_text("basis = 3\n")

    with pytest.raises(AgreementsUnreadable) as refused:
        load(folder)

    assert refused.value.faults == (
        f"{folder}/organisations.toml:1: id: is missing",
        f"{folder}/lawful-bases.toml:1: basis: must be a list",
        f"{folder}/police.toml:2: title: must be a text",
    )


def test_what_a_fault_says_is_not_the_library_s_wording(folder: Path) -> None:
    for name, good, bad, _, _ in FAULTS:
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace(good, bad))
        with pytest.raises(AgreementsUnreadable) as refused:
            load(folder)
        (folder / name).write_text(text)
        assert [word for word in ("$", "`", "Expected ", "Object ", "enum") if word in str(refused.value)] == []


def test_a_directory_that_is_not_there_and_a_file_that_is_no_text_are_told(folder: Path) -> None:
    with pytest.raises(AgreementsUnreadable, match="no such directory"):
        load(folder / "nowhere")
    (folder / "police.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(AgreementsUnreadable, match=r"police\.toml: cannot be read"):
        load(folder)


def test_a_name_that_is_not_utf8_is_told_with_escapes(folder: Path) -> None:
    os.close(os.open(os.fsencode(folder) + b"/b\xff.toml", os.O_CREAT | os.O_WRONLY))

    with pytest.raises(AgreementsUnreadable) as refused:
        load(folder)

    assert refused.value.places == (r"b\udcff.toml",)
    refused.value.faults[0].encode("utf-8")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_regular_file_is_told_and_nobody_waits_for_it(folder: Path, make: Callable[[Path], None]) -> None:
    """A pipe without a writer would hold its reader for ever; a device would never end."""
    make(folder / "strange.toml")

    with pytest.raises(AgreementsUnreadable) as refused:
        load(folder)

    assert refused.value.places == ("strange.toml",)


def test_a_reading_that_has_faults_has_a_version_of_its_own(folder: Path) -> None:
    """A refused set is remembered by it: another fault, or another content beside it, is another set."""
    versions = [read(folder).version]
    (folder / "strange.toml").mkdir()
    versions.append(read(folder).version)
    (folder / "police.toml").write_text(AGREEMENT + "\n# a word\n")
    versions.append(read(folder).version)
    (folder / "strange.toml").rmdir()
    (folder / "strange.toml").touch()
    versions.append(read(folder).version)
    versions += [read(folder / "nowhere").version, read(folder / "elsewhere").version]

    assert len({*versions}) == len(versions)
    assert read(folder).version == versions[3]


def test_a_set_without_agreements_or_organisations_is_read_and_opens_nothing(folder: Path) -> None:
    (folder / "police.toml").unlink()
    (folder / "organisations.toml").write_text("# none yet\n")
    found = load(folder)

    assert (found.agreements, dict(found.organisations)) == ((), {})
