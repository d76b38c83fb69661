"""What each purpose's legal gateway reaches: from which custodians, to which recipients, under which regime."""

from __future__ import annotations

from schema.vocabulary import Purpose

APPOINTED_PURPOSES = frozenset({Purpose.CAFCASS_S42, Purpose.COURT_ORDER, Purpose.PREVENT_CHANNEL, Purpose.MAPPA_S325})
"""Purposes for which somebody is appointed to one child: by a court, a panel, or an invitation to a case."""
