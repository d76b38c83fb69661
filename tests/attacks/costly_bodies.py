"""Bodies that try to cost as much CPU as they can before anything is executed; and a search that makes them worse.

A family is a function of a few numbers; the search climbs in those numbers, then mutates the text of the worst body
found. Everything is drawn from one seeded generator.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    get_introspection_query,
    is_required_argument,
)

from gateway.graphql.query import GRAPHQL_SCHEMA

MOST_BYTES: Final = 16 * 1024

Numbers = tuple[int, ...]
Family = Callable[..., bytes]

KEY: Final = {"nhsNumber": "9990000018", "dateOfBirth": "2020-04-09", "familyName": "Amis"}
ACCESS: Final = {"purpose": "CP_S47", "reason": "r"}
CHILD: Final = "child(key: $key, access: $access)"
VARIABLES: Final = "$key: ChildKey!, $access: AccessRequest!"
SPOILT: Final = " zqx "


@dataclass(frozen=True, slots=True)
class Body:
    """One body, of which family it is and by which numbers it was made."""

    family: str
    numbers: Numbers
    content: bytes


def posted(text: str, variables: Mapping[str, Any] | None = None) -> bytes:
    """Return a body, as short as JSON can write it."""
    sent = {"key": KEY, "access": ACCESS, **(variables or {})}
    used = {name: value for name, value in sent.items() if "$" + name in text or variables}
    return json.dumps({"query": text, "variables": used}, separators=(",", ":"), ensure_ascii=False).encode()


def _named(kind: Any) -> Any:
    while isinstance(kind, GraphQLNonNull | GraphQLList):
        kind = kind.of_type
    return kind


def _selection(kind: GraphQLObjectType, left: list[int], depth: int, each: str) -> str:
    """Return a valid selection that goes everywhere, until the fields that are left are used."""
    parts = []
    for name, field in kind.fields.items():
        if left[0] <= 0 or any(is_required_argument(argument) for argument in field.args.values()):
            continue
        inner = _named(field.type)
        if not isinstance(inner, GraphQLObjectType):
            left[0] -= 1
            parts.append(name + each)
        elif depth > 1:
            left[0] -= 1
            parts.append(f"{name}{each} {{ {_selection(inner, left, depth - 1, each) or '__typename'} }}")
    return " ".join(parts)


def wide(fields: int, depth: int, directive: int, spoilt: int) -> bytes:
    """Every field there is, once."""
    each = ("", " @include(if: true)", " @skip(if: $no)")[directive % 3]
    selected = _selection(GRAPHQL_SCHEMA.type_map["ChildLookup"], [fields % 220], depth % 8, each)  # type: ignore[arg-type]
    more = ", $no: Boolean = false" if "$no" in each else ""
    end = SPOILT if spoilt % 2 else ""
    return posted(f"query({VARIABLES}{more}) {{ {CHILD} {{ outcome {selected} {end} }} }}")


def brimming(fields: int, repeats: int, conditions: int, words: int, spoilt: int) -> bytes:
    """A lookup that comes near every limit at once, and is valid."""
    selected = _selection(GRAPHQL_SCHEMA.type_map["ChildLookup"], [fields % 200], 7, "")  # type: ignore[arg-type]
    again = "advice " * (repeats % 10) + "receipt " * (repeats % 7)
    spread = "complete @include(if: $no) @skip(if: $no) " * (conditions % 9)
    listed = " ".join(["CURRENT"] * (words % 190))
    rows = f"x: involvements(status: [{listed}]) {{ id }}" if listed else ""
    parts = [f"F{n}" for n in range(repeats % 9)]
    made = " ".join(f"fragment {part} on ChildLookup {{ complete }}" for part in parts)
    text = f"outcome {selected} {again} {spread} {rows} {' '.join('...' + part for part in parts)}"
    end = SPOILT if spoilt % 2 else ""
    comments = "#\n" * (conditions % 21)
    return posted(f"query({VARIABLES}, $no: Boolean = false) {{ {CHILD} {{ {text} {end} }} }} {made} {comments}")


def deep(depth: int, width: int, inline: int, spoilt: int) -> bytes:
    """Types of types of types."""
    text = "name kind " * (width % 5 + 1)
    for _ in range(depth % 20):
        text = f"ofType {{ {text} }}"
        if inline % 2:
            text = f"... on __Type {{ {text} }}"
    end = SPOILT if spoilt % 2 else ""
    return posted(f"{{ __schema {{ types {{ {text} {end} }} }} }}")


def repeats(outer: int, middle: int, inner: int, spoilt: int) -> bytes:
    """One response key again and again, and below it again."""
    leaf = "phone email mode " * (inner % 8 + 1)
    text = f"safeguardingLead {{ {leaf} }} " * (middle % 12 + 1)
    return posted("{" + f"agencies {{ {text} }} " * (outer % 12 + 1) + (SPOILT if spoilt % 2 else "") + "}")


def repeated_types(outer: int, middle: int, inner: int, spoilt: int) -> bytes:
    """The same below introspection, whose ceilings are higher."""
    leaf = "name kind description " * (inner % 8 + 1)
    text = f"fields {{ {leaf} }} inputFields {{ name }} " * (middle % 12 + 1)
    repeated = f"types {{ {text} }} " * (outer % 12 + 1)
    return posted("{ __schema {" + repeated + (SPOILT if spoilt % 2 else "") + "} }")


def fragments(count: int, spreads: int, fields: int, cross: int) -> bytes:
    """Fragments that spread one another, a few times each."""
    count = count % 11 + 1
    leaves = " ".join(["subject", "roles", "scopes", "organisation", "onBehalfOf"][: fields % 6])
    made = []
    for n in range(count):
        later = list(range(n + 1, count))[: spreads % 5 + 1] if cross % 2 else [n + 1] * (n + 1 < count)
        made.append(f"fragment F{n} on Viewer {{ __typename {leaves} {' '.join(f'...F{m}' for m in later)} }}")
    return posted("{ viewer { " + "...F0 " * (spreads % 5 + 1) + "} } " + " ".join(made))


def fragments_below(count: int, levels: int, fields: int, spoilt: int) -> bytes:
    """Fragments at several levels of introspection, each spread at every level."""
    count, levels = count % 10 + 1, levels % 14 + 1
    made = [f"fragment F{n} on __Type {{ name {'kind description ' * (fields % 3)} }}" for n in range(count)]
    spread = " ".join(f"...F{n}" for n in range(count))
    text = spread
    for _ in range(levels):
        text = f"{spread} ofType {{ {text} }}"
    return posted("{ __schema { types { " + text + " } " + (SPOILT if spoilt % 2 else "") + "} } " + " ".join(made))


def directives(count: int, fields: int, spoilt: int) -> bytes:
    """Conditions, with variables."""
    spread = "@include(if: $no) @skip(if: $no) " * (count % 12)
    names = ["subject", "roles", "scopes", "organisation", "onBehalfOf"] * (fields % 3 + 1)
    end = SPOILT if spoilt % 2 else ""
    return posted(f"query($no: Boolean!) {{ viewer {spread} {{ {' '.join(names)} {end} }} }}", {"no": True})


def arguments(values: int, fields: int, objects: int) -> bytes:
    """Fields that differ in nothing, each with a long argument."""
    listed = " ".join(["CURRENT", "PREVIOUS"] * (values % 200))
    text = f"involvements(status: [{listed}]) {{ id role }} " * (fields % 11 + 1)
    kinds = "involvements(agencyKinds: [POLICE HEALTH]) { id } " * (objects % 3)
    return posted(f"query({VARIABLES}) {{ {CHILD} {{ outcome {text} {kinds} }} }}")


def objects(depth: int, members: int, spoilt: int) -> bytes:
    """Input objects, deep and wide, that are not of their type."""
    inner = "1"
    for n in range(depth % 50):
        inner = "{" + f"a{n}: {inner} " + " ".join(f"b{m}: 1" for m in range(members % 20)) + "}"
    return posted(
        f"query($key: ChildKey! = {inner}) {{ child(key: $key) {{ outcome }} {SPOILT if spoilt % 2 else ''} }}"
    )


def definitions(variables: int, operations: int, used: int) -> bytes:
    """Variables, in many operations, used in a fragment of all of them."""
    operations = operations % 11 + 1
    names = [f"$v{n}: Int" for n in range(variables % 200)]
    uses = " ".join(f"a{n}: accessMatrix(first: $v{n}) {{ totalCount }}" for n in range(min(used % 12, len(names))))
    text = " ".join(f"query Q{n}({' '.join(names) or '$a: Int'}) {{ ...F }}" for n in range(operations))
    return posted(text + f" fragment F on Query {{ viewer {{ subject }} {uses} }}", {"v0": 1})


def introspection(more: int, times: int, spoilt: int) -> bytes:
    """The standard query, with as much more as there is room for."""
    text = get_introspection_query(descriptions=True, specified_by_url=True, directive_is_repeatable=True)
    room = "kind name description " * (more % 30)
    text = text.replace("fragment FullType on __Type {", "fragment FullType on __Type { " + room)
    text += " ".join(f"query Q{n} {{ __schema {{ ...S }} }}" for n in range(times % 8))
    if times % 8:
        text += " fragment S on __Schema { types { name kind fields { name type { name } } } }"
    return posted(text + (" query Zqx { zqx }" if spoilt % 2 else ""))


def strings(kind: int, length: int, units: int) -> bytes:
    """One long token: a string, a block string, a name, a number, a comment."""
    length = length * 40 % 7_900
    unit = ("x", "\\u00e9", "\n ", '\\"', "é", "\\n", "\U0001f600", "\n\t\n  x")[units % 8]
    long = (unit * length)[:length]
    number = "9" * length
    tokens = (
        f'"{long}"' if "\n" not in long else '""',
        f'"""{long}"""',
        "z" * length,
        number,
        f"-0.{number}e{number[:40]}",
        "# " + long.replace("\n", " ") + "\n",
        '"" ' * (length // 20),
        '"""\n""" ' * (length // 40),
    )
    return posted(f"{{ viewer(a: {tokens[kind % 8]}) {{ subject }} }}")


def unclosed(kind: int, length: int) -> bytes:
    """What never ends, and what a careless scan would look at again and again."""
    length %= 7_900
    units = ('"""\\"', '"', "{", "[", "((", '"\\', '"" "', "...", "@", "-", "1e", "{a{", "#\r", "\ufeff", ",")
    unit = units[kind % len(units)]
    return posted("{ a " + (unit * length)[:length])


