"""Every path that an agreement can open, and the scope that a token needs for it.

The default answer's paths stand here; those of deeper records come from their declarations in `schema.sections`.
"""

from __future__ import annotations

from types import MappingProxyType

from schema.sections import section_fields
from schema.vocabulary import Scope

INVOLVEMENTS = "involvements"
"""That an agency works with the child: service, role, team and the team's contact, dates, lead."""
PRACTITIONER = "involvements.practitioner"
"""The practitioner's name, registration and own contact. Without it an entry speaks for its team."""
PREVIOUS = "involvements.previous"
"""Entries that have ended, within the source's retention."""
LINKED_ADULT = "involvements.linkedAdult"
"""Entries about an adult whom children's services linked to the child."""
SENSITIVE = "involvements.sensitive"
"""That a sensitive service is involved, under its broker's name."""

SCOPES = MappingProxyType(
    {
        INVOLVEMENTS: Scope.INVOLVEMENT,
        PRACTITIONER: Scope.INVOLVEMENT,
        PREVIOUS: Scope.INVOLVEMENT_PREVIOUS,
        LINKED_ADULT: Scope.INVOLVEMENT,
        SENSITIVE: Scope.SENSITIVE_SERVICE,
        **{field.path: field.scope for field in section_fields()},
    }
)
"""Path -> scope; the keys are all the paths there are."""

SECTION_PATHS = frozenset(field.path for field in section_fields())
INVOLVEMENT_PATHS = frozenset(SCOPES) - SECTION_PATHS
