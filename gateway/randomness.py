"""Random bytes of the operating system, drawn a page at a time.

Each draw is a system call that lets go of the interpreter and must win it back from the log's thread: seven of them
were a tenth of a lookup's CPU. Nothing is made here that the system did not make; no byte is given twice, whichever
threads ask.
"""

from __future__ import annotations

import os
import threading
from binascii import b2a_base64

_PAGE = 4096
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class Randomness:
    """A child process begins with a page of its own."""

    def __init__(self) -> None:
        self._page = b""
        self._at = 0
        self._turn = threading.Lock()
        os.register_at_fork(after_in_child=self._forget)

    def take(self, count: int) -> bytes:
        """Return `count` bytes that nobody has been given before."""
        if count > _PAGE:
            return os.urandom(count)
        with self._turn:
            if self._at + count > len(self._page):
                self._page, self._at = os.urandom(_PAGE), 0
            start, self._at = self._at, self._at + count
            return self._page[start : self._at]

    def text(self, count: int) -> str:
        """Return `count` bytes as URL-safe text without padding."""
        return b2a_base64(self.take(count), newline=False).translate(_URL_SAFE).rstrip(b"=").decode()

    def uuid(self) -> str:
        """Return a random UUID (RFC 9562, version 4)."""
        drawn = self.take(16).hex()
        variant = "89ab"[int(drawn[16], 16) & 3]
        return f"{drawn[:8]}-{drawn[8:12]}-4{drawn[13:16]}-{variant}{drawn[17:20]}-{drawn[20:]}"

    def traceparent(self) -> str:
        """Return a random traceparent (W3C Trace Context, section 3.2)."""
        drawn = self.take(24).hex()
        return f"00-{drawn[:32]}-{drawn[32:]}-01"

    def _forget(self) -> None:
        self._page, self._at = b"", 0
        self._turn = threading.Lock()  # another thread of the parent may have held it


RANDOM = Randomness()
