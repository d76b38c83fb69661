"""What records say of a plan and of a caller, put into the log's form once: it is the same for lookup after lookup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from auth.policy import LOOK_UP_A_CHILD
from auth.sharing import AgreementSet, LawfulBasis
from auth.standing import Standing
from gateway.audit.canonical import once
from gateway.plan import Plan
from schema.vocabulary import Purpose


class PlannedWords:
    """Parts of INTENT and OUTCOME that depend on the plan, and on what decides it, alone."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._paths = {source: mask.paths for source, mask in plan.masks.items()}
        self._fields = once(_sorted(self._paths))
        self._version = once({"version": plan.entitlements.version})
        self._intent: Mapping[str, msgspec.Raw] | None = None
        self._rules: dict[Standing, msgspec.Raw] = {}

    def intent(self, agreements: AgreementSet, basis: LawfulBasis | None, purpose: Purpose) -> Mapping[str, Any]:
        """Return what INTENT says of the plan, made under these agreements for this purpose."""
        if self._intent is None:
            plan = self._plan
            of_agreements = {
                "version": agreements.version,
                "basis": _basis(basis),
                "regimes": _regimes(plan, agreements, purpose),
            }
            self._intent = {
                "fields": self._fields,
                "further": once(_sorted(plan.further)),
                "sources": once(list(plan.masks)),
                "silent": once(sorted(plan.silent)),
                "agreements": once(of_agreements),
            }
        return self._intent

    def outcome(self, standing: Standing, asked: Mapping[str, frozenset[str]]) -> dict[str, Any]:
        """Return what OUTCOME says of the plan; `asked` is what each source was asked for, over both waves."""
        rules = self._rules.get(standing)
        if rules is None:
            rules = once({"policy": LOOK_UP_A_CHILD.name, "grants": self._plan.grants(standing)})
            self._rules[standing] = rules
        return {
            "asked": self._fields if asked == self._paths else _sorted(asked),
            "agreements": self._version,
            "rules": rules,
        }


def _sorted(paths: Mapping[str, frozenset[str]]) -> dict[str, list[str]]:
    return {source: sorted(each) for source, each in paths.items()}


def _regimes(plan: Plan, agreements: AgreementSet, purpose: Purpose) -> dict[str, list[str]]:
    """Return the regime on each custodian's side and on the recipient's, for who is asked: they need not be alike."""
    recipient = plan.entitlements.organisation
    if recipient is None:
        return {}
    custodians = {source: plan.entitlements.by_custodian[source].custodian.kind for source in plan.masks}
    return {source: list(agreements.regimes(purpose, kind, recipient.kind)) for source, kind in custodians.items()}


def _basis(basis: LawfulBasis | None) -> dict[str, Any] | None:
    if basis is None:
        return None
    return {"gateway": basis.gateway, "regime": basis.regime, "recipientRegime": basis.recipient_regime}
