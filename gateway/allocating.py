"""The C library's allocator, as a long-running server needs it."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

_M_ARENA_MAX: Final = -8  # malloc.h


def free_into_one_place() -> None:
    """Have memory that one thread frees be used again by the others. Before any other thread; does nothing elsewhere.

    glibc gives each thread a place of its own (an arena). What the log's thread and those that read leave free in
    theirs the event loop does not use.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other C libraries have no arenas to count
        mallopt(_M_ARENA_MAX, 1)
