"""D4 and D10: claims that nothing ever bears out, and accounts in two hands."""

from __future__ import annotations

from collections import deque

from gateway.detection.lookups import SeenLookup
from gateway.detection.past import DAY, HOUR, MINUTE, REMEMBERED
from gateway.detection.rules.base import ANYTHING, NOTHING, Severity, Signal, Situation

_LEAST_PEERS = 20
_TIMES_PEERS = 2
_MONTH = 30


class NeverCorroborated:
    """D4: the asker's standing was claimed and nothing bore it out in 72 hours, and more often so than for peers."""

    id = "D4"
    severity = Severity.QUEUE

    def __init__(self) -> None:
        self._months: dict[str, deque[tuple[int, str]]] = {}
        self._role_of: dict[str, str] = {}
        self._peers: dict[str, int] = {}

    def judge(self, seen: SeenLookup, around: Situation) -> Signal | None:
        """Say nothing yet: what is claimed today may be borne out tomorrow."""
        self._role_of[seen.person] = seen.role
        return None

    def ripe(self, person: str, receipt: str, at_ms: int, weight: float, most: int) -> Signal:
        """Return the signal of a look-up that its 72 hours left unexplained."""
        month = self._months.setdefault(person, deque())
        month.append((at_ms, receipt))
        while month[0][0] < at_ms - REMEMBERED:
            month.popleft()
        usual = self._peers.get(self._role_of.get(person, ""), 0)
        if len(month) > max(most, _TIMES_PEERS * usual):
            words = f"{len(month)} look-ups within a month that nothing ever bore out, more than peers have."
            receipts = tuple(each for _, each in month)
            return Signal(self.id, 1.0, self.severity, words, ANYTHING, receipts, True, _MONTH)
        words = "Nothing bore the look-up out within 72 hours."
        return Signal(self.id, weight, self.severity, words, ANYTHING)

    def forget(self, before_ms: int) -> None:
        """Drop what is older than a month, and see again what is usual in each role."""
        by_role: dict[str, list[int]] = {}
        for person in list(self._role_of):
            month = self._months.get(person)
            while month and month[0][0] < before_ms:
                month.popleft()
            by_role.setdefault(self._role_of[person], []).append(len(month or ()))
        for role, counts in by_role.items():
            counts.sort()
            self._peers[role] = counts[int(len(counts) * 0.95)] if len(counts) >= _LEAST_PEERS else 0
        self._months = {person: month for person, month in self._months.items() if month}


class TwoHands:
    """D10: one account at two clients at once, one token with two people, or a client never used before, and much."""

    id = "D10"
    severity = Severity.ALERT

    def __init__(self) -> None:
        self._recent: dict[str, deque[tuple[int, str, str, str]]] = {}
        self._clients: dict[str, dict[str, int]] = {}
        self._bearers: dict[str, tuple[int, str]] = {}
        self._first_seen: dict[str, int] = {}

    def judge(self, seen: SeenLookup, around: Situation) -> Signal | None:
        at, person = seen.at_ms, seen.person
        bearer = self._bearers.get(seen.token)
        self._bearers[seen.token] = (at, person)
        recent = self._recent.setdefault(person, deque())
        while recent and recent[0][0] < at - around.thresholds.two_hands_minutes * MINUTE:
            recent.popleft()
        recent.append((at, seen.client, seen.token, seen.receipt))
        clients = self._clients.setdefault(person, {})
        began = clients.setdefault(seen.client, at)
        first = self._first_seen.setdefault(person, at)
        if bearer is not None and bearer[1] != person:
            return Signal(self.id, 1.0, self.severity, "One token was used for two people.", NOTHING, of_person=True)
        if around.view.explained:
            return None
        if len(recent) >= 3 and _interleaved(recent):
            words = "The account was in use at two clients in turn within minutes."
            receipts = tuple(receipt for *_, receipt in recent)
            return Signal(self.id, 1.0, self.severity, words, ANYTHING, receipts, of_person=True)
        if len(clients) > 1 and began - first > 7 * DAY and at - began < 2 * HOUR:
            since = [v for v in around.past.of_person(person, began) if not v.explained]
            if len(since) + 1 >= around.thresholds.new_client_lookups:
                words = "A client that the asker had never used, and much at once."
                receipts = tuple(v.receipt for v in since)
                return Signal(self.id, 1.0, self.severity, words, ANYTHING, receipts, of_person=True)
        return None

    def forget(self, before_ms: int) -> None:
        """Drop tokens of earlier days, and people who were not seen for a month."""
        self._bearers = {token: held for token, held in self._bearers.items() if held[0] >= before_ms + 29 * DAY}
        self._recent = {person: recent for person, recent in self._recent.items() if recent[-1][0] >= before_ms}
        self._clients = {person: held for person, held in self._clients.items() if person in self._recent}
        self._first_seen = {person: at for person, at in self._first_seen.items() if person in self._recent}


def _interleaved(recent: deque[tuple[int, str, str, str]]) -> bool:
    """Whether two clients with two tokens took turns: the one, the other, and the one again."""
    turns: list[tuple[str, str]] = []
    for _, client, token, _ in recent:
        if not turns or turns[-1] != (client, token):
            turns.append((client, token))
    return len(turns) >= 3 and len({client for client, _ in turns}) >= 2 and turns[-1] in turns[:-2]
