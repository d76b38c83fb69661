"""Channels 18 to 21: caches, joint work, the advice of break-glass, and receipts."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway import plan
from gateway.errors import Overloaded
from gateway.federation.gathering import Gathering
from gateway.lookup import Lookups
from tests.noninterference.mutants.mutant import Mutant, SeenBy
from tests.noninterference.mutants.tampering import (
    hidden,
    in_body,
    in_tree,
    kept_back,
    known,
    wrapping,
)


def _answers_kept(honest: Any) -> Any:
    """The answer is kept by child and document, and given to the next who asks the same."""
    kept: dict[tuple[int, Any, str], Any] = {}

    async def answer(
        self: Lookups, caller: Any, operation: Any, variables: Any, arguments: Any, *rest: Any, **more: Any
    ) -> Any:
        key = (id(self), arguments["key"]["nhsNumber"], operation.document_sha256)
        told = await honest(self, caller, operation, variables, arguments, *rest, **more)
        return kept.setdefault(key, told)

    return answer


def _without(*places: int) -> Any:
    def around(honest: Any) -> Any:
        def circumstances(*given: Any) -> Any:
            key = honest(*given)
            return tuple(part for place, part in enumerate(key) if place not in places)

        return circumstances

    return around


def _together(honest: Any) -> Any:
    """Two lookups of one child at one time are one lookup: the second waits for the first and gets its answer."""
    under_way: dict[tuple[int, Any], asyncio.Future[Any]] = {}

    async def answer(
        self: Lookups, caller: Any, operation: Any, variables: Any, arguments: Any, *rest: Any, **more: Any
    ) -> Any:
        key = (id(self), arguments["key"]["nhsNumber"])
        if (first := under_way.get(key)) is not None:
            return await asyncio.shield(first)
        under_way[key] = asyncio.ensure_future(honest(self, caller, operation, variables, arguments, *rest, **more))
        try:
            return await asyncio.shield(under_way[key])
        finally:
            del under_way[key]

    return answer


def _one_at_a_time(honest: Any) -> Any:
    """A second lookup of a child who is being looked up is turned away."""
    under_way: set[tuple[int, Any]] = set()

    async def answer(
        self: Lookups, caller: Any, operation: Any, variables: Any, arguments: Any, *rest: Any, **more: Any
    ) -> Any:
        key = (id(self), arguments["key"]["nhsNumber"])
        if key in under_way:
            raise Overloaded(1)
        under_way.add(key)
        try:
            return await honest(self, caller, operation, variables, arguments, *rest, **more)
        finally:
            under_way.discard(key)

    return answer


def _others_looked(honest: Any) -> Any:
    """The extensions tell how many others have looked at this child."""
    looked: dict[tuple[int, str], set[str]] = {}

    async def tree(self: Gathering, receipt: str) -> Any:
        people = looked.setdefault((id(self._sources), self.key.nhs_number), set())
        people.add(self._caller.person)
        told = await honest(self, receipt)
        told.advice = f"{told.advice} Looked up by {len(people)}."
        return told

    return tree


def _override_offered(run: Gathering, told: Any) -> None:
    if hidden(run):
        told.advice += " Break-glass is open to you where a child's life is in danger."


def _override_extension(run: Gathering, response: dict[str, Any]) -> None:
    response["extensions"]["disclosure"]["override"] = bool(kept_back(run))


def _advice_to_check(run: Gathering, told: Any) -> None:
    if run.identity == "UNCORROBORATED" and known(run):
        told.advice += " Check the date of birth and the family name."


def _advice_of_shield(run: Gathering, told: Any) -> None:
    if run.shielded_by:
        told.advice = told.advice.replace("safeguarding hub", "safeguarding hub and ask for the duty manager")


def _numbered(honest: Any) -> Any:
    """The receipt is the number of the INTENT in the log."""

    async def tree(self: Gathering, receipt: str) -> Any:
        return await honest(self, str(_last_seq(self)))

    return tree


def _last_seq(run: Gathering) -> int:
    with run._shields._engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT max(seq) FROM audit_leaf").scalar()
    return int(found or 0)


def _receipt_of_shield(run: Gathering, told: Any) -> None:
    if run.shielded_by:
        told.receipt = f"S{str(told.receipt)[1:]}"


def _receipt_of_child(run: Gathering, told: Any) -> None:
    told.receipt = run._keys.pseudonym(run.key.nhs_number)[:22]


def _longer_receipt(run: Gathering, told: Any) -> None:
    if kept_back(run):
        told.receipt = f"{told.receipt}-{kept_back(run)}"


_PERSONAL = (1, 2, 3, 4)  # organisation, roles, scopes and assurance in the circumstances of a plan

MUTANTS = (
    Mutant(
        "answers-kept-by-child",
        18,
        "An answer is kept by child and document and given to the next caller.",
        wrapping(Lookups, "answer", _answers_kept),
        SeenBy.SEQUENCE,
    ),
    Mutant(
        "plan-kept-without-its-caller",
        18,
        "A plan is remembered without the caller's scopes and organisation.",
        wrapping(plan, "_circumstances", _without(*_PERSONAL)),
        SeenBy.SEQUENCE,
    ),
    Mutant(
        "plan-kept-without-assurance",
        18,
        "A plan is remembered without how strongly the caller signed in.",
        wrapping(plan, "_circumstances", _without(4)),
        SeenBy.SEQUENCE,
    ),
    Mutant(
        "one-flight-for-a-child",
        19,
        "Two lookups of one child at one time become one, with one receipt.",
        wrapping(Lookups, "answer", _together),
        SeenBy.SEQUENCE,
    ),
    Mutant(
        "one-at-a-time-for-a-child",
        19,
        "A lookup is turned away while another looks at the same child.",
        wrapping(Lookups, "answer", _one_at_a_time),
        SeenBy.SEQUENCE,
    ),
    Mutant(
        "how-many-looked",
        19,
        "The advice says how many have looked at this child.",
        wrapping(Gathering, "tree", _others_looked),
        SeenBy.SEQUENCE,
    ),
    Mutant(
        "override-offered-for-shielded",
        20,
        "Break-glass is offered for shielded children alone.",
        in_tree(_override_offered),
    ),
    Mutant(
        "override-would-help",
        20,
        "The extensions say whether an override would change anything.",
        in_body(_override_extension),
    ),
    Mutant(
        "advice-to-check-the-key",
        20,
        "The advice for a known child under a wrong key is to check the key.",
        in_tree(_advice_to_check),
    ),
    Mutant(
        "advice-of-a-shield",
        20,
        "The advice for a shielded child names somebody else to ask.",
        in_tree(_advice_of_shield),
    ),
    Mutant(
        "receipt-is-a-number",
        21,
        "The receipt is the record's number: it counts everybody's lookups.",
        wrapping(Gathering, "tree", _numbered),
        SeenBy.SEQUENCE,
    ),
    Mutant(
        "receipt-marks-a-shield",
        21,
        "The receipt of a lookup of a shielded child begins with S.",
        in_tree(_receipt_of_shield),
        SeenBy.WORK,
    ),
    Mutant(
        "receipt-of-the-child",
        21,
        "The receipt is drawn from the child's pseudonym: the same for all who look.",
        in_tree(_receipt_of_child),
        SeenBy.SEQUENCE,
    ),
    Mutant(
        "receipt-counts-what-is-hidden",
        21,
        "The receipt ends with how many entries were held back.",
        in_tree(_longer_receipt),
    ),
)
