"""The GraphQL documents: one for each set of fields that may be told, made once. Identifiers travel as variables.

Source: wire interfaces, "Children's services".
"""

from __future__ import annotations

from functools import lru_cache

from connectors import answers
from connectors.base import FieldMask

ASSESSMENTS = "assessments"
STATUSES = "childrensServices.statuses"
PLANS = "childrensServices.plans"

_SHARING = "sharing { decision reason }"
# what every answer is judged by, whatever may be told: who the child is, the shield, and whom to ask next
_ALWAYS = (
    f"nhsNumber dateOfBirth names {{ use givenNames familyName }} shielded {_SHARING} "
    "linkedAdults { crn prisonNumber relationship }"
)
_TEAM = "team { name phone email dutyPhone }"
_WORKER = "worker { displayName role socialWorkEnglandNo phone email }"
_INVOLVEMENT = f"id kind status {_TEAM} {_WORKER} startedOn endedOn isLead lastConfirmedAt {_SHARING}"

HEALTH = "query Health { health { status } }"
SHIELDED = "query Shielded($after: String) { shielded(after: $after) { nhsNumbers next complete } }"


def children(mask: FieldMask) -> str:
    """Return the document that asks for what the mask opens and no more."""
    return _children(
        statuses=" ".join(
            word for word, path in (("OPEN", answers.INVOLVEMENTS), ("CLOSED", answers.PREVIOUS)) if path in mask
        ),
        statutory=STATUSES in mask,
        plans=PLANS in mask,
        assessments=ASSESSMENTS in mask,
    )


@lru_cache(maxsize=32)  # there are 32 of them
def _children(*, statuses: str, statutory: bool, plans: bool, assessments: bool) -> str:
    parts = [_ALWAYS]
    if statuses:
        parts.append(f"involvements(status: [{statuses}]) {{ {_INVOLVEMENT} }}")
    if statutory:
        parts.append("statutory { status since until }")
    if plans:
        parts.append("plans { kind startedOn endedOn reviewDueOn conferenceOn coreGroupOn }")
    if assessments:
        parts.append("assessments { kind holderTeam { name } completedOn consent { givenOn until withdrawnOn } }")
    return (
        "query Children($nhsNumbers: [NhsNumber!]!) { children(nhsNumbers: $nhsNumbers) "
        f"{{ nhsNumber complete child {{ {' '.join(parts)} }} }} }}"
    )
