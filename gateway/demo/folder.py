"""The demo's data folder: one process at a time writes its files."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from gateway.storage.errors import StorageError

_held: Final[dict[Path, int]] = {}


class FolderInUse(StorageError):
    """Another demo runs on this folder."""


def hold_folder(folder: Path) -> None:
    """Hold the folder for this process until it ends. Raises FolderInUse, and StorageError where that is impossible."""
    place = folder.resolve()
    if place in _held:
        return
    try:
        descriptor = os.open(place / "demo.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise FolderInUse("another demo runs on this folder") from None
    _held[place] = descriptor
