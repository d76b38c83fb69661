"""A record that is made quickly is a frozen dataclass like any other."""

from __future__ import annotations

import dataclasses
import pickle
from dataclasses import dataclass, field

import pytest

from schema.made_quickly import made_quickly


@dataclass(frozen=True, slots=True)
class Usual:
    a: int
    b: str | None = field(repr=False)
    c: tuple[int, ...] = ()


@made_quickly
@dataclass(frozen=True, slots=True)
class Quick:
    a: int
    b: str | None = field(repr=False)
    c: tuple[int, ...] = ()


def test_is_made_compared_shown_and_copied_as_any_other() -> None:
    one = Quick(1, b="x")

    assert type(one) is Quick
    assert (one.a, one.b, one.c) == (1, "x", ())
    assert one == Quick(a=1, b="x", c=()) != Quick(2, "x")
    assert hash(one) == hash(Quick(1, "x"))
    assert len({one, Quick(1, "x"), Quick(2, "x")}) == 2
    assert one != Usual(1, "x")
    assert repr(one) == repr(Usual(1, "x")).replace("Usual", "Quick")
    assert dataclasses.replace(one, c=(3,)) == Quick(1, "x", (3,))
    assert dataclasses.asdict(one) == {"a": 1, "b": "x", "c": ()}
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301 - our own


def test_is_frozen_once_it_is_made() -> None:
    one = Quick(1, "x")

    with pytest.raises(AttributeError):
        one.a = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del one.a
    # `dataclass` itself cannot hold this one
    with pytest.raises(TypeError):
        object.__setattr__(one, "a", 2)
    assert one == Quick(1, "x")


@pytest.mark.parametrize("given", [(), (1,), (1, "x", (), 4)])
def test_takes_what_its_fields_are_and_no_more(given: tuple[object, ...]) -> None:
    with pytest.raises(TypeError):
        Quick(*given)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Quick(1, "x", d=1)  # type: ignore[call-arg]


@dataclass(frozen=True)
class WithoutSlots:
    a: int


@dataclass(frozen=True, slots=True)
class WithMore:
    a: int

    def __post_init__(self) -> None:
        """Do more than assign."""


@dataclass(frozen=True, slots=True)
class WithAFactory:
    a: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class WithAFieldThatDoesNotCount:
    a: int = field(compare=False)


@pytest.mark.parametrize("kind", [WithoutSlots, WithMore, WithAFactory, WithAFieldThatDoesNotCount])
def test_a_class_that_needs_more_than_assignments_is_refused(kind: type) -> None:
    with pytest.raises(TypeError, match=kind.__name__):
        made_quickly(kind)
