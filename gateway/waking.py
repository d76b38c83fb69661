"""Wakes lookups a few in a turn of the event loop: what has come meanwhile is read between them.

One commit of the log, or one read of the shields, is what dozens of lookups wait for. Woken all at once they would do
their next step, each the most of a lookup's work, in one turn, and a request that is to be refused would wait for its
end. Woken in turn they do the same work in the same order, and none waits longer for the last.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final
from weakref import WeakKeyDictionary

AT_ONCE: Final = 4
"""So many in a turn. The loop's own work for a turn is a hundredth of a lookup's."""

Wake = tuple[Callable[..., object], *tuple[Any, ...]]
"""What is called, with what."""


class Waking:
    """The wakes of one event loop, in the order in which they became due. For the loop's own thread."""

    def __init__(self) -> None:
        self._due: deque[Wake] = deque()
        self._under_way = False

    def add(self, wakes: Iterable[Wake]) -> None:
        """Call each after all that were due before it: the first at once where none was, the others in later turns."""
        self._due.extend(wakes)
        if not self._under_way:
            self._wake_some()

    def _wake_some(self) -> None:
        self._under_way = True
        try:
            for _ in range(min(AT_ONCE, len(self._due))):
                wake, *given = self._due.popleft()
                wake(*given)
        finally:
            self._under_way = bool(self._due)
            if self._under_way:
                asyncio.get_running_loop().call_soon(self._wake_some)


_of_loop: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Waking]] = WeakKeyDictionary()


def waking() -> Waking:
    """Return the wakes of the running event loop."""
    loop = asyncio.get_running_loop()
    found = _of_loop.get(loop)
    if found is None:
        found = _of_loop[loop] = Waking()
    return found
