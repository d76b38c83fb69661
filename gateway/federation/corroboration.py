"""Does the asker mean this child? The number alone proves nothing: a random valid NHS number is often a real child.

Exact date of birth, and the normalised family name against current, former and alias names.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from auth.disclosure import SourceFacts, proves_identity
from auth.entitlements import Entitlements
from schema.records import Answered, ChildRef, IdentityClaim
from schema.vocabulary import InvolvementRelationship

_LINKED = InvolvementRelationship.LINKED_ADULT


def normalised(name: str) -> str:
    """Return a family name as it is compared: without case, accents, spaces, hyphens and apostrophes.

    >>> normalised("O'Brien-Núñez") == normalised("obrien nunez")
    True
    """
    if name.isascii():
        return "".join(filter(str.isalnum, name.lower()))  # which has no other forms
    # compatibility forms first: some of them decompose into capitals
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    return "".join(c for c in decomposed if c.isalnum())


def agrees(claim: IdentityClaim, date_of_birth: date, family_name: str) -> bool:
    """Return whether a claim is about somebody born that day who bears or bore that family name."""
    if claim.date_of_birth != date_of_birth:
        return False
    wanted = normalised(family_name)
    return bool(wanted) and any(normalised(n) == wanted for n in claim.family_names)


def contradicts(claim: IdentityClaim, date_of_birth: date, family_name: str) -> bool:
    """Return whether a claim is about somebody else: neither the date of birth nor any family name agrees.

    One difference alone is a clerk's error or a change of name, and does not cost a practitioner.
    """
    if claim.date_of_birth == date_of_birth:
        return False
    wanted = normalised(family_name)
    return all(normalised(n) != wanted for n in claim.family_names)


def without_others(answer: Answered, date_of_birth: date, family_name: str) -> Answered:
    """Return the answer without what hangs on somebody else's record under the same number.

    An entry with an identity of its own is judged by that. For the rest of the answer, sections and linked adults
    included, the trace speaks. A shield stays whoever it is about: it only hides.
    """
    other_trace = answer.trace is not None and contradicts(answer.trace, date_of_birth, family_name)
    kept = []
    for row in answer.involvements:
        claim = row.identity
        if claim is None:
            others = other_trace
        else:
            # most agree in their date, and contradict nothing then
            others = claim.date_of_birth != date_of_birth and contradicts(claim, date_of_birth, family_name)
        # an adult's record is of course not the child's
        if not others or row.relationship is _LINKED:
            kept.append(row)
    if other_trace:
        return replace(answer, involvements=tuple(kept), trace=None, linked_adults=(), sections={})
    return answer if len(kept) == len(answer.involvements) else replace(answer, involvements=tuple(kept))


def corroborated(
    facts: Sequence[SourceFacts], entitlements: Entitlements, date_of_birth: date, family_name: str, today: date
) -> bool:
    """Return whether an identity trace, or one row that this caller could be shown, proves the asker's key.

    Sensitive, shielded and adult-linked rows never prove it. Once proven, other sources' rows under the same number
    count too.
    """
    for fact in facts:
        answer = fact.answer
        if not isinstance(answer.subject, ChildRef):
            continue  # who a linked adult is proves nothing of the child
        if answer.trace is not None and agrees(answer.trace, date_of_birth, family_name):
            return True
        if answer.shielded:
            continue
        entitlement = entitlements.by_custodian[fact.custodian.id]
        for row in answer.involvements:
            if (
                row.identity is not None
                and proves_identity(row, entitlement, entitlements.floor, today)
                and agrees(row.identity, date_of_birth, family_name)
            ):
                return True
    return False
