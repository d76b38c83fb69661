"""Values for the scalars that the scanner does not know, among them children who are known to the gateway."""

from __future__ import annotations

import os
from datetime import date

import schemathesis
from hypothesis import strategies as st
from schemathesis.graphql import nodes

_PLANTED = [tuple(each.split("/")) for each in os.environ.get("CONTACTPOINT_TEST_PLANTED", "").split(",") if each]

schemathesis.graphql.scalar(
    "NHSNumber",
    (
        st.sampled_from([number for number, _ in _PLANTED] or ["9990000018"])
        | st.integers(9_000_000_000, 9_999_999_999).map(str)
        | st.text(max_size=12)
    ).map(nodes.String),
)
schemathesis.graphql.scalar(
    "Date",
    (
        st.sampled_from([born for _, born in _PLANTED] or ["2020-04-09"])
        | st.dates(date(2000, 1, 1), date(2035, 1, 1)).map(str)
        | st.text(max_size=10)
    ).map(nodes.String),
)
