"""What a document may ask for; each fragment is measured once."""

from __future__ import annotations

import pytest
from graphql import DocumentNode, GraphQLError, Node, get_introspection_query, parse
from graphql.language import Lexer, Source, TokenKind
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError, LimitExceeded, ValidationFailed
from gateway.graphql.guard import DocumentLimits, Measured, check_source, measure
from gateway.graphql.root_fields import RootFields, check_root_fields, root_fields

LIMITS = DocumentLimits()


def measured(text: str) -> Measured:
    return measure(parse(text), LIMITS)


def roots(text: str) -> tuple[RootFields, Measured]:
    found = measured(text)
    return root_fields(next(iter(found.operations.values())), found.fragments), found


def doubling(fragments: int, leaf: str = "__typename") -> str:
    """Each fragment spreads the next one twice: as many paths as 2 to the number of fragments."""
    chain = "".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }} " for n in range(fragments - 1))
    return f"{{ ...F0 }} {chain} fragment F{fragments - 1} on Query {{ {leaf} }}"


def nested(depth: int) -> str:
    return "{ a " * depth + "}" * depth


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{ " + "a" * 8000 + " }", id="characters"),
        pytest.param("{ " + "a " * 800 + "}", id="tokens"),
        pytest.param("{ a }" + "#\n" * 21, id="comments"),
        pytest.param("{a" * 49 + "}" * 49, id="nested-selections"),
        pytest.param("{ a(b: " + "[" * 60 + "]" * 60 + ") }", id="nested-lists"),
        pytest.param("{a" * 900, id="nested-and-unclosed"),
        pytest.param('"" ' * 801, id="strings"),
        pytest.param("{ a(b: [" + "1 " * 250 + "]) }", id="values"),
        pytest.param("query(" + "$a: Int " * 70 + ") { a }", id="variables"),
    ],
)
def test_a_text_beyond_a_lexical_limit_is_refused_unparsed(text: str) -> None:
    with pytest.raises(LimitExceeded):
        check_source(text, LIMITS)


def test_a_text_at_every_lexical_limit_passes() -> None:
    check_source("{ " + "a " * (LIMITS.max_lexical_tokens - 2) + "}" + "#\n" * LIMITS.max_comments, LIMITS)


def lexed(text: str) -> tuple[int, int]:
    """Return the tokens and comments that the parser's own lexer reads before its first error."""
    lexer = Lexer(Source(text))
    tokens = comments = 0
    token = lexer.token
    try:
        while lexer.advance().kind is not TokenKind.EOF:
            tokens += 1
    except GraphQLError:
        pass
    while token.next is not None:
        token = token.next
        comments += token.kind is TokenKind.COMMENT
    return tokens, comments


