"""The table of attacks on a GraphQL endpoint: row by row, what is sent and what must come back.

Every case is sent twice, under each of the two media types; `door.STATUS` says which status a code then has. Whatever
is refused asks no source, leaves no INTENT and quotes nothing. `Shown` names the test of a case that is more than one
request and one code.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from graphql import get_introspection_query

from tests.attacks.door import JSON, Header, Knock

ROWS: Final = range(1, 38)

NUMBER: Final = "9990000018"
BORN: Final = "2020-04-09"
FAMILY: Final = "Zqxfamily"
REASON: Final = "zqxreason of the asker"
PLANTED: Final = (NUMBER.encode(), b"999 000", FAMILY.encode(), b"zqx")
"""What no answer, header or log line may hold, except where a lookup was asked for its own child's identity."""

LIMIT, INVALID, PARSE, INPUT = (
    "LIMIT_EXCEEDED",
    "GRAPHQL_VALIDATION_FAILED",
    "GRAPHQL_PARSE_FAILED",
    "BAD_USER_INPUT",
)
NOT_JSON, NOT_GRAPHQL, TOO_LARGE = "BODY_NOT_JSON", "NOT_A_GRAPHQL_REQUEST", "PAYLOAD_TOO_LARGE"
TYPE, METHOD, NOWHERE, NO_TOKEN = "UNSUPPORTED_MEDIA_TYPE", "METHOD_NOT_ALLOWED", "NOT_FOUND", "UNAUTHENTICATED"

LITERAL: Final = (
    f'(key: {{nhsNumber: "{NUMBER}", dateOfBirth: "{BORN}", familyName: "{FAMILY}"}},'
    f' access: {{purpose: CP_S47, reason: "{REASON}"}})'
)
LOOKUP: Final = "query Who($key: ChildKey!, $access: AccessRequest!) { child(key: $key, access: $access) { outcome } }"


@dataclass(frozen=True, slots=True)
class Case:
    """One request. `code` None: answered. `token` is a name of `tokens`, None for no Authorization header."""

    row: int
    what: str
    knock: Knock
    code: str | None
    token: str | None = "lookup"
    lookups: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """A case that has a test of its own, by name."""

    row: int
    what: str
    by: str


def body(text: str, operation: str | None = None, **variables: Any) -> bytes:
    """Return the body of a POST."""
    return json.dumps(
        {"query": text, "variables": variables, **({"operationName": operation} if operation else {})}
    ).encode()


def post(content: bytes, content_type: str = JSON, *headers: Header, **differs: Any) -> Knock:
    """Return a POST of these bytes."""
    return Knock(content, ((b"content-type", content_type.encode()), *headers), **differs)


def asks(row: int, what: str, text: str, code: str | None, caller: str = "lookup", **variables: Any) -> Case:
    """Return a case that posts a document with variables."""
    return Case(row, what, post(body(text, **variables)), code, caller)


def sends(row: int, what: str, content: bytes, code: str, content_type: str = JSON, *headers: Header) -> Case:
    """Return a case that posts bytes."""
    return Case(row, what, post(content, content_type, *headers), code)


def looks_up(row: int, what: str, text: str = LOOKUP, code: str | None = None, **spoiled: Any) -> Case:
    """Return a case that looks the child up; `spoiled` are members of the key, or `reason`, that differ."""
    key = {"nhsNumber": NUMBER, "dateOfBirth": BORN, "familyName": FAMILY}
    access = {"purpose": "CP_S47", "reason": REASON}
    key |= {name: value for name, value in spoiled.items() if name in key}
    access |= {name: value for name, value in spoiled.items() if name in access}
    return Case(row, what, post(body(text, key=key, access=access)), code, lookups=0 if code else 1)


def doubling(fragments: int, on: str = "Query", leaf: str = "__typename") -> str:
    """Return a document of few tokens and 2 to the power of `fragments` fields."""
    chain = "".join(f"fragment F{n} on {on} {{ ...F{n + 1} ...F{n + 1} }} " for n in range(fragments - 1))
    return f"{{ ...F0 }} {chain} fragment F{fragments - 1} on {on} {{ {leaf} }}"


