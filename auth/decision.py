"""A decision is a value that carries its rule and, when it refuses, its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, Protocol, TypeVar

from schema.made_quickly import made_quickly

AskedT_contra = TypeVar("AskedT_contra", contravariant=True)
A = TypeVar("A")


@made_quickly
@dataclass(frozen=True, slots=True)
class Permit:
    """Allowed, by this rule. True, as every object is that does not say otherwise: to say so would be a call more."""

    rule: str


@lru_cache(maxsize=256)  # the names of rules are few, and none is a caller's
def permit(rule: str) -> Permit:
    """Return the permission by a rule, which is the same for everybody: each lookup has one of every rule."""
    return Permit(rule)


@dataclass(frozen=True, slots=True)
class Deny:
    """Refused, by this rule, for a reason from a closed list; the reason goes to the log, callers get a public code."""

    rule: str
    reason: str

    def __bool__(self) -> bool:
        return False


Decision = Permit | Deny


class Rule(Protocol[AskedT_contra]):
    """One rule: decides alone, says why."""

    def decide(self, asked: AskedT_contra) -> Decision:
        """Return Permit or Deny; raises nothing."""
        ...


@dataclass(frozen=True, slots=True)
class AllOf(Generic[A]):
    """Every rule must permit; the first refusal is the decision. `name` is the rule of its own permission."""

    rules: Sequence[Rule[A]]
    name: str = "all-of"

    def decide(self, asked: A) -> Decision:
        """Return the first Deny, else Permit; an empty list denies."""
        for rule in self.rules:
            # what is no permission refuses; to ask it whether it is true would be one more call for each rule
            if not isinstance(decision := rule.decide(asked), Permit):
                return decision
        # A policy with no rules must not read as "everything is allowed".
        return permit(self.name) if self.rules else Deny(self.name, "NO_RULE")


@dataclass(frozen=True, slots=True)
class AnyOf(Generic[A]):
    """One permitting rule is enough; otherwise the last refusal is the decision."""

    rules: Sequence[Rule[A]]

    def decide(self, asked: A) -> Decision:
        """Return the first Permit, else the last Deny; an empty list denies."""
        decision: Decision = Deny("any-of", "NO_RULE")
        for rule in self.rules:
            if decision := rule.decide(asked):
                return decision
        return decision
