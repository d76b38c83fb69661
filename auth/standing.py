"""How a caller stands to a child: every relationship that they hold at once.

A standing always holds NONE. Grants of every relationship in it open together, so that losing one never adds anything:
a break-glass lookup by the child's own social worker shows no less than an ordinary one.
"""

from __future__ import annotations

from functools import lru_cache

from schema.vocabulary import Relationship

Standing = frozenset[Relationship]

_STRONGEST_FIRST = (
    Relationship.OVERRIDE,
    Relationship.APPOINTED,
    Relationship.PRACTITIONER,
    Relationship.ORGANISATION,
)


@lru_cache(maxsize=64)
def standing_of(*held: Relationship) -> Standing:
    """Return the standing of somebody who holds these relationships; who works with the child does so for theirs."""
    implied = {Relationship.ORGANISATION} if Relationship.PRACTITIONER in held else set()
    return frozenset({Relationship.NONE, *held, *implied})


NO_STANDING: Standing = standing_of()


def strongest(standing: Standing) -> Relationship:
    """Return the one relationship by which the log names a standing."""
    return next((r for r in _STRONGEST_FIRST if r in standing), Relationship.NONE)