PIECES = ["{", "}", "(", ")", "[", "]", "!", "$", "&", "...", ":", "=", "@", "|", "a", "_b1", "1", "-1", "1.5e3", '"']
PIECES += ['"x"', '""', '"""', '"""y"""', '\\"', "\\", '\\"""', "#c", "\n", " ", ",", ".", "é", "\x00", "1-2", "-"]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_the_lexical_count_is_never_below_the_parsers(text: str) -> None:
    tokens, comments = lexed(text)
    exact = DocumentLimits(max_lexical_tokens=tokens - 1, max_comments=1_000, max_bracket_nesting=1_000)
    if tokens:
        with pytest.raises(LimitExceeded):
            check_source(text, exact)
    if comments:
        with pytest.raises(LimitExceeded):
            check_source(text, DocumentLimits(max_comments=comments - 1))


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        pytest.param(nested(9), LimitExceeded, id="depth"),
        pytest.param("{ a { ...F } } fragment F on T " + nested(8), LimitExceeded, id="depth-through-a-fragment"),
        pytest.param("{ " + " ".join(f"f{n}" for n in range(201)) + " }", LimitExceeded, id="fields"),
        pytest.param(
            "{ a { ...F } b { ...F } c { ...F } } fragment F on T { " + " ".join(f"f{n}" for n in range(70)) + " }",
            LimitExceeded,
            id="fields-through-fragments",
        ),
        pytest.param("{ " + " ".join(f"a{n}: child" for n in range(11)) + " }", LimitExceeded, id="aliases"),
        pytest.param(
            "{ a { ...F } b { ...F } c { ...F } d { ...F } } fragment F on T { x: a y: b z: c }",
            LimitExceeded,
            id="aliases-through-fragments",
        ),
        pytest.param("{ a " + "@skip(if: false) " * 21 + "}", LimitExceeded, id="directives"),
        pytest.param("query @x " * 1 + "@x " * 20 + "{ a }", LimitExceeded, id="directives-on-the-operation"),
        pytest.param("query($v: Int " + "@x " * 21 + ") { a }", LimitExceeded, id="directives-on-a-variable"),
        pytest.param("{ " + "a " * 11 + "}", LimitExceeded, id="one-response-key"),
        pytest.param("{ " + "...F " * 11 + "} fragment F on T { a }", LimitExceeded, id="one-key-through-spreads"),
        pytest.param("{ " + "... on T { a } " * 11 + "}", LimitExceeded, id="one-key-through-inline-fragments"),
        pytest.param(doubling(10), LimitExceeded, id="doubling-fragments"),
        pytest.param(doubling(25), LimitExceeded, id="more-doubling-fragments"),
        pytest.param(
            "{ ...F0 } "
            + " ".join(f"fragment F{n} on Q {{ ...F{n + 1} }}" for n in range(10))
            + " fragment F10 on Q { a }",
            LimitExceeded,
            id="eleven-fragments",
        ),
        pytest.param("".join(f"query Q{n} {{ a }} " for n in range(11)), LimitExceeded, id="eleven-operations"),
        pytest.param("{ ...A } fragment A on Q { ...A }", ValidationFailed, id="self-cycle"),
        pytest.param("{ ...A } fragment A on Q { ...B } fragment B on Q { ...A }", ValidationFailed, id="cycle"),
        pytest.param("{ a } fragment A on Q { ...B } fragment B on Q { ...A }", ValidationFailed, id="unused-cycle"),
        pytest.param("{ a } fragment A on Q { a }", ValidationFailed, id="unused"),
        pytest.param("{ ...A }", ValidationFailed, id="unknown-fragment"),
        pytest.param("{ ...A } fragment A on Q { a } fragment A on Q { b }", ValidationFailed, id="fragment-twice"),
        pytest.param("{ child { } }", ValidationFailed, id="empty-selection-set"),
        pytest.param("{ }", ValidationFailed, id="empty-operation"),
        pytest.param("{ ...A } fragment A on Q { }", ValidationFailed, id="empty-fragment"),
        pytest.param("{ a { ... on T { } } }", ValidationFailed, id="empty-inline-fragment"),
        pytest.param("{ a } { b }", ValidationFailed, id="two-unnamed-operations"),
        pytest.param("query A { a } { b }", ValidationFailed, id="one-named-and-one-not"),
        pytest.param("query A { a } query A { b }", ValidationFailed, id="one-name-twice"),
        pytest.param("fragment A on Q { a }", ValidationFailed, id="no-operation"),
        pytest.param("type A { a: Int }", ValidationFailed, id="a-type"),
        pytest.param("{ a } type A { a: Int }", ValidationFailed, id="a-type-beside-an-operation"),
    ],
)
def test_a_document_beyond_a_limit_is_refused(text: str, refusal: type[GatewayError]) -> None:
    with pytest.raises(refusal):
        measured(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(nested(8), id="depth"),
        pytest.param("{ " + " ".join(f"f{n}" for n in range(200)) + " }", id="fields"),
        pytest.param("{ " + " ".join(f"a{n}: b" for n in range(10)) + " }", id="aliases"),
        pytest.param("{ a " + "@skip(if: false) " * 20 + "}", id="directives"),
        pytest.param("{ " + "a " * 10 + "}", id="one-response-key"),
        pytest.param(get_introspection_query(), id="the-standard-introspection-query"),
    ],
)
def test_a_document_at_a_limit_passes(text: str) -> None:
    measured(text)


def test_introspection_has_its_own_ceilings() -> None:
    measured("{ __schema " + "{ ofType " * 19 + "{ name }" + "}" * 19 + " }")
    with pytest.raises(LimitExceeded):
        measured("{ __schema " + "{ ofType " * 20 + "{ name }" + "}" * 20 + " }")
    with pytest.raises(LimitExceeded):
        measured("{ a " + "{ ofType " * 8 + "{ name }" + "}" * 8 + " }")


