"""How work that has time goes on in a thread beside lookups that have none: a little at a time, with rests.

Threads share one interpreter, and often one core: what is done here in one go, every turn of the event loop waits for.
"""

from __future__ import annotations

import time
from typing import Final

_TIMES: Final = 2
_LONGEST_SECONDS: Final = 0.25


class Resting:
    """Rests twice as long as the work took since the last rest: the longer, the more that was held up by others."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def rest(self) -> None:
        """Sleep; a quarter of a second at most, so that nobody waits long for this thread to end."""
        time.sleep(min(_TIMES * (time.monotonic() - self._begun), _LONGEST_SECONDS))
        self._begun = time.monotonic()
