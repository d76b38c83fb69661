"""How work that takes long tells whoever waits for it how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Told how much of how much is done; both count the same, such as records."""


def untold(done: int, of: int) -> None:
    """Tell nobody."""


def in_steps(progress: Progress, of: int) -> Callable[[int], None]:
    """Return what is told how much each step did of the whole.

    A log grows while it is read: what is done beyond the whole is not told.
    """
    done = 0

    def told(step: int) -> None:
        nonlocal done
        done += step
        progress(min(done, of), of)

    return told