def count_nodes(document: DocumentNode) -> int:
    waiting: list[object] = [document]
    nodes = 0
    while waiting:
        current = waiting.pop()
        if isinstance(current, Node):
            nodes += 1
            waiting.extend(getattr(current, key) for key in current.keys if key != "loc")
        elif isinstance(current, tuple | list):
            waiting.extend(current)
    return nodes


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Fragments that spread later ones as often as they like: no cycle, any number of paths."""
    count = draw(st.integers(1, 9))

    def selections(first: int) -> str:
        choices = ["a", "b { c }", "x: a"] + [f"...F{n}" for n in range(first, count)]
        return " ".join(draw(st.lists(st.sampled_from(choices), min_size=1, max_size=6)))

    text = "{ " + selections(0) + " " + " ".join(f"...F{n}" for n in range(count)) + " } "
    return text + " ".join(f"fragment F{n} on Query {{ {selections(n + 1)} }}" for n in range(count))


@given(documents())
def test_no_node_is_measured_twice(text: str) -> None:
    boundless = DocumentLimits(
        max_depth=10**9, max_fields=10**9, max_aliases=10**9, max_directives=10**9, max_repeats_of_a_response_key=10**9
    )
    document = parse(text)

    assert measure(document, boundless).visited <= count_nodes(document)


def test_a_bomb_of_a_hundred_doubling_fragments_is_measured_in_one_visit_each() -> None:
    boundless = DocumentLimits(
        max_fragments=100, max_fields=10**40, max_repeats_of_a_response_key=10**40, max_introspection_fields=10**40
    )

    found = measure(parse(doubling(100)), boundless)

    assert found.visited < 600


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{ a: child { outcome } b: child { outcome } }", id="aliases"),
        pytest.param("{ child { outcome } findChild { outcome } }", id="both"),
        pytest.param("{ child { outcome } ...F } fragment F on Query { b: child { outcome } }", id="a-fragment"),
        pytest.param("{ ... { child { outcome } } ... on Query { findChild { handle } } }", id="inline-fragments"),
    ],
)
def test_one_operation_asks_for_one_child(text: str) -> None:
    with pytest.raises(LimitExceeded):
        roots(text)


def test_a_fragment_spread_twice_is_one_lookup() -> None:
    root, _ = roots("{ ...F ...F } fragment F on Query { child { outcome } }")

    assert root.lookup is not None


@pytest.mark.parametrize(
    "text",
    [
        "{ child { outcome } }",
        "{ c: child { complete outcome } }",
        "{ child { outcome: outcome } }",
        "{ child { ... { outcome } } }",
        "{ child { ... on ChildLookup { outcome } } }",
        "{ child { ...F } } fragment F on ChildLookup { ...G } fragment G on ChildLookup { outcome }",
        "{ child { outcome @skip(if: true) outcome } }",
        "{ ...F @include(if: false) ...F } fragment F on Query { child { outcome } }",
        "{ child { outcome involvements @include(if: true) { id } } }",
        "{ findChild { handle } }",
        "{ viewer { subject } __typename }",
        "{ __typename }",
    ],
)
def test_a_lookup_that_always_says_its_outcome_passes(text: str) -> None:
    root, found = roots(text)

    check_root_fields(root, found.fragments)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{ child { complete } }", id="left-out"),
        pytest.param("{ child { __typename } }", id="typename-only"),
        pytest.param("{ child { o: outcome } }", id="under-another-key"),
        pytest.param("{ child { outcome: complete } }", id="another-field-under-its-key"),
        pytest.param("{ child { outcome @skip(if: true) } }", id="skipped"),
        pytest.param("query($v: Boolean!) { child { outcome @include(if: $v) } }", id="included"),
        pytest.param("{ child { ... @include(if: true) { outcome } } }", id="condition-around-it"),
        pytest.param("{ child { ...F @skip(if: false) } } fragment F on C { outcome }", id="condition-on-a-spread"),
        pytest.param("{ child { ...F } } fragment F on C { ... @skip(if: true) { outcome } }", id="condition-inside"),
        pytest.param("{ child @include(if: true) { outcome } }", id="condition-on-child"),
        pytest.param("{ ... @include(if: true) { child { outcome } } }", id="condition-around-child"),
        pytest.param("{ child { involvements { outcome } } }", id="deeper"),
        pytest.param("{ child { outcome } __schema { types { name } } }", id="beside-introspection"),
        pytest.param("{ findChild { handle } __type(name: A) { name } }", id="find-beside-introspection"),
        pytest.param("{ child }", id="no-selection"),
    ],
)
def test_a_lookup_that_could_hide_its_outcome_is_refused(text: str) -> None:
    root, found = roots(text)

    with pytest.raises(ValidationFailed):
        check_root_fields(root, found.fragments)