def values(kind: int, length: int) -> bytes:
    """Variables: long lists, wide objects, texts of escapes, numbers."""
    made = (
        b"[" + b"1," * (length % 6_000) + b"1]",
        b"[" + b"{}," * (length % 4_500) + b"1]",
        b"[" + b"1e9," * (length % 3_500) + b"1]",
        b"[" + b'"\\u00e9",' * (length % 1_500) + b"1]",
        b'"' + b"\\ud83d\\ude00" * (length % 1_200) + b'"',
        b"{" + b",".join(b'"%x":1' % n for n in range(length % 1_600)) + b"}",
        b"[" * 9 + b"]" * 9,
        b"1" * (length % 15_000 + 1),
        b"-0." + b"1" * (length % 15_000 + 1),
        b"[" + b'{"a":{"b":[{"c":[]}]}},' * (length % 600) + b"1]",
        b" " * (length % 15_000) + b"1",
        b"[" + b"[],[]," * (length % 2_400) + b"1]",
    )[kind % 12]
    return b'{"query":"{ viewer { subject } }","variables":{"a":' + made + b"}}"


def coerced(kind: int, length: int, spoilt: int) -> bytes:
    """Variables that are coerced: long lists of words, long texts for scalars."""
    words: list[Any] = ["CURRENT", "PREVIOUS"] * (length % 600)
    if spoilt % 2:
        words.append("ZQX")
    text = ("9" * (length * 9), "٩" * (length * 4), " " * (length * 9), "-" * (length * 9))[spoilt % 4][:7_000]
    if kind % 4 == 0:
        rows = "involvements(status: $s) { id }"
        return posted(f"query({VARIABLES}, $s: [InvolvementStatus!]) {{ {CHILD} {{ outcome {rows} }} }}", {"s": words})
    member = ("nhsNumber", "dateOfBirth", "familyName")[kind % 4 - 1]
    return posted(f"query({VARIABLES}) {{ {CHILD} {{ outcome }} }}", {"key": {**KEY, member: text}})


