"""Random bytes of the operating system, drawn a page at a time.

Each draw is a system call that lets go of the interpreter and must win it back from the log's thread: seven of them
were a tenth of a lookup's CPU. Nothing is made here that the system did not make; no byte is given twice.
"""

from __future__ import annotations

import base64
import os
import uuid

_PAGE = 4096


class Randomness:
    """Not for threads. A child process begins with a page of its own."""

    def __init__(self) -> None:
        self._page = b""
        self._at = 0
        os.register_at_fork(after_in_child=self._forget)

    def take(self, count: int) -> bytes:
        """Return `count` bytes that nobody has been given before."""
        if count > _PAGE:
            return os.urandom(count)
        if self._at + count > len(self._page):
            self._page, self._at = os.urandom(_PAGE), 0
        start, self._at = self._at, self._at + count
        return self._page[start : self._at]

    def text(self, count: int) -> str:
        """Return `count` bytes as URL-safe text without padding."""
        return base64.urlsafe_b64encode(self.take(count)).rstrip(b"=").decode()

    def uuid(self) -> str:
        """Return a random UUID (RFC 9562, version 4)."""
        return str(uuid.UUID(bytes=self.take(16), version=4))

    def _forget(self) -> None:
        self._page, self._at = b"", 0


RANDOM = Randomness()
"""For the event loop's thread."""
