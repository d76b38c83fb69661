"""The words that cross a boundary are those of the contract."""

from __future__ import annotations

from schema.vocabulary import (
    ACR,
    NOT_ASKED_REASONS,
    Assurance,
    LookupOutcome,
    Purpose,
    PurposeClass,
    Relationship,
    Scope,
    SourceReason,
    SourceStatus,
    purpose_class,
)


def test_no_outcome_and_no_status_means_nobody() -> None:
    assert {o.value for o in LookupOutcome} == {"DISCLOSED", "NOTHING_DISCLOSABLE", "INCOMPLETE"}
    assert {s.value for s in SourceStatus} == {"ANSWERED", "NO_ANSWER", "NOT_ASKED"}


def test_an_agency_is_told_of_a_purpose_only_its_class() -> None:
    classes = {purpose: purpose_class(purpose) for purpose in Purpose}

    assert {p for p, c in classes.items() if c is PurposeClass.LAW_ENFORCEMENT} == {Purpose.MAPPA_S325, Purpose.OMA_S14}
    assert {p for p, c in classes.items() if c is PurposeClass.SYSTEM_TEST} == {Purpose.SYSTEM_TEST}


def test_reasons_of_not_asked_are_never_reasons_of_no_answer() -> None:
    assert {r.value for r in NOT_ASKED_REASONS} == {"NO_AGREEMENT", "DISABLED", "OUT_OF_AREA"}
    assert set(SourceReason) > NOT_ASKED_REASONS


def test_two_acr_values_are_known_and_the_weaker_is_the_rest() -> None:
    assert ACR == {
        "urn:contactpoint:acr:standard": Assurance.STANDARD,
        "urn:contactpoint:acr:strong": Assurance.STRONG,
    }


def test_names_and_values_agree_but_for_scopes_and_roles_which_are_the_tokens_own() -> None:
    for words in (Purpose, Relationship, SourceReason):
        assert all(word.name == word.value for word in words)
    assert all(" " not in scope.value for scope in Scope)