def repeated(unit: Callable[[int], str], times: int) -> str:
    """Return so many units, each told its number."""
    return " ".join(unit(n) for n in range(times))


_EVENTS: Final = "pageInfo { hasNextPage }"
ALIASES = (
    "query($k: ChildKey!, $a: AccessRequest!) {"
    + repeated(lambda n: f"a{n}: child(key: $k, access: $a) {{ outcome }}", 101)
    + "}"
)
HASH_ONLY = b'{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"zqx00"}}}'
PREFLIGHT = (b"graphql-require-preflight", b"1")


def got(query_string: bytes, *headers: Header) -> Knock:
    """Return a GET with a query string."""
    return Knock(method="GET", headers=headers, query_string=query_string)


CASES: Final[tuple[Case | Shown, ...]] = (
    # 1: one lookup in an operation
    asks(1, "101 aliases of child", ALIASES, LIMIT),
    asks(1, "10 aliases of child", "{" + repeated(lambda n: f"a{n}: child{LITERAL} {{ outcome }}", 10) + "}", LIMIT),
    asks(1, "two children", f"{{ child{LITERAL} {{ outcome }} b: child{LITERAL} {{ outcome }} }}", LIMIT),
    asks(
        1,
        "the second child in a fragment",
        f"{{ child{LITERAL} {{ outcome }} ...F }} fragment F on Query {{ b: child{LITERAL} {{ outcome }} }}",
        LIMIT,
    ),
    asks(1, "101 aliases of viewer", "{" + repeated(lambda n: f"a{n}: viewer {{ subject }}", 101) + "}", LIMIT),
    looks_up(1, "control: one child"),
    # 2: repeated fields
    asks(2, "500 times one field", "{ viewer { " + "subject " * 500 + "} }", LIMIT),
    asks(2, "1000 times one field", "{" + "__typename " * 1000 + "}", LIMIT),
    asks(2, "ten by ten, compared pair by pair", "{" + ("viewer { " + "subject " * 10 + "} ") * 10 + "}", LIMIT),
    asks(2, "200 fields below one another", "{" + ("viewer {" + "subject roles scopes " * 6 + "}") * 10 + "}", LIMIT),
    # 3: batches
    sends(3, "an array of two", b"[" + body("{ __typename }") + b"," + body("{ __typename }") + b"]", NOT_GRAPHQL),
    sends(3, "an array of one", b"[" + body("{ __typename }") + b"]", NOT_GRAPHQL),
    sends(3, "two documents in a row", body("{ __typename }") * 2, NOT_JSON),
    # 4: fragments that double
    asks(4, "25 fragments", doubling(25), LIMIT),
    asks(4, "10 fragments", doubling(10), LIMIT),
    asks(4, "9 fragments below a field", doubling(9, "Query", "viewer { subject }"), LIMIT),
    # 5: fragments in a circle
    asks(5, "two", "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }", INVALID),
    asks(5, "one", "{ ...A } fragment A on Query { ...A }", INVALID),
    asks(5, "below a field", "{ viewer { ...A } } fragment A on Viewer { subject ...A }", INVALID),
    # 6: chains of fragments
    asks(
        6,
        "91 fragments",
        "{ ...F0 } "
        + repeated(lambda n: f"fragment F{n} on Query {{ ...F{n + 1} }}", 90)
        + " fragment F90 on Query { __typename }",
        LIMIT,
    ),
    asks(6, "1000 fragments", repeated(lambda n: f"fragment F{n} on Query {{ ...F{n + 1} }}", 1000), TOO_LARGE),
    asks(6, "1000 short ones", repeated(lambda n: f"fragment F{n} on Q{{a}}", 500), LIMIT),
    # 7: directives
    asks(7, "100 conditions", "{ __typename " + "@include(if: true) " * 100 + "}", LIMIT),
    asks(7, "1000 conditions", "{ __typename " + "@include(if:true)" * 900 + "}", LIMIT),
    asks(7, "10 unknown", "{ __typename " + "@zqx " * 10 + "}", INVALID),
    asks(7, "700 unknown", "{ __typename " + "@zqx " * 700 + "}", LIMIT),
    asks(7, "10,000 unknown", "{ __typename " + "@zqx " * 10_000 + "}", TOO_LARGE),
    # 8: comments
    sends(8, "5 MB", body("{ __typename } " + "#\n" * 2_500_000), TOO_LARGE),
    asks(8, "3000", "{ __typename } " + "#\n" * 3_000, LIMIT),
    asks(8, "one long one", "{ __typename } #" + "zqx" * 3_000, LIMIT),
    # 9: one long token
    sends(9, "a name of 1 MB", body("{ " + "z" * 1_000_000 + " }"), TOO_LARGE),
    asks(9, "a name of 9 kB", "{ " + "zqx" * 3_000 + " }", LIMIT),
    asks(9, "a name of 7 kB", "{ " + "zqx" * 2_300 + " }", INVALID),
    asks(9, "a string of 7 kB", '{ viewer(a: "' + "zqx" * 2_300 + '") { subject } }', INVALID),
    asks(9, "a block string of 7 kB", '{ viewer(a: """' + "\n zqx" * 1_400 + '""") { subject } }', INVALID),
    asks(9, "a number of 7 kB", "{ accessMatrix(first: " + "9" * 7_000 + ") { totalCount } }", INPUT),
    # 10: nesting of the document
    asks(10, "5000 open braces", "{a" * 5_000, LIMIT),
    asks(10, "200 selections", "{a" * 200 + "}" * 200, LIMIT),
    asks(10, "10 selections", "{ agencies " + "{ safeguardingLead " * 9 + "{ phone }" + "}" * 9 + " }", LIMIT),
    asks(10, "a list 300 deep", "{ accessMatrix(first: " + "[" * 300 + "]" * 300 + ") { totalCount } }", LIMIT),
    asks(10, "an object 60 deep", "{ explainAccess(asked: " + "{a: " * 60 + "1" + "}" * 60 + ") { outcome } }", LIMIT),
    asks(10, "a type 300 deep", "query($a: " + "[" * 300 + "Int" + "]" * 300 + ") { __typename }", LIMIT),
    # 11: nesting of the JSON
    sends(11, "100,000", b'{"query":"{ __typename }","variables":' + b"[" * 100_000 + b"}", TOO_LARGE),
    sends(11, "7000", b'{"query":"{ __typename }","variables":{"a":' + b"[" * 7_000 + b"]" * 7_000 + b"}}", NOT_JSON),
    sends(
        11, "2000 objects", b'{"query":"{ __typename }","variables":' + b'{"a":' * 2_000 + b"1" + b"}" * 2_001, NOT_JSON
    ),
    sends(11, "11", b'{"query":"{ __typename }","variables":{"a":' + b"[" * 10 + b"]" * 10 + b"}}", NOT_JSON),
    # 12: JSON that is no object
    *(sends(12, text.decode(), text, NOT_GRAPHQL) for text in (b"1", b"null", b"true", b'"zqx"', b"[]", b"{}")),
    sends(12, "a query that is a number", b'{"query":7}', NOT_GRAPHQL),
    sends(12, "variables that are a list", b'{"query":"{ __typename }","variables":["zqx"]}', NOT_GRAPHQL),
    sends(12, "a name that is an object", b'{"query":"{ __typename }","operationName":{"zqx":1}}', NOT_GRAPHQL),
    sends(12, "nothing", b"", NOT_JSON),
    # 13: a member twice
    sends(13, "query", b'{"query":"{ __typename }","query":"{ viewer { subject } }"}', NOT_JSON),
    sends(13, "query, once escaped", b'{"query":"{ __typename }","\\u0071uery":"{ zqx }"}', NOT_JSON),
    sends(13, "in the variables", b'{"query":"{ __typename }","variables":{"zqx":1,"zqx":2}}', NOT_JSON),
    # 14: other encodings
    sends(14, "UTF-16", body("{ __typename }").decode().encode("utf-16"), NOT_JSON),
    sends(14, "UTF-32", body("{ __typename }").decode().encode("utf-32-le"), NOT_JSON),
    sends(
        14, "UTF-16 as its own type", body("{ __typename }").decode().encode("utf-16"), TYPE, f"{JSON}; charset=utf-16"
    ),
    sends(14, "a byte-order mark", b"\xef\xbb\xbf" + body("{ __typename }"), NOT_JSON),
    sends(14, "no UTF-8", b'{"query":"{ __typename } # zqx\xc3"}', NOT_JSON),
    sends(14, "an overlong slash", b'{"query":"{ __typename } # \xc0\xaf"}', NOT_JSON),
    sends(14, "a lone surrogate", b'{"query":"{ __typename }","variables":{"zqx":"\\ud800"}}', NOT_JSON),
    # 15: which operation
    asks(15, "two without names", "{ __typename } { __typename }", INVALID),
    asks(15, "two names, none chosen", "query A { __typename } query B { __typename }", INVALID),
    asks(15, "one name twice", "query A { __typename } query A { viewer { subject } }", INVALID),
    Case(15, "a name that is none", post(body("query A { __typename }", "Zqx")), INVALID),
    # 16: empty selections
    asks(16, "of a child", f"{{ child{LITERAL} {{ }} }}", INVALID),
    asks(16, "in a fragment", f"{{ child{LITERAL} {{ ...F }} }} fragment F on ChildLookup {{ }}", INVALID),
    asks(16, "of the operation", "{ }", INVALID),
    asks(16, "left out", f"{{ child{LITERAL} }}", INVALID),
    # 17: does the child exist
    asks(17, "the type's name alone", f"{{ child{LITERAL} {{ __typename }} }}", INVALID),
    asks(17, "outcome under another name", f"{{ child{LITERAL} {{ zqx: outcome }} }}", INVALID),
    asks(17, "outcome under a condition", f"{{ child{LITERAL} {{ outcome @skip(if: true) }} }}", INVALID),
    looks_up(17, "outcome alone is a lookup, and recorded as one"),
    looks_up(17, "and so it is with the type's name", LOOKUP.replace("outcome", "__typename outcome")),
    asks(17, "control: the root's name is no lookup", "{ __typename }", None),
    # 18: introspection without its scope
    asks(18, "the standard query", get_introspection_query(), INVALID),
    asks(18, "__type", '{ __type(name: "Query") { fields { name } } }', INVALID),
    asks(18, "under an alias", "{ zqx: __schema { queryType { name } } }", INVALID),
    asks(18, "in a fragment", "{ ...F } fragment F on Query { __schema { queryType { name } } }", INVALID),
    asks(18, "in another operation", "query A { __typename } query B { __schema { queryType { name } } }", INVALID),
    asks(18, "under a condition", "{ __schema @skip(if: true) { queryType { name } } __typename }", INVALID),
    asks(18, "control: with the scope", "{ __schema { queryType { name } } }", None, "schema"),
    asks(
        18,
        "beside a lookup, with the scope",
        f"{{ child{LITERAL} {{ outcome }} __schema {{ queryType {{ name }} }} }}",
        INVALID,
        "both",
    ),
    asks(
        18,
        "in a circle",
        "{ __schema { types { fields { type { fields { type { fields { type { fields { type "
        "{ name } } } } } } } } } } }",
        INVALID,
    ),
    # 19: hints
    asks(19, "a field", "{ agencies { nam } }", INVALID),
    asks(19, "an argument", "{ accessMatrix(frist: 1) { totalCount } }", INVALID),
    asks(19, "a type", "query($k: ChildKeys) { __typename }", INVALID),
    asks(19, "a fragment's type", "{ ...F } fragment F on Querry { __typename }", INVALID),
    asks(19, "a word of a list", f"{{ child{LITERAL.replace('CP_S47', 'CP_S74')} {{ outcome }} }}", INPUT),
    asks(19, "a member of an input", f"{{ child{LITERAL.replace('familyName', 'familyNam')} {{ outcome }} }}", INPUT),
    asks(19, "a directive", "{ __typename @includ(if: true) }", INVALID),
    asks(19, "no selection", "{ agencies }", INVALID),
    looks_up(19, "a word of a list in a variable", code=INPUT, purpose="CP_S74"),
    # 20: values
    looks_up(20, "a number with more before it", code=INPUT, nhsNumber="zqx" + NUMBER),
    looks_up(20, "a number for a text", code=INPUT, familyName=9990000018),
    looks_up(20, "an object for a text", code=INPUT, reason={"zqx": NUMBER}),
    looks_up(20, "no such day", code=INPUT, dateOfBirth="2020-02-30"),
    looks_up(20, "a text for a day", code=INPUT, dateOfBirth=f"zqx {NUMBER}"),
    asks(20, "a text for a number", "query($n: Int) { accessMatrix(first: $n) { totalCount } }", INPUT, n=NUMBER),
    asks(20, "the same, written out", f'{{ accessMatrix(first: "{NUMBER}") {{ totalCount }} }}', INPUT),
    asks(20, "a variable left out", LOOKUP, INPUT),
    # 21: GET
    Case(21, "a lookup", got(b"query=" + LOOKUP.replace(" ", "+").encode(), PREFLIGHT), METHOD),
    Case(21, "without the header", got(b"query={__typename}"), METHOD),
    Case(21, "by a browser", got(b"", (b"sec-fetch-mode", b"navigate")), METHOD),
    Case(21, "a mutation", got(b"query=mutation{endAppointment(id:%22zqx%22){id}}", PREFLIGHT), METHOD, "office"),
    Case(21, "no query", got(b"zqx=1", PREFLIGHT), NOT_GRAPHQL),
    Case(21, "a parameter twice", got(b"query={__typename}&query={zqx}", PREFLIGHT), NOT_GRAPHQL),
    Case(21, "too long", got(b"query=" + b"z" * 20_000, PREFLIGHT), TOO_LARGE),
    Case(21, "control: what is no lookup, with the header", got(b"query={__typename}", PREFLIGHT), None),
    # 22: content types
    sends(22, "a form", b"query=%7B__typename%7D", TYPE, "application/x-www-form-urlencoded"),
    sends(22, "text", body("{ __typename }"), TYPE, "text/plain"),
    sends(22, "none", body("{ __typename }"), TYPE, ""),
    sends(22, "multipart", b"--x--", TYPE, "multipart/form-data; boundary=x"),
    sends(22, "application/graphql", b"{ __typename }", TYPE, "application/graphql"),
    sends(22, "JSON with a parameter", body("{ __typename }"), TYPE, f"{JSON}; zqx=1"),
    sends(22, "two types", body("{ __typename }"), TYPE, JSON, (b"content-type", b"text/plain")),
    sends(22, "a list of types", body("{ __typename }"), TYPE, f"{JSON}, text/plain"),
    # 23: other origins
    Case(23, "a cookie for a token", post(body("{ __typename }"), JSON, (b"cookie", b"token=zqx")), NO_TOKEN, None),
    Case(23, "a token in the URL", post(body("{ __typename }"), query_string=b"access_token=zqx"), NO_TOKEN, None),
    Case(
        23,
        "a form of another origin",
        post(b"query={__typename}", "application/x-www-form-urlencoded", (b"origin", b"https://zqx.example")),
        TYPE,
        None,
    ),
    Case(
        23,
        "what a browser asks first",
        Knock(
            method="OPTIONS", headers=((b"origin", b"https://zqx.example"), (b"access-control-request-method", b"POST"))
        ),
        METHOD,
        None,
    ),
    Case(
        23,
        "control: an origin with a token, told nothing of origins",
        post(body("{ __typename }"), JSON, (b"origin", b"https://zqx.example")),
        None,
    ),
    # 24: what is no query
    asks(24, "a mutation that is none", "mutation { zqx }", INVALID),
    asks(24, "a subscription", "subscription { __typename }", INVALID),
    asks(
        24,
        "two changes",
        'mutation { a: endAppointment(id: "1") { id } b: endAppointment(id: "2") { id } }',
        LIMIT,
        "office",
    ),
    asks(
        24, "a change beside a lookup", f"{{ child{LITERAL} {{ outcome }} appointments {{ id }} }}", INVALID, "office"
    ),
    asks(24, "a change without its scope", 'mutation { endAppointment(id: "zqx") { id } }', "FORBIDDEN"),
    Shown(24, "a WebSocket", "test_a_websocket_is_closed_before_it_is_accepted"),
    Shown(24, "an upgrade, over the wire", "test_an_upgrade_is_not_taken"),
    # 25: incremental delivery
    asks(25, "@defer", "{ ... @defer { __typename } }", INVALID),
    asks(25, "@stream", "{ agencies @stream(initialCount: 0) { id } }", INVALID),
    # 26: persisted documents
    sends(26, "a hash alone", HASH_ONLY, NOT_GRAPHQL),
    sends(26, "a hash and null", HASH_ONLY.replace(b"{", b'{"query":null,', 1), NOT_GRAPHQL),
    sends(26, "a hash and nothing", HASH_ONLY.replace(b"{", b'{"query":"",', 1), PARSE),
    # 27: pages
    *(
        asks(27, f"first: {first}", f"{{ accessMatrix(first: {first}) {{ totalCount }} }}", INPUT, "office")
        for first in (-1, 0, 51, 10**9, 2**31, 10**20, "1.5", '"1"', "true")
    ),
    *(
        asks(27, f"events, first: {first}", f"{{ auditEvents(first: {first}) {{ {_EVENTS} }} }}", INPUT, "auditor")
        for first in (-1, 0, 51, 10**9, 2**31, 10**20, "1.5", '"1"', "true")
    ),
    asks(27, "a cursor of events that is none", f'{{ auditEvents(after: "zqx") {{ {_EVENTS} }} }}', INPUT, "auditor"),
    asks(27, "control: 50 events", f"{{ auditEvents(first: 50) {{ {_EVENTS} }} }}", None, "auditor"),
    asks(
        28,
        "a child of events by no number",
        f"query($f: AuditFilter) {{ auditEvents(filter: $f) {{ {_EVENTS} }} }}",
        INPUT,
        "auditor",
        f={"nhsNumber": "zqx0000018"},
    ),
    asks(27, "a cursor that is none", '{ accessMatrix(after: "zqx") { totalCount } }', INPUT, "office"),
    asks(27, "control: first: 50", "{ accessMatrix(first: 50) { totalCount } }", None, "office"),
    # 28: identifiers
    looks_up(28, "NUL", code=INPUT, nhsNumber=NUMBER + "\0"),
    looks_up(28, "digits of another script", code=INPUT, nhsNumber="٩٩٩٠٠٠٠٠١٨"),
    looks_up(28, "full-width digits", code=INPUT, nhsNumber="".join(chr(0xFF10 + int(d)) for d in NUMBER)),
    looks_up(28, "O for 0", code=INPUT, nhsNumber=NUMBER.replace("0", "O")),
    looks_up(28, "a wrong check digit", code=INPUT, nhsNumber="9990000011"),
    looks_up(28, "8 kB", code=INPUT, nhsNumber=NUMBER * 800),
    looks_up(28, "1 MB", code=TOO_LARGE, nhsNumber=NUMBER * 100_000),
    looks_up(28, "spaces", code=INPUT, nhsNumber=" ".join(NUMBER)),
    looks_up(28, "a zero-width space", code=INPUT, nhsNumber=NUMBER[:5] + "\u200b" + NUMBER[5:]),
    looks_up(28, "nothing", code=INPUT, nhsNumber=""),
    # 29: slow and large heads and bodies
    Shown(29, "a body of a byte at a time", "test_a_body_of_a_byte_at_a_time_is_408"),
    Shown(29, "10,000 header fields", "test_ten_thousand_header_fields_are_431"),
    Shown(29, "a head that never ends", "test_a_head_of_a_byte_at_a_time_is_408"),
    # 30: compression
    sends(30, "gzip", gzip.compress(body("{ __typename }")), TYPE, JSON, (b"content-encoding", b"gzip")),
    sends(30, "a bomb", gzip.compress(b" " * 10_000_000), TYPE, JSON, (b"content-encoding", b"gzip")),
    sends(30, "deflate", zlib.compress(body("{ __typename }")), TYPE, JSON, (b"content-encoding", b"deflate")),
    sends(30, "twice", gzip.compress(b"{}"), TYPE, JSON, (b"content-encoding", b"identity, gzip")),
    sends(30, "unannounced", gzip.compress(body("{ __typename }")), NOT_JSON),
    Shown(30, "an answer is never compressed", "test_no_answer_is_compressed"),
    Shown(30, "a bomb over the wire", "test_a_compressed_bomb_over_the_wire_is_415"),
    # 31: failures of ours
    Shown(31, "an exception on the way to the answer", "test_a_failure_tells_its_correlation_id_and_nothing_else"),
    Shown(31, "an exception in a source", "test_a_source_that_raises_is_no_answer_and_is_not_quoted"),
    # 32: tracing
    Shown(32, "asked for by header, extension and directive", "test_nothing_traces"),
    # 33: methods and paths
    *(
        Case(
            33,
            f"{method} as POST",
            Knock(
                body("{ __typename }"),
                (
                    (b"content-type", b"application/json"),
                    (b"x-http-method-override", b"POST"),
                    (b"x-method-override", b"POST"),
                ),
                method,
            ),
            METHOD,
        )
        for method in ("PUT", "PATCH", "DELETE", "TRACE", "QUERY", "post", "PROPFIND")
    ),
    Case(
        33,
        "GET as POST",
        Knock(
            body("{ __typename }"),
            ((b"content-type", b"application/json"), (b"x-http-method-override", b"POST")),
            "GET",
        ),
        METHOD,
    ),
    *(
        Case(33, path, post(body("{ __typename }"), path=path), NOWHERE)
        for path in (
            "/graphql/",
            "//graphql",
            "/./graphql",
            "/graphql/.",
            "/x/../graphql",
            "/GraphQL",
            "/graphql;zqx",
            "/graphql\0",
            "/graphql%2f",
            "/graphql.json",
            "/v1/graphql",
            "/graphiql",
            "/playground",
            "/console",
        )
    ),
    Shown(33, "paths in percent signs, over the wire", "test_a_path_by_another_spelling_is_404"),
    # 34: requests that the gateway can be made to send
    looks_up(34, "an address for a number", code=INPUT, nhsNumber="http://169.254.169.254/zqx"),
    looks_up(34, "an address for a name names nobody"),
    Shown(34, "a source at an address of the platform", "test_no_source_is_asked_at_an_address_of_the_platform"),
    Shown(34, "a source that answers with a redirect", "test_a_redirect_of_a_source_is_not_followed"),
    # 35: identifiers on their way to a source
    looks_up(35, "a line end in a number", code=INPUT, nhsNumber=NUMBER + "\r\nX-Zqx: 1"),
    looks_up(35, "a path in a number", code=INPUT, nhsNumber=NUMBER + "/../zqx"),
    looks_up(35, "a line end in a name", code=INPUT, familyName=f"{FAMILY}\r\nX-Zqx: 1"),
    Shown(35, "what a source gets", "test_a_source_gets_a_parsed_identifier_or_is_not_asked"),
    # 36: logs
    looks_up(36, "a line end in a reason", code=INPUT, reason='zqx\n{"event":"forged"}'),
    Shown(36, "request ids, names and agents", "test_no_log_line_can_be_forged"),
    # 37: GraphQL over HTTP
    asks(37, "a document that does not parse", "{ zqx(", PARSE),
    asks(37, "a document that is not valid", "{ zqx }", INVALID),
    asks(37, "no document", "", PARSE),
    Case(37, "no token", post(body("{ zqx }")), NO_TOKEN, None),
    Case(37, "a token that is none", post(body("{ zqx }")), NO_TOKEN, "false"),
    Case(37, "a document without a token is not judged", post(body("{ zqx(")), NO_TOKEN, None),
    sends(37, "a number that JSON does not have", b'{"query":"{ __typename }","variables":{"a":NaN}}', NOT_JSON),
    sends(37, "a number that overflows", b'{"query":"{ __typename }","variables":{"a":1e999}}', NOT_JSON),
    sends(37, "20 MB", b" " * 20_000_000, TOO_LARGE),
    Shown(37, "types that are not written", "test_a_type_that_is_not_written_is_406"),
    asks(37, "control: an answer", "{ viewer { subject } }", None),
)


def single() -> list[Case]:
    """Return the cases of one request."""
    return [case for case in CASES if isinstance(case, Case)]


def shown() -> list[Shown]:
    """Return the cases that have a test of their own."""
    return [case for case in CASES if isinstance(case, Shown)]
