"""One text parsed twice, without locations and with them: where the fault that was found in one stands in the other."""

from __future__ import annotations

from typing import Any

from graphql import Node


def counterpart(wanted: Node, document: Node, located: Node) -> Node | None:
    """Return the node of `located` that stands where `wanted` stands in `document`, a tree of the same text."""
    waiting: list[tuple[Any, Any]] = [(document, located)]
    while waiting:
        here, there = waiting.pop()
        if here is wanted:
            found: Node = there
            return found
        if isinstance(here, tuple):
            waiting.extend(zip(here, there, strict=True))
        elif isinstance(here, Node):
            waiting.extend((getattr(here, key), getattr(there, key)) for key in here.keys if key != "loc")
    return None
