"""Malformed requests without end: bytes, JSON, documents, variables, headers and tokens that are wrong in some way.

Each is drawn from a seeded generator; the same number gives the same request. Every one carries something planted.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from graphql import get_introspection_query

from tests.attacks import attack_table as table
from tests.attacks.door import GRAPHQL, JSON, Header, Knock

PLANTED: Final = (*table.PLANTED, b"9990000026", b"9990000034")
MUTATION: Final = (
    "mutation Zqx($a: AppointmentInput!) { registerAppointment(appointment: $a) { id appointee purpose expiresOn } }"
)
APPOINTMENT: Final = {
    "nhsNumber": table.NUMBER,
    "appointeeSubject": "zqxsubject",
    "appointeeOrganisation": "amber-nhs",
    "purpose": "COURT_ORDER",
    "evidence": "zqxevidence",
    "expiresOn": "2027-01-01",
}
KEY: Final = {"nhsNumber": table.NUMBER, "dateOfBirth": table.BORN, "familyName": table.FAMILY}
ACCESS: Final = {"purpose": "CP_S47", "reason": table.REASON}
OVERRIDE: Final = {"justification": "zqxjustification of it", "acceptReview": True}
EXPLAIN: Final = "query($e: ExplainAccess!) { explainAccess(asked: $e) { outcome } }"

DOCUMENTS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    (table.LOOKUP, {"key": KEY, "access": ACCESS}),
    (table.LOOKUP, {"key": KEY, "access": {**ACCESS, "override": OVERRIDE}}),
    (f"{{ child{table.LITERAL} {{ outcome involvements(status: [CURRENT]) {{ id role }} }} }}", {}),
    (MUTATION, {"a": APPOINTMENT}),
    ('mutation { endAppointment(id: "zqx") { id } }', {}),
    ('mutation { decideReview(id: "zqx", verdict: JUSTIFIED, note: "zqxnote") { id } }', {}),
    ("{ reviews(state: [OPEN]) { id } }", {}),
    ("{ appointments { id evidence } }", {}),
    ("query($n: Int, $c: String) { accessMatrix(first: $n, after: $c) { totalCount } }", {"n": 5, "c": "zqx"}),
    ("{ viewer { subject scopes access(purpose: CP_S47) { field open } } agencies { id } }", {}),
    (EXPLAIN, {"e": {"zqx": table.NUMBER}}),
    (get_introspection_query(descriptions=False), {}),
    ('{ __type(name: "zqx") { name fields { name } } }', {}),
)
_TYPES: Final = (
    JSON,
    f"{JSON}; charset=utf-8",
    f"{JSON};charset=UTF-8",
    f"{JSON}; charset=utf-16",
    f"{JSON}; zqx=1",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=zqx",
    "application/graphql",
    "",
    "zqx",
    f"{JSON}, {JSON}",
)
_ACCEPTS: Final = (
    GRAPHQL,
    JSON,
    "*/*",
    "application/*",
    f"{GRAPHQL};q=0.1, {JSON};q=0.9",
    f"{JSON};q=zqx",
    "text/html",
    "zqx",
    "",
    f"{GRAPHQL}; charset=zqx",
    ";;;,,,",
    JSON * 40,
)
_VALUES: Final[tuple[Any, ...]] = (
    None,
    True,
    0,
    -1,
    2**31,
    2**63,
    10**30,
    1.5,
    "",
    "zqx",
    table.NUMBER,
    "9990000026",
    "\0zqx",
    "zqx\r\nx: y",
    "\U0001f600zqx",
    "٩٩٩٠٠٠٠٠١٨",
    "2020-02-30",
    "9999-12-31",
    [],
    {},
    ["zqx"],
    {"zqx": table.NUMBER},
    [[[[1]]]],
    "zqx" * 700,
)
_WORDS: Final = (
    *"{}()[]!:=@|&$#",
    "...",
    '"zqx"',
    '"""zqx"""',
    '"',
    "-",
    "0",
    "1e9999",
    "on",
    "query",
    "mutation",
    "subscription",
    "fragment",
    "null",
    "true",
    "$zqx",
    "zqx",
    "__typename",
    "__schema",
    "child",
    "outcome",
    "@include(if: true)",
    "@skip",
    "\ufeff",
    "\u2028",
    table.NUMBER,
)


class Malformer:
    """Draws malformed requests; `tokens` are Authorization values that are accepted."""

    def __init__(self, seed: int, tokens: Sequence[bytes]) -> None:
        self.rng = random.Random(seed)
        self.tokens = list(tokens)
        self.ways: dict[str, Callable[[], Knock]] = {
            way.__name__: way
            for way in (
                self.noise,
                self.cut_json,
                self.bent_json,
                self.bent_document,
                self.wrong_variables,
                self.odd_headers,
                self.too_large,
                self.odd_token,
                self.odd_method,
                self.by_get,
                self.odd_members,
            )
        }

    def draw(self) -> tuple[str, Knock]:
        """Return a way of being malformed, and a request of it."""
        name = self.rng.choice(list(self.ways))
        return name, self.ways[name]()

    def _good(self) -> tuple[str, dict[str, Any]]:
        text, variables = self.rng.choice(DOCUMENTS)
        return text, json.loads(json.dumps(variables))

    def _body(self, text: str, variables: Any) -> bytes:
        return json.dumps({"query": text, "variables": variables}, ensure_ascii=self.rng.random() < 0.5).encode(
            "utf-8", "surrogatepass"
        )

    def _posted(self, content: bytes, **differs: Any) -> Knock:
        headers: list[Header] = [
            (b"content-type", JSON.encode()),
            (b"accept", self.rng.choice([GRAPHQL, JSON]).encode()),
            (b"authorization", self.rng.choice(self.tokens)),
        ]
        return Knock(content, tuple(headers), parts=self.rng.choice([1, 1, 1, 2, 7]), **differs)

    def _bytes(self, most: int) -> bytes:
        return self.rng.randbytes(self.rng.randrange(most)) if self.rng.random() < 0.5 else b"zqx" * 3

    def noise(self) -> Knock:
        """Bytes of no kind."""
        start = self.rng.choice([b"", b"{", b"[", b'{"query":"', b"\xef\xbb\xbf", b"\xff\xfe", b"\x1f\x8b"])
        return self._posted(start + self._bytes(400) + table.NUMBER.encode())

    def cut_json(self) -> Knock:
        """A good body that ends early, or goes on."""
        good = self._body(*self._good())
        at = self.rng.randrange(len(good))
        return self._posted(good[:at] if self.rng.random() < 0.7 else good + good[at:])

    def bent_json(self) -> Knock:
        """A good body with some bytes changed."""
        bent = bytearray(self._body(*self._good()))
        for _ in range(self.rng.randint(1, 4)):
            at = self.rng.randrange(len(bent))
            what = self.rng.random()
            if what < 0.4:
                bent[at] = self.rng.randrange(256)
            elif what < 0.7:
                del bent[at : at + self.rng.randint(1, 4)]
                bent = bent or bytearray(b"{")
            else:
                bent[at:at] = self.rng.choice([b'"', b"\\", b"{", b"]", b"\\ud800", b"NaN", b"\0", b"\xc3", b","])
        return self._posted(bytes(bent))

    def bent_document(self) -> Knock:
        """A good document with words changed, or of words alone."""
        text, variables = self._good()
        if self.rng.random() < 0.2:
            return self._posted(self._body(" ".join(self.rng.choices(_WORDS, k=self.rng.randint(1, 40))), variables))
        pieces = text.split(" ")
        for _ in range(self.rng.randint(1, 4)):
            at = self.rng.randrange(len(pieces) + 1)
            what = self.rng.random()
            if what < 0.5:
                pieces[at:at] = [self.rng.choice(_WORDS)]
            elif what < 0.8:
                del pieces[at : at + 1]
            else:
                pieces[at:at] = pieces[at : at + 5] * self.rng.choice([1, 2, 30])
        return self._posted(self._body(" ".join(pieces), variables))

    def wrong_variables(self) -> Knock:
        """A good document with a value of another kind somewhere in its variables."""
        text, variables = self._good()
        for _ in range(self.rng.randint(1, 2)):
            inner: Any = variables
            while isinstance(inner, dict) and inner:
                name = self.rng.choice(list(inner))
                if isinstance(inner[name], dict) and inner[name] and self.rng.random() < 0.8:
                    inner = inner[name]
                    continue
                if self.rng.random() < 0.15:
                    del inner[name]
                elif self.rng.random() < 0.1:
                    inner["zqx"] = self.rng.choice(_VALUES)
                else:
                    inner[name] = self.rng.choice(_VALUES)
                break
        return self._posted(self._body(text, self.rng.choice([variables, variables, variables, *_VALUES[:4]])))

    def odd_headers(self) -> Knock:
        """A good body under headers that are not."""
        knock = self._posted(self._body(*self._good()))
        odd = [self._odd_header() for _ in range(self.rng.randint(1, 3))]
        replaced = {name for name, _ in odd} if self.rng.random() < 0.6 else set()
        headers = [header for header in knock.headers if header[0] not in replaced] + odd
        if self.rng.random() < 0.5:
            headers = [header for header in headers if header[0] != self.rng.choice([b"content-type", b"accept"])]
        if self.rng.random() < 0.5:
            # what is asked for last is the one that counts for some, so the first is taken away
            headers = headers[1:]
        return Knock(knock.body, tuple(headers), parts=knock.parts)

    def _odd_header(self) -> Header:
        return self.rng.choice(
            [
                (b"content-type", self.rng.choice(_TYPES).encode()),
                (b"accept", self.rng.choice(_ACCEPTS).encode()),
                (b"content-encoding", self.rng.choice([b"gzip", b"identity", b"zqx", b"br, gzip"])),
                (b"content-length", self.rng.choice([b"0", b"-1", b"zqx", b"99999999", b"1" * 30])),
                (b"x-request-id", self.rng.choice([b"zqx", b"\xff" * 36, table.NUMBER.encode(), b"\r\nzqx"])),
                (b"x-http-method-override", b"GET"),
                (b"cookie", b"zqx=" + self._bytes(50)),
                (b"origin", b"https://zqx.example"),
                (b"traceparent", b"00-zqx"),
                (b"transfer-encoding", b"chunked"),
                (b"expect", b"100-continue"),
                (b"zqx" * 100, self._bytes(500)),
                (b"host", b"zqx\0"),
            ]
        )

    def too_large(self) -> Knock:
        """A good body with as much around it as makes it too large, in parts or at once."""
        text, variables = self._good()
        more = self.rng.choice(["zqx" * 5_500, table.NUMBER * 1_650, "\u00e9" * 8_000])
        content = self._body(text, {**variables, "zqx": more}) if self.rng.random() < 0.5 else more.encode()
        return self._posted(content)

    def odd_token(self) -> Knock:
        """A good body with credentials that are not."""
        good = self.rng.choice(self.tokens)
        at = self.rng.randrange(7, len(good))
        parts = good.removeprefix(b"Bearer ").split(b".")
        claims = {"sub": "zqx", "nhs": table.NUMBER, "iss": self.rng.choice(["zqx", None, 7, []])}
        forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
        none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt","kid":"zqx"}').rstrip(b"=")
        value = self.rng.choice(
            [
                good[:at],
                good[:at] + b"A" + good[at + 1 :],
                good[:at] + self._bytes(4) + good[at:],
                good.replace(b"Bearer", self.rng.choice([b"bearer", b"Basic", b"DPoP", b"", b"BEARER ", b"zqx"])),
                good + b", " + good,
                b"Bearer " + b".".join((parts[0], forged, parts[2])),
                b"Bearer " + b".".join((none, forged, b"")),
                b"Bearer " + b"zqx" * self.rng.choice([1, 1000, 5000]),
                b"Bearer",
                b"Bearer " + b"." * self.rng.randint(0, 9),
                b"Basic " + base64.b64encode(b"zqx:" + table.NUMBER.encode()),
                b"\xff\xfe",
                b"",
            ]
        )
        knock = self._posted(self._body(*self._good())).with_header(b"authorization", value)
        if self.rng.random() < 0.15:
            knock = Knock(knock.body, (*knock.headers, (b"authorization", good)))
        return knock

    def odd_method(self) -> Knock:
        """A good body by another method."""
        method = self.rng.choice(
            ["GET", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE", "CONNECT", "post", "ZQX", "QUERY"]
        )
        return self._posted(self._body(*self._good()), method=method)

    def by_get(self) -> Knock:
        """A document in the URL."""
        text, variables = self._good()
        query = f"query={text}&variables={json.dumps(variables)}".replace(" ", "+")
        bent = bytearray(query.encode())
        for _ in range(self.rng.choice([0, 1, 3])):
            at = self.rng.randrange(len(bent))
            bent[at : at + 1] = self.rng.choice([b"%", b"%ff", b"&query=zqx", b"%00", b"+", b"=", b"\xff", b"&"])
        knock = self._posted(b"", method="GET", query_string=bytes(bent))
        return knock.with_header(b"graphql-require-preflight", b"1") if self.rng.random() < 0.8 else knock

    def odd_members(self) -> Knock:
        """A JSON object whose members are of other kinds, twice there, or deep."""
        text, variables = self._good()
        members = [("query", text), ("variables", variables), ("operationName", None), ("extensions", {})]
        made = []
        for name, value in members:
            what = self.rng.random()
            if what < 0.2:
                value = self.rng.choice(_VALUES)  # noqa: PLW2901 - the member is spoilt
            elif what < 0.3:
                made.append((name, value))
            if what > 0.1:
                made.append((name, value))
        written = ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in made)
        depth = self.rng.choice([0, 0, 0, 9, 11, 400])
        return self._posted(("{" + written + "}").replace("{}", "[" * depth + "{}" + "]" * depth).encode())
