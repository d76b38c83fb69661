"""How the lookups of situations are written: whole, with type names at every level, and in ways that defeat masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.noninterference.operations import AGENCY, ENTRY, Selected, Shape
from tests.noninterference.table import IDENTITY, SECTION_FIELDS

_NAME = {"name": None, "role": None}


def _fields(tree: Mapping[str, Any]) -> list[Selected]:
    """Return the fields of a tree, each with the name of its type."""
    named = [Selected("__typename", "__typename", None)]
    return named + [Selected(name, name, _fields(below) if below else None) for name, below in tree.items()]


def _sections() -> list[Selected]:
    tree: dict[str, Any] = {}
    for path in (*IDENTITY, *SECTION_FIELDS):
        record, _, name = path.partition(".")
        items = (
            None if path in IDENTITY else {"agency": {"id": None, "name": None}, **dict.fromkeys(SECTION_FIELDS[path])}
        )
        if name:
            tree.setdefault(record, {})[name] = items
        else:
            tree[record] = items
    return _fields(tree)[1:]


def _shape(entries: list[Selected], *, sections: bool = True, key: str = "involvements") -> Shape:
    frame = [Selected("outcome", "outcome", None), Selected("__typename", "__typename", None)]
    frame += [Selected(name, name, None) for name in ("complete", "advice", "receipt")]
    frame.append(Selected("sources", "sources", _fields({"agency": AGENCY, "status": None, "reason": None})))
    listed = Selected("involvements", key, entries, "(status: [CURRENT, PREVIOUS])")
    return _written([*frame, listed, *(_sections() if sections else [])], previous=True)


def _written(inner: list[Selected], *, previous: bool) -> Shape:
    child = Selected("child", "child", inner, "(key: $key, access: $access)")
    text = f"{{ {_text(child)} }}"
    declared = "$key: ChildKey!, $access: AccessRequest!" + (", $yes: Boolean!" if "$yes" in text else "")
    return Shape(f"query Who({declared}) {text}", (child,), frozenset(), previous)


def _text(selected: Selected) -> str:
    alias = f"{selected.key}: " if selected.key != selected.name else ""
    head = f"{alias}{selected.name}{selected.arguments}{selected.directive}"
    if selected.children is None:
        return head
    return f"{head} {{ {' '.join(_text(child) for child in selected.children)} }}"


_WHOLE = _fields(ENTRY)
_OTHERS = [field for field in _WHOLE if field.name != "practitioner"]

SHAPES = (
    _shape(_WHOLE),
    _shape(_WHOLE, sections=False),
    _shape([*_OTHERS, Selected("practitioner", "who", _fields(_NAME))]),
    _shape([*_OTHERS, Selected("practitioner", "practitioner", _fields(_NAME), directive=" @include(if: $yes)")]),
    _shape([*_WHOLE, Selected("practitioner", "practitioner", _fields(_NAME))], sections=False),
    _shape(_WHOLE, key="people"),
    _written([Selected("outcome", "outcome", None), Selected("advice", "advice", None)], previous=False),
)
