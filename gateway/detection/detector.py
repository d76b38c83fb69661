"""The detector: look-ups in, alerts out, in the order of time, with no more memory than a month of look-ups.

Deterministic: the same look-ups in the same order, with the same feed, give the same alerts. Nothing of it is stored;
after a restart it reads the last weeks of the log again.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from gateway.detection.explanations import Ground, explained_by, explains_later
from gateway.detection.lookups import LogFault, Place, Seen, SeenLookup
from gateway.detection.past import DAY, HOUR, REMEMBERED, Past, View
from gateway.detection.rules.accounts import NeverCorroborated, TwoHands
from gateway.detection.rules.base import Rule, Severity, Signal, Situation, rank
from gateway.detection.rules.exceptional import BreakGlass, CanaryChild, ProminentChild
from gateway.detection.rules.habits import Leavers, OffRota, Reasons, Repeats
from gateway.detection.rules.integrity import LogIntegrity
from gateway.detection.rules.kinship import ColleagueOrNeighbour, OwnFamily
from gateway.detection.rules.volume import Fishing, Volume
from gateway.detection.thresholds import Thresholds
from gateway.detection.workforce import Workforce

RULES = tuple(f"D{number}" for number in range(1, 15))
_LEGAL_TIME = ZoneInfo("Europe/London")
_ALWAYS = rank(Severity.IMMEDIATE)
_AT_ONCE = rank(Severity.REVIEW)
_SAME_AGAIN = 7 * DAY
_MOST_RECEIPTS = 100


@dataclass(frozen=True, slots=True)
class Alert:
    """Something for a reviewer. `words` name no child and no person."""

    place: Place  # of the record it is about: with `rules`, what makes it the same alert in another run
    raised_ms: int
    caused_by_time: bool  # raised because its 72 hours were over, not by what was read
    rules: tuple[str, ...]
    severity: Severity
    score: float
    words: tuple[str, ...]
    receipt: str
    receipts: tuple[str, ...]  # of the other look-ups that belong to it, by the same organisation
    person: str | None
    organisation: str | None
    subject: str | None
    purpose: str | None
    explained: Ground | None


@dataclass(slots=True, eq=False)
class _Waiting:
    """A look-up that nothing explains yet: no more of it is kept than is remembered in any case."""

    view: View
    signals: list[Signal]
    alerted: bool


class Detector:
    """Reads forward. `off` names rules that are not applied."""

    def __init__(
        self,
        workforce: Workforce,
        thresholds: Thresholds,
        canaries: frozenset[str],
        *,
        off: Collection[str] = (),
    ) -> None:
        self.workforce = workforce
        self.canaries = canaries
        self.thresholds = thresholds
        self.looked_up = 0
        self.grounds: Counter[Ground] = Counter()
        self.unexplained: deque[tuple[int, str, float]] = deque(maxlen=10_000)  # time, receipt, score below an alert
        rules: Sequence[Rule] = (
            OwnFamily(),
            ColleagueOrNeighbour(),
            ProminentChild(),
            BreakGlass(),
            Volume(),
            OffRota(),
            Fishing(),
            Repeats(),
            TwoHands(),
            Reasons(),
            Leavers(),
            CanaryChild(lambda: self.canaries),
        )
        self._rules = [rule for rule in rules if rule.id not in off]
        self._claims = NeverCorroborated()
        self._claims_on = self._claims.id not in off
        self._integrity = LogIntegrity()
        self._integrity_on = self._integrity.id not in off
        self._past = Past()
        self._waiting: deque[_Waiting] = deque()
        self._waiting_of: dict[str, list[_Waiting]] = {}
        self._raised: dict[tuple[str, str], int] = {}
        self._now = 0
        self._swept = 0

    def see(self, seen: Seen) -> list[Alert]:
        """Return the alerts that this gives, and those whose time came before it."""
        alerts = self.advance(seen.at_ms)
        if isinstance(seen, LogFault):
            if self._integrity_on:
                alerts.append(self._of_fault(seen))
            return alerts
        alerts.extend(self._look_at(seen))
        return alerts

    def advance(self, now_ms: int) -> list[Alert]:
        """Return the alerts of look-ups whose time to be explained is over at `now_ms`."""
        self._now = max(self._now, now_ms)
        alerts = list(self._ripened())
        if self._now - self._swept >= DAY:
            self._swept = self._now
            self._forget(self._now - REMEMBERED)
        return alerts

    def remembered(self) -> int:
        """Return how many look-ups are in memory."""
        return self._past.size()

    def _look_at(self, seen: SeenLookup) -> Iterator[Alert]:
        member = self.workforce.members.get(seen.person)
        local = datetime.fromtimestamp(seen.at_ms / 1000, _LEGAL_TIME)
        view = View.of(seen, member)
        explanation = None
        if not seen.denied:
            self.looked_up += 1
            explanation = explained_by(seen, view, member, local, self._past, self.workforce, self.thresholds)
            if explanation is not None:
                self.grounds[explanation.ground] += 1
        around = Situation(view, member, explanation, local, self._past, self.workforce, self.thresholds)
        signals = [signal for rule in self._rules if (signal := rule.judge(seen, around)) is not None]
        if self._claims_on:
            self._claims.judge(seen, around)
        self._past.add(view)
        if view.explained and seen.subject is not None:
            self._explain_waiting(seen.subject, view)
        ground = explanation.ground if explanation is not None else None
        live = [signal for signal in signals if ground is None or ground not in signal.excused_by]
        alerted = False
        if live and self._speaks_now(live, explained=ground is not None):
            alert = self._alert(view, live, ground, by_time=False)
            if alert is not None:
                alerted = True
                yield alert
        if ground is None and not seen.denied:
            waiting = _Waiting(view, live, alerted)
            self._waiting.append(waiting)
            if seen.subject is not None:
                self._waiting_of.setdefault(seen.subject, []).append(waiting)

    def _speaks_now(self, live: Sequence[Signal], *, explained: bool) -> bool:
        """Whether signals open an item at once: an immediate one always, others by their sum."""
        highest = max(rank(signal.severity) for signal in live)
        if highest >= _ALWAYS:
            return True
        if sum(signal.weight for signal in live) < self.thresholds.alert_score:
            return False
        # what only joins the queue waits for its explanation, unless it has one already that does not excuse it
        return highest >= _AT_ONCE or explained

    def _explain_waiting(self, subject: str, later: View) -> None:
        waiting = self._waiting_of.get(subject)
        if waiting is None:
            return
        left = []
        for each in waiting:
            if explains_later(each.view, later):
                each.view.explained = each.view.tied = True
                self.grounds[Ground.LATER] += 1
            else:
                left.append(each)
        if left:
            self._waiting_of[subject] = left
        else:
            del self._waiting_of[subject]

    def _ripened(self) -> Iterator[Alert]:
        ripe = self._now - self.thresholds.later_hours * HOUR
        while self._waiting and self._waiting[0].view.at_ms <= ripe:
            waiting = self._waiting.popleft()
            if waiting.view.explained:
                live = [s for s in waiting.signals if Ground.LATER not in s.excused_by]
                ground: Ground | None = Ground.LATER
            else:
                self._no_longer_waiting(waiting)
                live, ground = list(waiting.signals), None
                if self._claims_on:
                    live.append(self._claim(waiting.view))
            score = sum(signal.weight for signal in live)
            if live and not waiting.alerted and score >= self.thresholds.alert_score:
                alert = self._alert(waiting.view, live, ground, by_time=True)
                if alert is not None:
                    yield alert
                    continue
            if ground is None and not waiting.alerted:
                self.unexplained.append((waiting.view.at_ms, waiting.view.receipt, score))

    def _claim(self, view: View) -> Signal:
        bounds = self.thresholds
        return self._claims.ripe(
            view.person, view.receipt, view.at_ms, bounds.never_corroborated_weight, bounds.uncorroborated_a_month
        )

    def _no_longer_waiting(self, waiting: _Waiting) -> None:
        subject = waiting.view.subject
        left = self._waiting_of.get(subject) if subject is not None else None
        if subject is not None and left is not None:
            left.remove(waiting)
            if not left:
                del self._waiting_of[subject]

    def _alert(self, view: View, live: Sequence[Signal], ground: Ground | None, *, by_time: bool) -> Alert | None:
        """Return the alert, or None if the same was said of the same person already."""
        new = [signal for signal in live if self._is_new(view, signal)]
        if not new or (
            max(rank(s.severity) for s in new) < _ALWAYS
            and sum(s.weight for s in live) >= self.thresholds.alert_score
            and all(s.weight < 0.5 for s in new)
        ):
            return None
        ordered = sorted(live, key=lambda signal: (-rank(signal.severity), -signal.weight))
        receipts = dict.fromkeys(receipt for signal in ordered for receipt in signal.receipts)
        receipts.pop(view.receipt, None)
        theirs = self._receipts_of(view) if receipts else frozenset()
        return Alert(
            place=view.place,
            raised_ms=self._now,
            caused_by_time=by_time,
            rules=tuple(signal.rule for signal in ordered),
            severity=ordered[0].severity,
            score=round(sum(signal.weight for signal in ordered), 2),
            words=tuple(signal.words for signal in ordered),
            receipt=view.receipt,
            receipts=tuple([receipt for receipt in receipts if receipt in theirs][:_MOST_RECEIPTS]),
            person=view.person,
            organisation=view.organisation,
            subject=view.subject,
            purpose=view.purpose,
            explained=ground,
        )

    def _receipts_of(self, view: View) -> frozenset[str]:
        """Return the receipts of the asker's and the child's look-ups by this organisation, whose reviewers read them.

        That another organisation looked a child up is not theirs to know.
        """
        views = list(self._past.of_person(view.person, 0))
        if view.subject is not None:
            views += self._past.of_child(view.subject, 0)
        return frozenset(each.receipt for each in views if each.organisation == view.organisation)

    def _is_new(self, view: View, signal: Signal) -> bool:
        if rank(signal.severity) >= _ALWAYS:
            return True
        about = f"{view.person} {'' if signal.of_person else view.subject}"
        key, for_how_long = (signal.rule, about), signal.quiet_days * DAY if signal.of_person else _SAME_AGAIN
        last = self._raised.get(key)
        if last is not None and view.at_ms - last < for_how_long:
            return False
        self._raised[key] = view.at_ms
        return True

    def _of_fault(self, fault: LogFault) -> Alert:
        signal = self._integrity.judge_fault(fault)
        return Alert(
            place=fault.place,
            raised_ms=self._now,
            caused_by_time=False,
            rules=(signal.rule,),
            severity=signal.severity,
            score=signal.weight,
            words=(signal.words,),
            receipt="",
            receipts=(),
            person=None,
            organisation=None,
            subject=None,
            purpose=None,
            explained=None,
        )

    def _forget(self, before_ms: int) -> None:
        self._past.forget(before_ms)
        for rule in (*self._rules, self._claims):
            rule.forget(before_ms)
        self._raised = {key: at for key, at in self._raised.items() if at >= before_ms}
