"""What is taken at a glance is what the parser would have read; all else is left to it."""

from __future__ import annotations

from typing import Any

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.plain_answers import PlainAnswer, plain_answer

PLAIN = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length:   8\r\n\r\n{"a": 1}'


class Parsed:
    """The oracle: the answer as llhttp reads it."""

    def __init__(self, data: bytes) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.begun = 0
        self.complete = False
        self.parser = httptools.HttpResponseParser(self)
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True
        self.lives = self.parser.should_keep_alive()


def test_a_plain_answer_is_told_at_a_glance() -> None:
    head = PLAIN.removesuffix(b'{"a": 1}')
    answer = PlainAnswer(200, b'{"a": 1}', b"application/json", head)
    assert plain_answer(PLAIN) == answer
    assert answer.raw_headers == [(b"Content-Type", b"application/json"), (b"Content-Length", b"8")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"HTTP/1.1", b"\r\nHTTP/1.1"),
        (b"200 OK", b"204 OK"),
        (b"200 OK", b"103 OK"),
        (b"200 OK", b"500 OK"),
        (b"200 OK", b"2000 OK"),
        (b"200 OK", b"200 O\xe9"),
        (b"Content-Length:   8", b"Content-Length: 7"),
        (b"Content-Length:   8", b"Content-Length: 9"),
        (b"Content-Length:   8", b"Content-Length: +8"),
        (b"Content-Length:   8", b"Content-Length: 8 8"),
        (b"Content-Length:   8", b"Content-Length : 8"),
        (b"Content-Length:   8", b"Content-Length: 8\r\nContent-Length: 8"),
        (b"Content-Length:   8", b"Content-Length: 8\r\ncontent-length: 9"),
        (b"Content-Length:   8", b"Content-Length: 8\r\nTransfer-Encoding: chunked"),
        (b"Content-Length:   8", b"Content-Length: 8\r\ntransfer-encoding: identity"),
        (b"Content-Length:   8", b"Content-Length: 8\r\nContent-Encoding: gzip"),
        (b"Content-Length:   8", b"Content-Length: 8\r\nConnection: close"),
        (b"Content-Length:   8", b"Content-Length: 8\r\nConnection: Upgrade\r\nUpgrade: h2c"),
        (b"Content-Length:   8", b"Content-Length: 8\r\nX: \x01"),
        (b"Content-Length:   8", b"Content-Length: 8\r\nX: a\r\n folded"),
        (b"Content-Length:   8", b"Content-Length: 8\nX: a"),
        (b"Content-Length:   8", b"Content-Length: 8\r\nX: \xe9"),
        (b"Content-Length:   8", b"Content-Length: 8\r\n" + b"X: a\r\n" * 70 + b"Y: b"),
        (b"Content-Length:   8", b"Content-Length: 8\r\nX: " + b"a" * 5000),
        (b"Content-Length:   8", b"X-Length: 8"),
        (b"Content-Type", b"X-Type"),
        (b"Content-Length:   8", b"Content-Length: 8\r\nContent-Type: text/plain"),
        (b"Content-Length:   8", b"Content-Length: 8\r\nCONTENT-LENGTH: 9"),
        (b"Content-Length:   8", b"Content-Length: 8\r\nTrailer: X"),
        (b'{"a": 1}', b'{"a": 1}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
        (b'{"a": 1}', b'{"a": 1'),
    ],
)
def test_what_is_unusual_is_left_to_the_parser(old: bytes, new: bytes) -> None:
    assert old in PLAIN
    assert plain_answer(PLAIN.replace(old, new)) is None


_NAMES = st.sampled_from(
    [
        "Content-Type",
        "content-length",
        "Content-Length",
        "Connection",
        "Transfer-Encoding",
        "Upgrade",
        "Date",
        "X-A",
        "X a",
    ]
)
_VALUES = st.one_of(
    st.sampled_from(["close", "keep-alive", "chunked", "application/json", "", "4", "04", "upgrade", "a, b ", "\tb"]),
    st.text(st.characters(max_codepoint=255), max_size=6),
)
_LINES = st.lists(st.tuples(_NAMES, st.sampled_from([":", ": ", ":  ", " : "]), _VALUES), max_size=5)
_STARTS = st.sampled_from(
    ["HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found", "HTTP/1.1 200 ", "HTTP/1.1 200", "HTTP/1.0 200 OK", "HTTP/1.1 304 -"]
)


@given(start=_STARTS, lines=_LINES, announced=st.booleans(), body=st.binary(max_size=6), drawn=st.data())
def test_what_is_taken_at_a_glance_is_what_the_parser_reads(
    start: str, lines: list[tuple[str, str, str]], announced: bool, body: bytes, drawn: Any
) -> None:
    if announced and drawn.draw(st.booleans()):
        lines = [line for line in lines if line[0].lower() != "content-type"]
        lines.insert(drawn.draw(st.integers(0, len(lines))), ("Content-Type", ": ", "a/b"))
    if announced:
        lines = [line for line in lines if line[0].lower() != "content-length"]
        lines.insert(drawn.draw(st.integers(0, len(lines))), ("Content-Length", ": ", str(len(body))))
    data = "\r\n".join([start, *map("".join, lines), "", ""]).encode("latin-1") + body
    plain = plain_answer(data)
    if plain is None:
        return
    parsed = Parsed(data)  # raises what it refuses
    assert (parsed.complete, parsed.begun, parsed.lives) == (True, 1, True)
    assert (plain.status, plain.plain) == (parsed.parser.get_status_code(), parsed.body)
    assert plain.raw_headers == [(name, value.rstrip(b" ")) for name, value in parsed.fields]
    assert [plain.content_type] == [value for name, value in parsed.fields if name.lower() == b"content-type"]
    assert len([name for name, _ in parsed.fields if name.lower() == b"content-length"]) == 1
