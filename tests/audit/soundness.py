"""Whether a log stands up to being read again from its beginning, on either database."""

from __future__ import annotations

import sqlalchemy as sa

from gateway.audit.verification.trust import Trust
from gateway.audit.verify import Status, verify


def is_sound(engine: sa.Engine, trust: Trust | None = None) -> bool:
    """Return whether everything that is stored follows from the leaves."""
    return verify(engine, trust).status is Status.GOOD
