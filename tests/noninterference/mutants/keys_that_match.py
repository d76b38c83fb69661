"""Channel 22: what counts as proof that the asker means this child."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Any

from auth.disclosure import SourceFacts
from gateway.federation import corroboration, gathering
from gateway.federation.corroboration import agrees, normalised
from gateway.federation.gathering import Gathering
from schema.records import IdentityClaim, Involvement
from schema.vocabulary import InvolvementRelationship, Sensitivity
from tests.noninterference.mutants.errors_that_tell import ASKED_FOR_ALL
from tests.noninterference.mutants.mutant import Mutant
from tests.noninterference.mutants.tampering import answers, in_body, together, wrapping


def _close_names(honest: Any) -> Any:
    def fuzzy(claim: IdentityClaim, date_of_birth: Any, family_name: str) -> bool:
        asked = normalised(family_name)
        close = any(SequenceMatcher(None, normalised(name), asked).ratio() > 0.5 for name in claim.family_names)
        return honest(claim, date_of_birth, family_name) or (claim.date_of_birth == date_of_birth and close)

    return fuzzy


def _date_alone(honest: Any) -> Any:
    return lambda claim, born, family: claim.date_of_birth == born


def _name_alone(honest: Any) -> Any:
    def by_name(claim: IdentityClaim, born: Any, family: str) -> bool:
        return agrees(IdentityClaim(born, claim.family_names), born, family)

    return by_name


def _also(proves: Any) -> Any:
    """Corroborate with one kind more of row than the product does; once proven, what may be told is unchanged."""

    def around(honest: Any) -> Any:
        def corroborated(facts: Any, entitlements: Any, born: Any, family: str, today: Any) -> bool:
            if honest(facts, entitlements, born, family, today):
                return True
            found = ((fact, row) for fact in facts for row in fact.answer.involvements if row.identity is not None)
            return any(proves(fact, row) and agrees(row.identity, born, family) for fact, row in found)

        return corroborated

    return wrapping(gathering, "corroborated", around)


def _sensitive(fact: SourceFacts, row: Involvement) -> bool:
    return row.sensitivity is not Sensitivity.STANDARD


def _refused(fact: SourceFacts, row: Involvement) -> bool:
    return row.refusal is not None


def _of_an_adult(fact: SourceFacts, row: Involvement) -> bool:
    return row.relationship is InvolvementRelationship.LINKED_ADULT


def _of_a_shielding_source(fact: SourceFacts, row: Involvement) -> bool:
    return bool(fact.answer.shielded)


def _ended(fact: SourceFacts, row: Involvement) -> bool:
    return row.ended_on is not None


def _did_you_mean(run: Gathering, response: dict[str, Any]) -> None:
    if run.identity != "UNCORROBORATED":
        return
    claims = [a.trace for a in answers(run)] + [row.identity for a in answers(run) for row in a.involvements]
    names = {name[:1] for claim in claims if claim for name in claim.family_names}
    if names:
        response["extensions"]["disclosure"]["didYouMean"] = sorted(names)


MUTANTS = (
    Mutant(
        "close-name-is-enough",
        22,
        "A family name that is nearly right proves the key.",
        wrapping(corroboration, "agrees", _close_names),
    ),
    Mutant(
        "date-alone-is-enough",
        22,
        "The date of birth alone proves the key.",
        wrapping(corroboration, "agrees", _date_alone),
    ),
    Mutant(
        "name-alone-is-enough",
        22,
        "The family name alone proves the key.",
        wrapping(corroboration, "agrees", _name_alone),
    ),
    Mutant(
        "did-you-mean", 22, "A wrong name is answered with the first letter of the right one.", in_body(_did_you_mean)
    ),
    Mutant("sensitive-entry-proves", 22, "A sensitive service's record proves the key.", _also(_sensitive)),
    Mutant("refused-entry-proves", 22, "A record that its source refuses to share proves the key.", _also(_refused)),
    Mutant("adult's-entry-proves", 22, "The record of a linked adult proves the child's key.", _also(_of_an_adult)),
    Mutant(
        "ended-entry-proves",
        22,
        "Ended work that this caller may not see proves the key.",
        together(ASKED_FOR_ALL, _also(_ended)),
    ),
    Mutant(
        "shielding-source-proves",
        22,
        "A record of the source that shields proves the key.",
        _also(_of_a_shielding_source),
    ),
)
