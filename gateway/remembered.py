"""A bounded memory of what was worked out before: the least recently used is forgotten first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from gateway.metrics import watch_memory

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """The last `size` values used, by key. Not for threads."""

    def __init__(self, size: int, *, counted_as: str | None = None) -> None:
        """`counted_as`: the name under which the metrics count how often a value was there."""
        self._size = size
        self._values: OrderedDict[K, V] = OrderedDict()
        self.hits = 0
        self.misses = 0
        if counted_as is not None:
            watch_memory(counted_as, self)

    def __contains__(self, key: K) -> bool:
        return key in self._values

    def get(self, key: K) -> V | None:
        """Return the value, now the most recently used, or None."""
        value = self._values.get(key)
        if value is None:
            self.misses += 1
            return None
        self.hits += 1
        self._values.move_to_end(key)
        return value

    def keep(self, key: K, value: V) -> None:
        """Keep a value; the least recently used goes if there are too many."""
        self._values[key] = value
        if len(self._values) > self._size:
            self._values.popitem(last=False)


class ByIdentity(Generic[K, V]):
    """What was worked out of objects that live long, by the object itself: its hash would cost as much.

    Not for threads.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: dict[int, tuple[K, V]] = {}

    def of(self, key: K, make: Callable[[], V]) -> V:
        """Return what was made for this very object, made now if need be; the oldest goes if there are too many."""
        found = self._values.get(id(key))
        # what is kept keeps its key: no other object can have that id meanwhile
        if found is not None:
            return found[1]
        value = make()
        if len(self._values) >= self._size:
            del self._values[next(iter(self._values))]
        self._values[id(key)] = key, value
        return value
