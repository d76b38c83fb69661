"""The one preference that a client may state: how long it waits (RFC 7240, section 4.3, `Prefer: wait=2`)."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: a list of preferences, of which one is `wait`; a value may be quoted, and parameters may follow it
_WAIT = re.compile(rb'(?:^|,)\s*wait\s*=\s*"?([0-9]{1,6})"?\s*(?:;[^,]*)?(?=,|$)', re.IGNORECASE)


def wait_of(headers: Sequence[tuple[bytes, bytes]]) -> int | None:
    """Return the seconds that the client waits, None if it does not say, or not so that it can be read.

    The first of several counts (RFC 7240, section 2); a preference that cannot be kept is ignored, like a wait of 0.
    """
    for name, value in headers:
        if name == b"prefer" and (found := _WAIT.search(value)):
            return int(found[1]) or None
    return None
