"""Requests to an ASGI application as bytes, below what a client would mend, and what the contract asks of each answer.

answer = await knock(app, Knock(body=b"{", headers=((b"content-type", b"application/json"),)))
assert faults_of(answer) == []
"""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

GRAPHQL: Final = "application/graphql-response+json"
JSON: Final = "application/json"
Header = tuple[bytes, bytes]

STATUS: Final = {
    # code: status with graphql-response+json, status with application/json
    "BODY_NOT_JSON": (400, 400),
    "NOT_A_GRAPHQL_REQUEST": (400, 400),
    "INVALID_REQUEST": (400, 400),
    "NOT_FOUND": (404, 404),
    "METHOD_NOT_ALLOWED": (405, 405),
    "NOT_ACCEPTABLE": (406, 406),
    "REQUEST_TIMEOUT": (408, 408),
    "PAYLOAD_TOO_LARGE": (413, 413),
    "UNSUPPORTED_MEDIA_TYPE": (415, 415),
    "GRAPHQL_PARSE_FAILED": (400, 200),
    "GRAPHQL_VALIDATION_FAILED": (400, 200),
    "LIMIT_EXCEEDED": (400, 200),
    "BAD_USER_INPUT": (400, 200),
    "UNAUTHENTICATED": (401, 401),
    "FORBIDDEN": (200, 200),
    "RATE_LIMITED": (429, 429),
    "OVERLOADED": (503, 503),
    "AUDIT_UNAVAILABLE": (503, 503),
    "INTERNAL_SERVER_ERROR": (500, 500),
}
"""The contract's table, written out once more: the tests do not ask the gateway what it should answer."""

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Knock:
    """One HTTP request; `parts` are the pieces in which the body arrives."""

    body: bytes = b""
    headers: tuple[Header, ...] = ()
    method: str = "POST"
    path: str = "/graphql"
    query_string: bytes = b""
    parts: int = 1

    def with_header(self, name: bytes, value: bytes) -> Knock:
        """Return the request with a header replaced."""
        kept = tuple(header for header in self.headers if header[0] != name)
        return Knock(self.body, (*kept, (name, value)), self.method, self.path, self.query_string, self.parts)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: tuple[Header, ...]
    body: bytes

    def header(self, name: bytes) -> str | None:
        """Return the value of a header that is there once, or None."""
        values = [value for given, value in self.headers if given == name]
        return values[0].decode("latin-1") if len(values) == 1 else None

    @property
    def read(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def code(self) -> str | None:
        """The code of the one error; None without an error."""
        errors = self.read.get("errors") if isinstance(self.read, dict) else None
        found: str | None = errors[0]["extensions"]["code"] if errors else None
        return found

    @property
    def everything(self) -> bytes:
        """Every byte that a client could read."""
        return self.body + b"\n".join(name + b": " + value for name, value in self.headers)


async def knock(app: Any, request: Knock) -> Answer:
    """Send a request to an application in this process. What the application raises is raised here."""
    size = max(1, -(-len(request.body) // request.parts))
    pieces = [request.body[at : at + size] for at in range(0, len(request.body), size)] or [b""]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if not pieces:
            return {"type": "http.disconnect"}
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "https",
        "path": request.path,
        "raw_path": request.path.encode("utf-8", "surrogateescape"),
        "root_path": "",
        "query_string": request.query_string,
        "headers": list(request.headers),
        "client": ("192.0.2.1", 40_000),
        "server": ("gateway.example", 443),
        "state": {},
    }
    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(sent[0]["status"], tuple((bytes(n).lower(), bytes(v)) for n, v in sent[0]["headers"]), body)


def faults_of(answer: Answer) -> list[str]:
    """Return, in words, how an answer of `/graphql` is not as the contract says; nothing for a good one."""
    found = []
    if answer.status >= 500:
        found.append(f"status {answer.status}")
    media_type = answer.header(b"content-type")
    if media_type not in {f"{GRAPHQL}; charset=utf-8", f"{JSON}; charset=utf-8", JSON}:
        found.append(f"content type {media_type}")
    if answer.header(b"content-length") != str(len(answer.body)):
        found.append("content length")
    if answer.header(b"cache-control") != "no-store" or answer.header(b"x-content-type-options") != "nosniff":
        found.append("fixed headers")
    if any(name in {b"server", b"set-cookie"} or name.startswith(b"access-control-") for name, _ in answer.headers):
        found.append("a header that nobody should see")
    read = answer.read
    if not isinstance(read, dict) or not read.keys() <= {"data", "errors", "extensions"}:
        return [*found, "body"]
    if "errors" not in read:
        return [*found, *(["no data"] if read.get("data") is None or answer.status != 200 else [])]
    return [*found, *_faults_of_errors(answer, read, media_type or "")]


def _faults_of_errors(answer: Answer, read: dict[str, Any], media_type: str) -> list[str]:
    errors = read["errors"]
    if len(errors) != 1 or not errors[0].keys() <= {"message", "locations", "extensions"}:
        return ["errors"]
    (error,) = errors
    found = []
    code = error["extensions"].get("code")
    wanted = STATUS.get(code)
    if wanted is None or answer.status != wanted[0 if media_type.startswith(GRAPHQL) else 1]:
        found.append(f"status {answer.status} for {code}")
    if not error["extensions"].keys() <= {"code", "requestId"}:
        found.append("extensions")
    if ("data" in read) is not (code == "FORBIDDEN") or read.get("data") is not None:
        found.append("data beside an error")
    if code == "UNAUTHENTICATED" and not (answer.header(b"www-authenticate") or "").startswith("Bearer "):
        found.append("no challenge")
    if error["message"] not in sentences():
        found.append("a sentence that stands nowhere in this repository")
    if not all(_is_location(location) for location in error.get("locations", ())):
        found.append("locations")
    return found


def _is_location(location: dict[str, Any]) -> bool:
    return location.keys() == {"line", "column"} and all(type(n) is int and n > 0 for n in location.values())


@cache
def sentences() -> frozenset[str]:
    """Return every text constant of the gateway's source: what an error may say, and nothing else."""
    found: set[str] = set()
    for file in (_ROOT / "gateway").rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        found |= {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return frozenset(text for text in found if text.endswith("."))


def echoes_in(answer: Answer, planted: Sequence[bytes]) -> list[bytes]:
    """Return which of these stand in the answer, as they are or in another case."""
    everything = answer.everything.lower()
    return [each for each in planted if each.lower() in everything]