FAMILIES: Final[Mapping[str, tuple[Family, int]]] = {
    made.__name__: (made, made.__code__.co_argcount)
    for made in (
        wide,
        brimming,
        deep,
        repeats,
        repeated_types,
        fragments,
        fragments_below,
        directives,
        arguments,
        objects,
        definitions,
        introspection,
        strings,
        unclosed,
        values,
        coerced,
    )
}


def drawn(rng: random.Random, family: str | None = None) -> Body:
    """Return a body by random numbers."""
    name = family or rng.choice(list(FAMILIES))
    return _made(name, tuple(rng.randrange(1_000) for _ in range(FAMILIES[name][1])))


def climbs(rng: random.Random, start: Body) -> Iterator[Body]:
    """Yield neighbours of a body: one of its numbers a little or quite different."""
    while True:
        numbers = list(start.numbers)
        at = rng.randrange(len(numbers))
        numbers[at] = max(0, numbers[at] + rng.choice([-100, -10, -3, -1, 1, 3, 10, 100]))
        yield _made(start.family, tuple(numbers))


def mutated(rng: random.Random, body: Body) -> Body:
    """Return a body whose document differs in a few pieces: doubled, dropped, moved."""
    try:
        sent = json.loads(body.content)
        pieces = sent["query"].split(" ")
    except (ValueError, KeyError, AttributeError):
        return body
    for _ in range(rng.randint(1, 3)):
        first = rng.randrange(len(pieces))
        last = min(len(pieces), first + rng.choice([1, 1, 2, 5, 20]))
        taken = pieces[first:last]
        what = rng.random()
        if what < 0.6:
            pieces[first:first] = taken
        elif what < 0.8:
            del pieces[first:last]
            pieces = pieces or ["{"]
        else:
            at = rng.randrange(len(pieces))
            pieces[at:at] = taken
    sent["query"] = " ".join(pieces)
    content = json.dumps(sent, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    return Body(body.family.removesuffix(", mutated") + ", mutated", body.numbers, content[:MOST_BYTES])


def _made(family: str, numbers: Sequence[int]) -> Body:
    return Body(family, tuple(numbers), FAMILIES[family][0](*numbers)[:MOST_BYTES])
