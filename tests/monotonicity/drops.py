"""Everything that somebody who asks, or a set of agreements, can lose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from tests.fixtures.world import Opening, Terms
from tests.monotonicity.situations import SOURCES, STANDARD, Child, Viewer

LAPSED = "2001-01-01"


@dataclass(frozen=True)
class Drop:
    """One thing less: the kind of it for the figures, and what asker and child are without it."""

    kind: str
    viewer: Viewer
    child: Child


def of_the_asker(viewer: Viewer, child: Child) -> Iterator[Drop]:
    """Yield every single thing that this asker can lose."""
    for scope in sorted(viewer.scopes):
        if len(viewer.scopes) > 1:
            yield Drop("scope", replace(viewer, scopes=viewer.scopes - {scope}), child)
    for role in viewer.roles:
        yield Drop("role", replace(viewer, roles=tuple(r for r in viewer.roles if r != role)), child)
    if viewer.acr != STANDARD:
        yield Drop("assurance", replace(viewer, acr=STANDARD), child)
    if viewer.registration:
        yield Drop("registration", replace(viewer, registration=None), child)
    if viewer.override:
        yield Drop("override", replace(viewer, override=False), child)
    without = _without_own_rows(viewer, child)
    if without is not None:
        yield Drop("own organisation's work", viewer, without)


def _without_own_rows(viewer: Viewer, child: Child) -> Child | None:
    theirs = next((name for name, _, organisation, _ in SOURCES if organisation == viewer.organisation), None)
    told = child.answers.get(theirs or "", ())
    if theirs is None or not any(answer.involvements for answer in told):
        return None
    emptied = tuple(replace(answer, involvements=()) for answer in told)
    return replace(child, answers={**child.answers, theirs: emptied})


@dataclass(frozen=True)
class AgreementsDrop:
    """A set of agreements with one thing less."""

    kind: str
    terms: tuple[Terms, ...]


def of_the_agreements(terms: tuple[Terms, ...], random: Random, most: int) -> Iterator[AgreementsDrop]:
    """Yield up to `most` sets that have lost one thing.

    An agreement of a custodian's own lapses and is never removed: removing it hands the custodian back to the agreement
    of its kind, which is another agreement and no loss.
    """
    found: list[AgreementsDrop] = []
    for i, each in enumerate(terms):
        rest = (terms[:i], terms[i + 1 :])
        if each.custodian.startswith("kind:"):
            found.append(AgreementsDrop("agreement removed", (*rest[0], *rest[1])))
        found.append(AgreementsDrop("agreement lapsed", (*rest[0], replace(each, review_on=LAPSED), *rest[1])))
        grants = list(each.grants)
        for j, grant in enumerate(grants):
            fewer = [*grants[:j], *grants[j + 1 :]]
            if fewer:
                found.append(AgreementsDrop("grant", (*rest[0], replace(each, grants=fewer), *rest[1])))
            less = _less(grant, random)
            found.append(
                AgreementsDrop(
                    less[0], (*rest[0], replace(each, grants=[*grants[:j], less[1], *grants[j + 1 :]]), *rest[1])
                )
            )
    yield from random.sample(found, min(most, len(found)))


def _less(grant: Opening, random: Random) -> tuple[str, Opening]:
    opens = list(grant.opens)
    if len(opens) > 1 and random.random() < 0.6:
        gone = random.choice(opens)
        return "path of a grant", replace(grant, opens=[path for path in opens if path != gone])
    gone = random.choice(list(grant.roles))
    roles = [role for role in grant.roles if role != gone]
    return "role of a grant", replace(grant, roles=roles or ["integrator"])
