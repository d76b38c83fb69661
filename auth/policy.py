"""The policy of a lookup: the rules in the order in which they are judged."""

from __future__ import annotations

from auth.decision import AllOf
from auth.paths import PREVIOUS
from auth.rules import (
    OVERRIDE_SIGN_IN_SECONDS,
    HasScope,
    LookupRequest,
    NamesAPractitioner,
    OverrideIsJustified,
    PreviousAloneIsGranted,
    SignedInLately,
    SomethingIsOpen,
    TokenIsForThisPurpose,
)
from schema.vocabulary import Scope

LOOK_UP_A_CHILD: AllOf[LookupRequest] = AllOf(
    (
        HasScope(Scope.INVOLVEMENT),
        NamesAPractitioner(),
        TokenIsForThisPurpose(),
        OverrideIsJustified(),
        SignedInLately(OVERRIDE_SIGN_IN_SECONDS),
        SomethingIsOpen(),
        PreviousAloneIsGranted(PREVIOUS),
    ),
    "look-up-a-child",
)
