"""Every leak mutant, in the order of the channels."""

from __future__ import annotations

from tests.noninterference.mutants import (
    documents_that_tell,
    doors_left_open,
    errors_that_tell,
    hidden_rows_that_complete,
    keys_that_match,
    others_that_show,
    shapes_that_tell,
    sinks_that_tell,
    sources_that_tell,
    transport_that_tells,
)
from tests.noninterference.mutants.mutant import Mutant

_KINDS = (
    errors_that_tell,
    shapes_that_tell,
    documents_that_tell,
    sources_that_tell,
    transport_that_tells,
    others_that_show,
    keys_that_match,
    sinks_that_tell,
    doors_left_open,
    hidden_rows_that_complete,
)

MUTANTS: tuple[Mutant, ...] = tuple(sorted((m for kind in _KINDS for m in kind.MUTANTS), key=lambda m: m.channel))
