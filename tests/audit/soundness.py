"""Whether a log stands up to being read again from its beginning, on either database."""

from __future__ import annotations

import sqlalchemy as sa

from gateway.audit.verify import Status, verify


def is_sound(engine: sa.Engine) -> bool:
    """Return whether verification finds nothing that contradicts."""
    return verify(engine).status is Status.GOOD
