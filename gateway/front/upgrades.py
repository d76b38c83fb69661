"""A request that offers another protocol is answered in this one, and read like any other (RFC 9110, section 7.8).

The parser takes what follows such a head for the other protocol: the body is lost, or, where it comes apart from the
head, read as the next request. Then one request is answered twice, and whoever stands in front hands the second answer
to somebody else.
"""

from __future__ import annotations

import sys

import httptools

from gateway.front.idle_connections import ClosedWhenIdle


class IgnoringUpgrades(ClosedWhenIdle):
    """Reads a head with an Upgrade once more, without it; what follows is then its body, and the next request."""

    _offers = False  # whether the head now being read offers another protocol
    _fed = b""
    _left = b""  # what is to be read once more

    def data_received(self, data: bytes) -> None:
        left = data
        while left:
            self._fed, self._left = left, b""
            super().data_received(left)
            left = self._left
        self._fed = b""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._offers = False

    def on_headers_complete(self) -> None:
        # of CONNECT the parser says so, too; there is no target of it that is a URL
        self._offers = self.parser.should_upgrade() and any(name == b"upgrade" for name, _ in self.headers)
        if not self._offers:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self._offers:
            super().on_message_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """Take up again where the parser stopped. uvicorn calls this where it would only warn."""
        stopped = sys.exception()
        if not self._offers or not isinstance(stopped, httptools.HttpParserUpgrade):
            return
        line = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode("ascii"))
        fields = [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self._left = b"\r\n".join((line, *fields, b"", b"")) + self._fed[stopped.args[0] :]
        # it was read as the head of another protocol: nothing of that is to stay
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
