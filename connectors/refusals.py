"""A source's own decision not to share, in one vocabulary."""

from __future__ import annotations

from schema.vocabulary import RefusalReason

_REASONS = frozenset(RefusalReason)


def refusal_of(reason: str | None) -> RefusalReason:
    """Return the reason of a refusal; one that is not stated, or in a word that is not known here, refuses as much."""
    return RefusalReason(reason) if reason in _REASONS else RefusalReason.NOT_STATED
