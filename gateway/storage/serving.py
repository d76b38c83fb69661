"""The right to serve an embedded database."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

from gateway.storage.errors import DatabaseServed, StorageError
from gateway.storage.urls import parsed_url, sqlite_file


class DatabaseHold:
    """The right to serve a database: an advisory lock on a file beside it, gone with the process or with `release`."""

    def __init__(self, file: Path) -> None:
        """Raises DatabaseServed when somebody has it, and StorageError when the lock file cannot be made."""
        self._descriptor = -1
        try:
            self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise DatabaseServed("another process serves this database") from None
        except OSError as error:
            self.release()
            raise StorageError(f"database.url: {file}: {error.strerror}") from None

    def release(self) -> None:
        """Let the next process have it. May be called again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


_reserved: dict[Path, DatabaseHold] = {}
_reserving = threading.Lock()


def hold_database(url: str) -> DatabaseHold:
    """Return the right to serve the database of `url`, for one process at a time; takes over what was reserved.

    Raises DatabaseServed, and StorageError for a URL that is not `sqlite:///FILE` or a directory that cannot be used.
    """
    file = _lock_file(url)
    with _reserving:
        return _reserved.pop(file, None) or DatabaseHold(file)


def reserve_database(url: str) -> None:
    """Hold the database for this process until `hold_database` takes it over: for who writes beside it first.

    Raises what `hold_database` raises.
    """
    file = _lock_file(url)
    with _reserving:
        if file not in _reserved:
            _reserved[file] = DatabaseHold(file)


def _lock_file(url: str) -> Path:
    # of the file itself, by whatever link it was named
    file = sqlite_file(parsed_url(url)).resolve()
    return file.with_name(f"{file.name}-serving.lock")
