"""What says that this process had no memory, stack or file handle left: never that a request was malformed.

A caller who is told that a good request is bad does not send it again. So whoever turns what a reader raises into a
refusal lets these pass; the endpoint answers them with 503 and no data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

EXHAUSTION: Final = (MemoryError, RecursionError, OSError)
"""The depth of what a caller may send is bounded before it is read, so that a stack which is spent is our own."""


def raise_exhaustion(error: BaseException | None) -> None:
    """Raise what `error` was made from if it is of those, and nothing else. graphql-core calls it `original_error`."""
    for each in _causes(error):
        if isinstance(each, EXHAUSTION):
            raise each


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [each.__context__, each.__cause__, getattr(each, "original_error", None)]
